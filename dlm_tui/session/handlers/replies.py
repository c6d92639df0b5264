"""Replies once more, from another section, explained, copied, stopped."""

import msgspec

from dlm_core.errors import UsageError
from dlm_core.requests import Message, RoutingChoice
from dlm_tui.session.commands import parse_again, parse_other
from dlm_tui.session.conversation import Answer
from dlm_tui.session.front import Asked
from dlm_tui.session.live_routing import choice_of
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


async def other(session: Session, argument: str) -> None:
    line = parse_other(argument)

    session.replies.with_last(
        lambda messages, last: session.spawn(take_other(session, messages, last.answer, line), "command")
    )


async def take_other(
    session: Session, messages: tuple[Message, ...], answer: Answer, line: int | None = None
) -> None:
    """Ask once more, to be answered from another section: the one at `line`, or the likeliest other one.

    Raises UsageError where no other section fits.
    """
    citation = answer.citation
    places = citation.see_also if citation is not None and line is None else ()
    if not places:
        places = await session.places(messages, answer)
    own = citation.question if citation is not None else ""
    for place in places:
        there = place.line is not None and place.line <= (line or 0) <= (place.end_line or place.line)
        if place.question and (there if line is not None else place.question != own):
            choice = msgspec.structs.replace(choice_of(answer.routing), section=place.question)
            session.replies.ask_in_place(Asked(messages, choice, answer))
            return
    if line is None:
        raise UsageError("no other section fits the question", "/teach gives it an answer")
    raise UsageError(
        f"no answer to the question stands at line {line}",
        f"/why lists those that fit; /teach {line} makes it one",
    )


async def why(session: Session, _: str) -> None:
    async def explain() -> None:
        messages, last = session.conversation.asked_last()
        await show_why(session, messages, last.answer)

    session.replies.in_turn(explain)


async def show_why(session: Session, messages: tuple[Message, ...], answer: Answer) -> None:
    """Show what stands behind a reply to `messages`."""
    session.front.show(WhyShown(messages, answer, await session.explain(messages, answer)))


async def copy(session: Session, _: str) -> Told:
    last = session.conversation.last
    if last is None:
        raise UsageError("there is no reply to copy yet", "ask something first")
    session.front.copy(last.answer.text)
    return Told(("sent to the clipboard",))


async def stop(session: Session, _: str) -> Told | None:
    stopped = [session.interrupt_reply(), session.interrupt_run()]
    return None if any(stopped) else Told(("nothing is under way",))
