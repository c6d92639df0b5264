"""Options that several commands share: the document, routing and sampling."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

document_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def routing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--gate`, `--adapter`, `--adapter-mix` and `--ground`; `choice_from_flags` says what goes together."""
    return _stack(
        command,
        click.option(
            "--gate",
            type=click.Choice(["auto", "off"]),
            help="auto: the adapter gate weighs the adapters (the default); off: equal weights.",
        ),
        click.option("--adapter", metavar="NAME", help="Pin one adapter; the gate is ignored."),
        click.option(
            "--adapter-mix", metavar="NAME:WEIGHT,…", help="Weigh adapters by hand: tone:0.7,knowledge:0.3"
        ),
        click.option(
            "--ground",
            type=click.Choice(["auto", "off"]),
            help="auto: look prompts up in the document (the default where the gate decides); off: the "
            "weights alone reply.",
        ),
    )


def sampling_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How tokens are drawn, and the system prompt."""
    return _stack(
        command,
        click.option(
            "--max-tokens",
            type=click.IntRange(min=1),
            default=512,
            show_default=True,
            help="The longest reply.",
        ),
        click.option(
            "--temperature",
            type=click.FloatRange(0, 10),
            default=0.0,
            show_default=True,
            help="0 takes the likeliest token every time.",
        ),
        click.option(
            "--top-p",
            type=click.FloatRange(0, 1, min_open=True),
            default=1.0,
            show_default=True,
            help="Draw from the likeliest tokens that make up this share of the probability.",
        ),
        click.option(
            "--top-k",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Draw from this many of the likeliest tokens; 0: all.",
        ),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Draw the same tokens every time."),
        click.option("--system", metavar="TEXT", help="A system prompt instead of the document's own."),
    )


def _stack(command: Callable[..., Any], *options: Decorator) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command
