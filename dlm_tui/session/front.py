"""What a session needs of the place it is shown in: a terminal, a pipe, a pane of the workbench."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dlm_core.errors import DlmError
from dlm_core.events import Event, Routing, Token
from dlm_core.requests import Message, RoutingChoice
from dlm_core.teaching import Edit
from dlm_tui.session.conversation import Answer
from dlm_tui.session.shown import Shown


@dataclass(frozen=True)
class Asked:
    """A question whose turn has come.

    Args:
        messages: the conversation, the question as its last turn.
        choice: the routing it is asked under.
        before: the reply that it got before, where it is asked again; None for a new question.
        taught: the answer that was taught, where it is asked again because of that; else "".
    """

    messages: tuple[Message, ...]
    choice: RoutingChoice
    before: Answer | None = None
    taught: str = ""

    @property
    def question(self) -> str:
        return self.messages[-1].content


@dataclass(frozen=True)
class Option:
    """One thing that may be chosen: how it reads, more about it, and the adapter that it concerns."""

    label: str
    remark: str = ""
    adapter: str | None = None


class ReplySink(Protocol):
    """Where one reply goes, in this order; `finished` or `failed` ends it."""

    def routed(self, routing: Routing) -> None:
        """The weights are known."""

    def token(self, token: Token) -> None:
        """The reply goes on."""

    def finished(self, answer: Answer) -> None:
        """The reply is complete, or was stopped: `answer` has all of it."""

    def failed(self, error: DlmError | None) -> None:
        """It broke off, `error` says why; None: it was stopped before it began."""


class Front(Protocol):
    """A place to show things. All calls come from the event loop."""

    @property
    def keys(self) -> Mapping[str, str]:
        """The front end's own keys and what they do, for `/help`."""

    def show(self, shown: Shown) -> None:
        """Show something that is no reply."""

    async def open_reply(self, asked: Asked) -> ReplySink:
        """Show the question; its reply goes into what is returned."""

    def run_event(self, event: Event) -> None:
        """Something happened in a run that this session asked for."""

    def changed(self) -> None:
        """Something else that is on screen all the time has changed: engine, routing, run, document."""

    def conversation_replaced(self) -> None:
        """The turns are others than those on screen: loaded, or cleared."""

    def document_changed(self) -> None:
        """The file on disk is another."""

    async def save_document(self) -> bool:
        """Write what is being edited, so that a run sees it. False if it may not be trained, and says why."""

    @property
    def asks_again(self) -> bool:
        """Whether a question is asked again by itself once its answer was taught."""

    def document_text(self) -> str:
        """The document as the user sees it, saved or not. Raises DocumentError where it cannot be read."""

    async def choose(self, title: str, options: Sequence[Option]) -> int | None:
        """Let the user choose; None where that is declined. Raises UsageError where nobody can be asked."""

    async def write(self, title: str, text: str) -> str | None:
        """Let the user write, `text` to begin with; None where that is declined. Raises as `choose`."""

    async def take_edit(self, edit: Edit, other: Edit | None = None) -> bool:
        """Show an edit and put it into its file, or the `other` in its place, unless the user declines.

        Raises:
            DlmError: the file is another than the edit was made for, or cannot be written.
        """

    async def edit_document(self) -> bool:
        """Take the user to the document: True once it was edited, False where that goes on beside the chat.

        Raises:
            UsageError: there is no editor, or no place for one.
        """

    def copy(self, text: str) -> None:
        """Put `text` on the user's clipboard. Raises UsageError where that cannot be done."""

    def leave(self) -> None:
        """End the session."""
