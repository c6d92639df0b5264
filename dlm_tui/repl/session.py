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
from dlm_tui.session.document_state import Situation

if TYPE_CHECKING:
    from dlm_tui.repl.chat import Chat
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
    if piped:
        from dlm_tui.repl.pipe import Pipe

        where = str(path.absolute())
        pipe = Pipe(where, client, conversation, document.adapter_names, json=as_json)
        return asyncio.run(pipe.run())
    situation = Situation(
        path, None, document.adapter_names, document.dlm_id, document.frontmatter.base_model
    )
    return asyncio.run(_chat(path, client, conversation, situation, watch))


async def _chat(
    path: Path, client: EngineClient, conversation: Conversation, situation: Situation, watch: bool
) -> int:
    from dlm_tui.repl.chat import Chat

    chat = Chat(path, client, conversation, situation, watch=watch)
    front = _plain(chat) if os.environ.get("TERM", "") in _DUMB else _screen(chat, situation.dlm_id)
    chat.attach(front)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, front.leave)
    starting = asyncio.create_task(chat.start(), name="start engine")
    try:
        await front.run()
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        if chat.runs.under_way:
            chat.tell(["stopping the training at its next step; a checkpoint is kept"])
            await front.settle()
        await chat.close()
        await front.settle()
    return 0


def _plain(chat: "Chat") -> "PlainFront":
    from dlm_tui.repl.plain import PlainFront

    return PlainFront(chat)


def _screen(chat: "Chat", dlm_id: str) -> "Screen":
    from dlm_tui.repl.screen import Screen, open_history
    from dlm_tui.settings import state_home

    return Screen(chat, history=open_history(state_home() / "questions" / (dlm_id or "unnamed")))
