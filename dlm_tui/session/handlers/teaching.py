"""Replies corrected in the document: a wording, an answer, a preference, a line of the off-topic list."""

from typing import Literal

import msgspec

from dlm_core import teaching
from dlm_core.errors import UsageError
from dlm_core.events import Routing
from dlm_core.reports import ProbeReply
from dlm_core.requests import Message, RoutingChoice
from dlm_tui.session import should_have_said
from dlm_tui.session.commands import Teaching, TeachLine, parse_prefer, parse_teach
from dlm_tui.session.conversation import Answer, Turn
from dlm_tui.session.corrections import Correction
from dlm_tui.session.file_watch import stamp_of
from dlm_tui.session.live_routing import choice_of
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told
from dlm_tui.session.turns_kept import Offer, offered, parse_turns

_ROLES: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")


async def teach(session: Session, argument: str) -> None:
    turns, rest = parse_turns(argument)
    wish = parse_teach(rest, session.adapters)
    session.replies.with_last(
        lambda messages, last: session.spawn(
            correct(session, messages, last.answer, wish, turns=turns), "command"
        )
    )


async def prefer(session: Session, argument: str) -> None:
    turns, rest = parse_turns(argument)
    newer = parse_prefer(rest)

    def between(messages: tuple[Message, ...], last: Turn) -> None:
        if not last.others:
            raise UsageError("there is one reply to the last question", "/again asks for another")
        pair = (last.answer, last.others[-1])
        chosen, rejected = pair if newer else pair[::-1]
        session.spawn(choose_between(session, messages, chosen, rejected, turns=turns), "command")

    session.replies.with_last(between)


async def correct(
    session: Session,
    messages: tuple[Message, ...],
    answer: Answer,
    wish: Teaching | None = None,
    *,
    turns: bool | None = None,
) -> None:
    """Correct a reply; without a wish the user is asked what it should have said.

    `turns`: whether a section keeps the turns before the question; None where its words are to tell.
    """
    async with session.asking:
        offer = (
            await should_have_said.ask(session, messages, answer, turns)
            if wish is None
            else await _wished(session, messages, wish, turns)
        )
        if offer is not None:
            await _taken(session, offer, messages, answer)


def reply_of(reply: ProbeReply) -> tuple[tuple[Message, ...], Answer]:
    """What a probe asked, and its reply as one of the chat."""
    routing = Routing(mode="auto", weights=reply.routing, reason="evaluated")
    answer = Answer(text=reply.reply, finish_reason="stop", routing=routing)
    turns = [Message(role, text) for turn in reply.before for role, text in zip(_ROLES, turn, strict=True)]
    return (*turns, Message("user", reply.question)), answer


async def choose_between(
    session: Session,
    messages: tuple[Message, ...],
    chosen: Answer,
    rejected: Answer,
    *,
    turns: bool | None = None,
) -> None:
    """Teach to prefer one of two replies to the same question; `turns` as for `correct`."""
    adapter = should_have_said.meant(chosen, session.adapters) or should_have_said.meant(
        rejected, session.adapters
    )
    async with session.asking:
        path, text, question = session.path, session.front.document_text(), messages[-1].content
        offer = await offered(
            messages,
            turns,
            lambda before: teaching.add_preference(
                path, text, adapter, question, chosen.text, rejected.text, before
            ),
        )
        await _taken(session, offer, messages, rejected)


async def _wished(
    session: Session, messages: tuple[Message, ...], wish: Teaching, turns: bool | None
) -> Offer:
    path = session.path
    moved = session.replied_at is not None and session.replied_at != stamp_of(path)
    if isinstance(wish, TeachLine) and moved:
        raise UsageError(
            f"{path.name} changed since the reply, and line {wish.line} may be another now",
            "ask again: the reply names the line",
        )
    return await should_have_said.offer_of(path, session.front.document_text(), messages, wish, turns)


async def _taken(session: Session, offer: Offer, messages: tuple[Message, ...], answer: Answer) -> None:
    edit = offer.edit  # the other one has the same file and the same answer
    if not await session.front.take_edit(edit, offer.other):
        return
    if edit.path != session.path:
        session.front.show(Told((f"{edit.path.name} has it now; `dlm eval` asks it",)))
        return
    session.corrections.add(Correction(messages, answer, _choice_of(session, answer), edit.answer))


def _choice_of(session: Session, answer: Answer) -> RoutingChoice:
    """The routing that a reply had, with what is said now of looking prompts up."""
    now = session.conversation.choice
    had = choice_of(answer.routing)
    return now if had.mode == now.mode else msgspec.structs.replace(had, ground=now.ground)
