"""`dlm prompt`: one question, and its reply on stdout with the routing above it on stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.errors import DlmError, UsageError
from dlm_core.events import Citation, Ready, Reply, Routed, Token
from dlm_core.requests import Message, Sampling
from dlm_core.safetext import visible, whole
from dlm_tui.cli.interrupts import StopOnInterrupt
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json
from dlm_tui.failures import INTERRUPTED
from dlm_tui.flags import document_argument, json_option, routing_options, sampling_options
from dlm_tui.session import sources
from dlm_tui.session.bars import bar_lines
from dlm_tui.session.conversation import Answer
from dlm_tui.session.output import reply_document
from dlm_tui.session.routing_flags import choice_from_flags
from dlm_tui.session.signs import adapter_signs, can_show_unicode

BARS_WIDTH = 72


@click.command()
@document_argument
@click.argument("text", required=False)
@routing_options
@sampling_options
@click.option("--bars/--no-bars", default=None, help="Show the routing on stderr; by default on a terminal.")
@json_option
def prompt(
    file: Path,
    text: str | None,
    gate: str | None,
    adapter: str | None,
    adapter_mix: str | None,
    ground: str | None,
    system: str | None,
    bars: bool | None,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Ask FILE's adapters TEXT (or what stands on stdin), and print the reply.

    The routing is shown above the reply when stderr is a terminal; stdout holds the reply alone.
    """
    adapters = load(file).adapter_names
    choice = choice_from_flags(adapters, gate=gate, adapter=adapter, adapter_mix=adapter_mix, ground=ground)
    messages = [Message("system", whole(system))] if system is not None else []
    messages.append(Message("user", _question(text)))
    with open_view(quiet=True) as view, StopOnInterrupt(lambda: None, view.abandon) as interrupt:
        events = oneshot.run_prompt(
            file, messages, choice, Sampling(**sampling), view.show, interrupt.requested
        )
        ready = reply = None
        for event in events:
            match event:
                case Ready():
                    ready = event
                case Routed() if ready:
                    interrupt.graceful = True
                    view.close()
                    _show_routing(event, ready, adapters, bars)
                case Token(text=piece) if piece and not as_json:
                    click.echo(visible(piece), nl=False)
                case Reply():
                    reply = event
    if ready is None or reply is None:
        raise DlmError("the engine ended without a reply", "ask again; `dlm doctor FILE` looks for a cause")
    if as_json:
        print_json(reply_document(Answer.of(reply), ready.load_s))
    else:
        if not reply.reply.endswith("\n"):
            click.echo()
        if reply.citation is not None and (bars or (bars is None and sys.stderr.isatty())):
            _show_source(reply.citation, adapters)
    if reply.finish_reason == "interrupted":
        raise click.exceptions.Exit(INTERRUPTED)


def _question(text: str | None) -> str:
    if text is None:
        if sys.stdin.isatty():
            raise UsageError("there is no prompt", "write it after FILE, or pipe it in")
        text = sys.stdin.buffer.read().decode(errors="replace").rstrip("\r\n")
    if not text.strip():
        raise UsageError("the prompt is empty", "write it after FILE, or pipe it in")
    return whole(text)


def _show_routing(event: Routed, ready: Ready, adapters: Sequence[str], bars: bool | None) -> None:
    """The routing's bars if wanted (None: on a terminal); that an untrained document answers, always."""
    if not ready.adapters:
        click.echo(
            f"not trained yet: {visible(ready.base)} answers alone; `dlm train` changes that", err=True
        )
    elif bars or (bars is None and sys.stderr.isatty()):
        console = Console(stderr=True, highlight=False)
        unicode = can_show_unicode(sys.stderr)
        signs = adapter_signs(adapters, unicode=unicode)
        console.print(Text(visible(f"routing: {event.routing.mode} ({event.routing.reason})")))
        for line in bar_lines(
            event.routing.weights,
            signs,
            width=min(console.width, BARS_WIDTH),
            unicode=unicode,
            base=event.routing.base,
        ):
            shown = Text(f"{line.sign.sign} {line.name} {line.bar}", style=line.sign.color)
            console.print(shown + Text(f" {line.number}"))
        console.print()


def _show_source(citation: Citation, adapters: Sequence[str]) -> None:
    """Where the reply comes from, and what is doubtful about it."""
    console = Console(stderr=True, highlight=False)
    unicode = can_show_unicode(sys.stderr)
    signs = adapter_signs(adapters, unicode=unicode)
    sign = signs.get(citation.adapter or "")
    dot = " · " if unicode else ", "
    said = sources.says(citation, sign.sign if sign else "", dot=dot)
    console.print(Text(said, style=sign.color if sign else "dim"))
    for doubt in sources.doubts(citation, signs):
        console.print(Text(doubt, style="yellow"))
