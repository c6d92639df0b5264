"""The conversation as a whole: listed, saved, loaded, begun anew."""

from pathlib import Path

from dlm_core.errors import UsageError
from dlm_tui.session.conversation import describe
from dlm_tui.session.session import Session
from dlm_tui.session.shown import HistoryShown, Told
from dlm_tui.session.wording import counted


async def history(session: Session, _: str) -> HistoryShown:
    return HistoryShown(tuple(session.conversation.turns))


async def save(session: Session, argument: str) -> Told:
    return save_as(session, _file(argument, "/save"))


def save_as(session: Session, path: Path) -> Told:
    """Write the conversation to `path`, and say so."""
    session.conversation.save(path)
    return Told((f"saved as {path}",))


async def save_beside(session: Session) -> None:
    """Write the conversation beside the document, under a name that is free, and say so."""
    number = 1
    while (path := session.path.with_name(f"{session.path.stem}.chat{number}.md")).exists():
        number += 1
    session.front.show(save_as(session, path))


async def load(session: Session, argument: str) -> Told:
    path = _file(argument, "/load")
    session.conversation.load(path)
    session.front.conversation_replaced()
    session.choice_changed()
    turns = counted(len(session.conversation.turns), "turn")
    return Told((f"{turns} from {path}; {describe(session.conversation.choice)}",))


async def clear(session: Session, _: str) -> Told:
    count = len(session.conversation.turns)
    session.conversation.clear()
    await session.questions.clear()
    session.front.conversation_replaced()
    session.choice_changed()
    return Told((f"a new conversation ({counted(count, 'turn')} forgotten)",))


def _file(argument: str, command: str) -> Path:
    if not argument:
        raise UsageError(f"{command} needs a file name", f"{command} talk.md")
    try:
        return Path(argument).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{argument} names no file: {error}") from error
