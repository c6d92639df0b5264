"""Every slash command, entered in every front end: each is answered, and all of them alike."""

import asyncio
import io
from pathlib import Path

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from dlm_core.document import load
from dlm_core.requests import Generate, Train
from dlm_tui.app import WorkbenchApp
from dlm_tui.repl.pipe import Pipe
from dlm_tui.repl.plain import PlainFront
from dlm_tui.repl.screen import Screen
from dlm_tui.repl.terminal import TerminalFront
from dlm_tui.screens.workbench import Workbench
from dlm_tui.session import reports
from dlm_tui.session.commands import COMMANDS
from dlm_tui.session.conversation import Conversation
from dlm_tui.session.dispatch import submit
from dlm_tui.session.document_state import DocumentState
from dlm_tui.session.front import Front
from dlm_tui.session.reports import Look
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Entered, Shown
from dlm_tui.session.text import plain
from dlm_tui.settings import Loaded, Settings, State
from tests.fakes.client import FakeClient
from tests.fakes.engine import Script
from tests.fakes.front import DOCUMENT

FRONTS = ("screen", "plain", "pipe", "workbench")
ARGUMENTS = {
    "gate": "off",
    "adapter": "tone",
    "mix": "tone:1,knowledge:3",
    "again": "--gate off",
    "base": "and you?",
    "train": "--epochs 2",
    "save": "talk.json",
    "load": "kept.json",
    "params": "temperature=0.5",
    "system": "Be brief.",
    "help": "gate",
    "teach": "tone: Kindly.",
    "prefer": "now",
}
"""What is typed after a command's name."""
OF_ITS_OWN = {"copy", "edit", "help", "teach", "prefer"}
"""Where the answer is the place's own: a clipboard, an editor, the keys that it has, how an edit is shown."""

Seen = tuple[tuple[str, ...], tuple[str, ...]]
"""What a command said, and what it asked of the engine."""


class Recorder:
    """Stands before a front end and keeps what it is given to show."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._show = front.show
        self.shown: list[Shown] = []
        front.show = self._keep  # type: ignore[method-assign]
        if isinstance(front, TerminalFront):
            front.ask_line = self._agree  # type: ignore[method-assign]

    async def _agree(self, text: str = "") -> str:
        del text
        return "y"

    def _keep(self, shown: Shown) -> None:
        self.shown.append(shown)
        self._show(shown)

    def said(self) -> tuple[str, ...]:
        look = Look({}, width=1000)
        lines = [
            plain(line).strip()
            for shown in self.shown
            if not isinstance(shown, Entered)
            for line in reports.report(shown, look)
        ]
        return tuple(line for line in lines if line)


async def carried_out(session: Session, client: FakeClient, recorder: Recorder, name: str) -> Seen:
    """Ask something, carry the command out, and see what came of it."""
    await session.engine.until_ready()
    submit(session, "what is it")
    await session.idle(runs=True)
    if name == "prefer":
        submit(session, "/again --base")
        await session.idle(runs=True)
    if name == "load":
        session.conversation.save(Path("kept.json"))
    recorder.shown.clear()
    before = len(client.sent)
    submit(session, f"/{name} {ARGUMENTS.get(name, '')}".strip())
    await session.idle(runs=True)
    asked = [f"{type(r).__name__}" + (f" {r.choice.mode}" if isinstance(r, Generate) else "")
             for r in client.sent[before:] if isinstance(r, Generate | Train) or name == "why"]  # fmt: skip
    return recorder.said(), tuple(asked)


def session_on(path: Path, client: FakeClient) -> Session:
    document = load(path)
    state = DocumentState(path, None, document.adapter_names, document.dlm_id)
    return Session(path, client, Conversation(), state)


async def in_terminal(path: Path, name: str, kind: str) -> Seen:
    client = FakeClient(Script(adapters=("knowledge", "tone")))
    session = session_on(path, client)
    with create_pipe_input() as keyboard:
        front: Screen | PlainFront | Pipe
        if kind == "screen":
            front = Screen(session, keyboard=keyboard, output=DummyOutput(), color=False, unicode=True)
        elif kind == "plain":
            front = PlainFront(session, out=io.StringIO())
        else:
            front = Pipe(session, json=False, out=io.StringIO(), err=io.StringIO())
        recorder = Recorder(front)
        session.attach(front)
        try:
            await session.start()
            return await carried_out(session, client, recorder, name)
        finally:
            await session.close()


async def in_workbench(path: Path, name: str) -> Seen:
    client = FakeClient(Script(adapters=("knowledge", "tone")))
    settings = Settings(cursor_blink=False, diagnostics_delay=0.05)
    app = WorkbenchApp(path, client=lambda: client, loaded=Loaded(settings), state=State())
    async with app.run_test(size=(160, 40)) as pilot:
        while not (len(app.screen_stack) > 1 and isinstance(app.screen_stack[1], Workbench)):
            await pilot.pause(0.01)
        bench = app.screen_stack[1]
        assert isinstance(bench, Workbench)
        while bench.editor.document is None:
            await pilot.pause(0.01)
        recorder = Recorder(bench.session.front)
        return await carried_out(bench.session, client, recorder, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
async def test_a_command_does_the_same_in_every_front_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    seen: dict[str, Seen] = {}
    for kind in FRONTS:
        home = tmp_path / kind
        home.mkdir()
        monkeypatch.setenv("DLM_HOME", str(home))
        monkeypatch.chdir(home)
        path = Path("doc.dlm")
        path.write_text(DOCUMENT, encoding="utf-8")
        seen[kind] = await asyncio.wait_for(
            in_workbench(path, name) if kind == "workbench" else in_terminal(path, name, kind), 60
        )
    if name in ("teach", "prefer"):
        for kind, (_, asked) in seen.items():
            assert asked[0] == "Train", kind
            assert len(asked) == 1 + (kind != "pipe"), "what is asked again, is asked once"
            assert "Kindly." in (tmp_path / kind / "doc.dlm").read_text("utf-8") or name == "prefer"
    if name in OF_ITS_OWN:
        return
    assert len(set(seen.values())) == 1, seen
    said, asked = seen["screen"]
    assert said or asked or name in ("exit", "train"), "something comes of it"
