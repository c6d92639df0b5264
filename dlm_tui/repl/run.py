"""Where `dlm repl` begins: finds out what it is connected to, and runs the chat in the fitting front."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_core.client import EngineClient
from dlm_core.errors import UsageError
from dlm_core.requests import RoutingChoice, Sampling
from dlm_tui.session.conversation import Conversation
from dlm_tui.session.document_state import DocumentState
from dlm_tui.session.session import Session

if TYPE_CHECKING:
    from dlm_tui.repl.plain import PlainFront
    from dlm_tui.repl.screen import Screen

_DUMB = ("", "dumb", "unknown")


def run_repl(
    path: Path,
    *,
    choice: RoutingChoice,
    sampling: Sampling,
    system: str | None,
    as_json: bool,
    watch: bool,
    engine: str | None = None,
) -> int:
    """Chat about the document at `path` until the person leaves or stdin ends.

    Args:
        path: the document.
        choice: the routing to begin with.
        sampling: how replies are drawn, to begin with.
        system: a system prompt in place of the document's.
        as_json: one JSON object a turn, prompts from stdin, whatever stdin is.
        watch: train whenever the document is saved.
        engine: the engine's factory as `module:function`, None for the real one.

    Returns:
        The exit code: 0, 1 where a prompt from a pipe failed, 130 after Ctrl-C in a pipe.

    Raises:
        DocumentError: the document cannot be used.
        UsageError: `watch` without a terminal.
    """
    from dlm_core.document import load

    document = load(path)
    piped = as_json or not (sys.stdin.isatty() and sys.stdout.isatty())
    if piped and watch:
        raise UsageError("--watch needs a terminal", "leave it out, or use `dlm train --watch`")
    conversation = Conversation(system=system, choice=choice, sampling=sampling)
    client = EngineClient(engine=engine)
    state = DocumentState(
        path, None, document.adapter_names, document.dlm_id, document.frontmatter.base_model
    )
    return asyncio.run(_run(Session(path, client, conversation, state, watch=watch), piped, as_json))


def _keep_questions(session: Session) -> None:
    from dlm_tui.settings import load_settings

    if load_settings().settings.keep_asked and session.document.state.dlm_id:
        session.questions.open(session.document.state.dlm_id)


async def _run(session: Session, piped: bool, as_json: bool) -> int:
    if piped:
        from dlm_tui.repl.pipe import Pipe

        return await Pipe(session, json=as_json).run()
    _keep_questions(session)
    front = _plain(session) if os.environ.get("TERM", "") in _DUMB else _screen(session)
    session.attach(front)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, front.leave)
    starting = asyncio.create_task(session.start(), name="start engine")
    try:
        await front.run()
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        if session.runs.under_way:
            session.tell("stopping the training at its next step; a checkpoint is kept")
            await front.settle()
        await session.close()
        await front.settle()
    return 0


def _plain(session: Session) -> "PlainFront":
    from dlm_tui.repl.plain import PlainFront

    return PlainFront(session)


def _screen(session: Session) -> "Screen":
    from dlm_tui.repl.screen import Screen, open_history
    from dlm_tui.settings import state_home

    name = session.document.state.dlm_id or "unnamed"
    return Screen(session, history=open_history(state_home() / "questions" / name))
