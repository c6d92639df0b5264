"""A front end that only remembers, and a session on the fake engine for it. For tests of what is shared."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dlm_core.document import load
from dlm_core.errors import DlmError
from dlm_core.events import Event, Routing, Token
from dlm_core.teaching import Edit
from dlm_tui.session import drafts
from dlm_tui.session.conversation import Answer, Conversation
from dlm_tui.session.dispatch import submit
from dlm_tui.session.document_state import DocumentState
from dlm_tui.session.front import Asked, Option, ReplySink
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Entered, Shown
from tests.fakes.client import FakeClient
from tests.fakes.engine import Script

DOCUMENT = """---
dlm_id: 01HZX3V5J8K2M4N6P7Q8R9S0TA
base_model: smollm2-135m
training:
  adapters:
    knowledge: {}
    tone: {}
  gate: {enabled: true, cold_start_floor: 1}
---

::instruction#knowledge::
### Q
What is the limit?
### A
Four hundred.

::instruction#tone::
### Q
How do we greet?
### A
Warmly.
"""


@dataclass
class RecordedReply:
    """What a reply's sink was told."""

    asked: Asked
    text: str = ""
    answer: Answer | None = None
    failure: DlmError | None = None
    ended: bool = False

    def routed(self, routing: Routing) -> None:
        """Nothing is shown."""

    def token(self, token: Token) -> None:
        """The reply grows."""
        self.text += token.text

    def finished(self, answer: Answer) -> None:
        """It is whole."""
        self.answer, self.ended = answer, True

    def failed(self, error: DlmError | None) -> None:
        """It broke off."""
        self.failure, self.ended = error, True


@dataclass
class RecordingFront:
    """A front (see `session.front.Front`) that shows nothing and remembers everything."""

    shown: list[Shown] = field(default_factory=list)
    replies: list[RecordedReply] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    edited: int = 0
    replaced: int = 0
    document_changes: int = 0
    left: bool = False
    path: Path = Path("doc.dlm")
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Titles and labels of what was to be chosen or written."""
    choices: list[int | None] = field(default_factory=list)
    """What is chosen, one after the other; None, and when they are used up: nothing."""
    written: list[str | None] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    others: list[Edit | None] = field(default_factory=list)
    """What stood beside each of `edits` to be taken in its place."""
    declines: bool = False
    swaps: bool = False
    asks_again: bool = True

    @property
    def keys(self) -> Mapping[str, str]:
        """One of its own."""
        return {"F9": "Do nothing."}

    @property
    def said(self) -> list[Shown]:
        """What was shown, but for the lines that were entered."""
        return [shown for shown in self.shown if not isinstance(shown, Entered)]

    def show(self, shown: Shown) -> None:
        """Remember it."""
        self.shown.append(shown)

    async def open_reply(self, asked: Asked) -> ReplySink:
        """A reply that remembers."""
        self.replies.append(RecordedReply(asked))
        return self.replies[-1]

    def run_event(self, event: Event) -> None:
        """Remember it."""
        self.events.append(event)

    def changed(self) -> None:
        """There is no toolbar."""

    def conversation_replaced(self) -> None:
        """Count."""
        self.replaced += 1

    def document_changed(self) -> None:
        """Count."""
        self.document_changes += 1

    async def save_document(self) -> bool:
        """There is nothing to save."""
        return True

    def document_text(self) -> str:
        """As it stands on disk."""
        return drafts.read(self.path).text

    async def choose(self, title: str, options: Sequence[Option]) -> int | None:
        """The next of `choices`."""
        self.asked.append((title, tuple(option.label for option in options)))
        return self.choices.pop(0) if self.choices else None

    async def write(self, title: str, text: str) -> str | None:
        """The next of `written`."""
        self.asked.append((title, (text,)))
        return self.written.pop(0) if self.written else None

    async def take_edit(self, edit: Edit, other: Edit | None = None) -> bool:
        """Written at once, unless it `declines`; the other one where it `swaps`."""
        self.others.append(other)
        if self.swaps and other is not None:
            edit = other
        self.edits.append(edit)
        if not self.declines:
            drafts.write_edit(edit)
        return not self.declines

    async def edit_document(self) -> bool:
        """Count."""
        self.edited += 1
        return True

    def copy(self, text: str) -> None:
        """Remember it."""
        self.copied.append(text)

    def leave(self) -> None:
        """Remember it."""
        self.left = True


@dataclass
class SessionStage:
    """A session under test, its front and its engine."""

    session: Session
    front: RecordingFront
    client: FakeClient

    async def do(self, line: str) -> list[Shown]:
        """Enter a line and wait until it is carried out; what was said meanwhile."""
        before = len(self.front.said)
        submit(self.session, line)
        await self.session.idle(runs=True)
        return self.front.said[before:]


@asynccontextmanager
async def open_session(
    folder: Path, script: Script | None = None, *, conversation: Conversation | None = None
) -> AsyncIterator[SessionStage]:
    """A session on a document of its own in `folder`, its engine ready."""
    path = folder / "doc.dlm"
    path.write_text(DOCUMENT, encoding="utf-8")
    document = load(path)
    client = FakeClient(script or Script(adapters=("knowledge", "tone")))
    state = DocumentState(path, None, document.adapter_names, document.dlm_id)
    session = Session(path, client, conversation or Conversation(), state)
    front = RecordingFront(path=path)
    session.attach(front)
    try:
        await session.start()
        await session.engine.until_ready()
        yield SessionStage(session, front, client)
    finally:
        await session.close()
