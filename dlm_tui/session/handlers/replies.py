"""Replies once more, explained, copied, stopped."""

from dlm_core.errors import UsageError
from dlm_core.requests import RoutingChoice
from dlm_tui.session.commands import parse_again
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told, WhyShown

_BARE = RoutingChoice(mode="base")


async def again(session: Session, argument: str) -> None:
    session.replies.again(parse_again(argument, session.adapters))


async def base(session: Session, argument: str) -> None:
    if argument:
        session.replies.ask(argument, _BARE, keep=False)
    else:
        session.replies.again(_BARE)


async def why(session: Session, argument: str) -> None:
    del argument

    async def explain() -> None:
        messages = session.conversation.messages_of_last()
        last = session.conversation.last
        assert last is not None
        session.front.show(WhyShown(messages, last.answer, await session.explain(messages, last.answer)))

    session.replies.in_turn(explain)


async def copy(session: Session, argument: str) -> Told:
    del argument
    last = session.conversation.last
    if last is None:
        raise UsageError("there is no reply to copy yet", "ask something first")
    session.front.copy(last.answer.text)
    return Told(("sent to the clipboard",))


async def stop(session: Session, argument: str) -> Told | None:
    del argument
    stopped = [session.interrupt_reply(), session.interrupt_run()]
    return None if any(stopped) else Told(("nothing is under way",))
