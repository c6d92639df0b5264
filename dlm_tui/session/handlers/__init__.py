"""The slash commands carried out: a function each, a file a topic; values come back, a front draws them."""

from collections.abc import Awaitable, Callable, Mapping

from dlm_tui.session.handlers import document, engine, keeping, replies, routing, teaching, verdicts, versions
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Shown

Handler = Callable[[Session, str], Awaitable[Shown | None]]
"""Takes the session and what followed the command's name; raises DlmError for what the user can put right."""

HANDLERS: Mapping[str, Handler] = {
    "gate": routing.gate,
    "adapter": routing.adapter,
    "mix": routing.mix,
    "ground": routing.ground,
    "params": routing.params,
    "system": routing.system,
    "again": replies.again,
    "other": replies.other,
    "base": replies.base,
    "why": replies.why,
    "copy": replies.copy,
    "stop": replies.stop,
    "teach": teaching.teach,
    "prefer": teaching.prefer,
    "versions": versions.versions,
    "rollback": versions.rollback,
    "right": verdicts.right,
    "wrong": verdicts.wrong,
    "show": document.show,
    "warnings": document.warnings,
    "edit": document.edit,
    "train": document.train,
    "history": keeping.history,
    "save": keeping.save,
    "load": keeping.load,
    "clear": keeping.clear,
    "model": engine.model,
    "restart": engine.restart,
    "help": engine.help_,
    "exit": engine.exit_,
}
