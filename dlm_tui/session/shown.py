"""Everything that a session can have to say beside replies: values that a front end draws."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from dlm_core.errors import DlmError
from dlm_core.events import Ready, Why
from dlm_core.requests import Message, RoutingChoice
from dlm_core.teaching import Edit
from dlm_tui.session.commands import Command
from dlm_tui.session.conversation import Answer, Turn
from dlm_tui.session.document_state import DocumentState, Warned

if TYPE_CHECKING:  # it brings the store along
    from dlm_tui.session.versions import Version


class Told(msgspec.Struct, frozen=True):
    """Sentences; `warning` where the user should notice."""

    sentences: tuple[str, ...]
    warning: bool = False


class Failed(msgspec.Struct, frozen=True):
    """Something that did not work: what, and what to do; `of_run`: a run, or the engine that runs are in."""

    error: DlmError
    of_run: bool = False


class Entered(msgspec.Struct, frozen=True):
    """A command as it was entered, shown again where its answer does not stand right under it."""

    line: str


class DocumentShown(msgspec.Struct, frozen=True):
    """The document, what was trained of it, and how the next reply is routed."""

    document: DocumentState
    ready: Ready | None
    choice: RoutingChoice


class ProblemsShown(msgspec.Struct, frozen=True):
    """What keeps the document from being used."""

    document: DocumentState


class BaseShown(msgspec.Struct, frozen=True):
    """The base and how it runs; None while it is not loaded."""

    ready: Ready | None


class WarningsShown(msgspec.Struct, frozen=True):
    """The warnings that stand."""

    warnings: tuple[Warned, ...]


class HistoryShown(msgspec.Struct, frozen=True):
    """The conversation so far, oldest turn first."""

    turns: tuple[Turn, ...]


class HelpShown(msgspec.Struct, frozen=True):
    """One command at length, or all of them; `keys` are the front end's own."""

    command: Command | None
    keys: Mapping[str, str]


class WhyShown(msgspec.Struct, frozen=True):
    """What stands behind a reply: `asked` is what it answers, `why` has the nearest trained questions."""

    asked: tuple[Message, ...]
    answer: Answer
    why: Why


class EditShown(msgspec.Struct, frozen=True):
    """A change of a file, before it is written or as it was."""

    edit: Edit


class VersionsShown(msgspec.Struct, frozen=True):
    """What runs ended in, oldest first."""

    versions: "tuple[Version, ...]"


Shown = (
    Told
    | Failed
    | Entered
    | DocumentShown
    | ProblemsShown
    | BaseShown
    | WarningsShown
    | HistoryShown
    | HelpShown
    | WhyShown
    | EditShown
    | VersionsShown
)
