"""Everything that a session can have to say beside replies: values that a front end draws."""

from collections.abc import Mapping
from dataclasses import dataclass

from dlm_core.errors import DlmError
from dlm_core.events import Ready, Why
from dlm_core.requests import Message, RoutingChoice
from dlm_core.teaching import Edit
from dlm_tui.session.commands import Command
from dlm_tui.session.conversation import Answer, Turn
from dlm_tui.session.document_state import DocumentState, Warned
from dlm_tui.session.versions import Version


@dataclass(frozen=True)
class Told:
    """Sentences; `warning` where the user should notice."""

    sentences: tuple[str, ...]
    warning: bool = False


@dataclass(frozen=True)
class Failed:
    """Something that did not work: what, and what to do."""

    error: DlmError


@dataclass(frozen=True)
class Entered:
    """A command as it was entered, shown again where its answer does not stand right under it."""

    line: str


@dataclass(frozen=True)
class DocumentShown:
    """The document, what was trained of it, and how the next reply is routed."""

    document: DocumentState
    ready: Ready | None
    choice: RoutingChoice


@dataclass(frozen=True)
class ProblemsShown:
    """What keeps the document from being used."""

    document: DocumentState


@dataclass(frozen=True)
class BaseShown:
    """The base and how it runs; None while it is not loaded."""

    ready: Ready | None


@dataclass(frozen=True)
class WarningsShown:
    """The warnings that stand."""

    warnings: tuple[Warned, ...]


@dataclass(frozen=True)
class HistoryShown:
    """The conversation so far, oldest turn first."""

    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class HelpShown:
    """One command at length, or all of them; `keys` are the front end's own."""

    command: Command | None
    keys: Mapping[str, str]


@dataclass(frozen=True)
class WhyShown:
    """What stands behind a reply: `asked` is what it answers, `why` has the nearest trained questions."""

    asked: tuple[Message, ...]
    answer: Answer
    why: Why


@dataclass(frozen=True)
class EditShown:
    """A change of a file, before it is written or as it was."""

    edit: Edit


@dataclass(frozen=True)
class VersionsShown:
    """What runs ended in, oldest first."""

    versions: tuple[Version, ...]


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
