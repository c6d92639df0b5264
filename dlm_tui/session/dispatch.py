"""From a line to what it does: a question goes into the session's line, a command to its handler."""

from dlm_core.errors import UsageError
from dlm_core.safetext import whole
from dlm_tui.session.commands import Invocation, read_line
from dlm_tui.session.handlers import HANDLERS
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Entered


def submit(session: Session, line: str) -> None:
    """Take a line that was sent. Nothing is raised: what is wrong is shown."""
    if not line.strip():
        return
    line = whole(line)
    try:
        read = read_line(line)
    except UsageError as error:
        session.fail(error)
        return
    if isinstance(read, str):
        session.replies.ask(read)
    else:
        session.front.show(Entered(line.strip()))
        carry_out(session, read)


def carry_out(session: Session, invocation: Invocation) -> None:
    """Carry a command out beside the rest; what comes of it is shown."""
    session.spawn(_carried_out(session, invocation), "command")


async def _carried_out(session: Session, invocation: Invocation) -> None:
    shown = await HANDLERS[invocation.name](session, invocation.argument)
    if shown is not None:
        session.front.show(shown)
