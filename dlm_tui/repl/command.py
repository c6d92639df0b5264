"""`dlm repl`: the chat in the terminal, begun with the flags of `dlm prompt`."""

from pathlib import Path
from typing import Any

import click

from dlm_core.document import load
from dlm_core.requests import Sampling
from dlm_tui.flags import document_argument, routing_options, sampling_options
from dlm_tui.session.routing_flags import choice_from_flags


@click.command()
@document_argument
@routing_options
@sampling_options
@click.option("--watch", is_flag=True, help="Train whenever FILE is saved.")
@click.option(
    "--json", "as_json", is_flag=True, help="Read prompts from stdin, print one JSON object a turn."
)
def repl(
    file: Path,
    gate: str | None,
    adapter: str | None,
    adapter_mix: str | None,
    ground: str | None,
    system: str | None,
    watch: bool,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Chat with FILE's adapters; the bars show the routing of what you type.

    Flags set how the chat begins; /help lists what can be changed within. Without a terminal, prompts are
    read one a line from stdin and replies are printed alone.
    """
    from dlm_tui.repl.run import run_repl

    choice = choice_from_flags(
        load(file).adapter_names, gate=gate, adapter=adapter, adapter_mix=adapter_mix, ground=ground
    )
    ended = run_repl(
        file, choice=choice, sampling=Sampling(**sampling), system=system, as_json=as_json, watch=watch
    )
    raise click.exceptions.Exit(ended)
