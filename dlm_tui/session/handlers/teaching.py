"""Replies corrected in the document: a wording, an answer, a preference, a line of the off-topic list."""

import asyncio

import msgspec

from dlm_core import teaching
from dlm_core.errors import UsageError
from dlm_core.events import Routing
from dlm_core.reports import ProbeReply
from dlm_core.requests import Message, RoutingChoice
from dlm_core.teaching import Edit
from dlm_tui.session import should_have_said
from dlm_tui.session.commands import TeachAnswer, Teaching, TeachLine, TeachNone, parse_prefer, parse_teach
from dlm_tui.session.conversation import Answer
from dlm_tui.session.corrections import Correction
from dlm_tui.session.file_watch import stamp_of
from dlm_tui.session.live_routing import choice_of
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told


async def teach(session: Session, argument: str) -> None:
    wish = parse_teach(argument, session.adapters)

    async def begin() -> None:
        messages = session.conversation.messages_of_last()
        last = session.conversation.last
        assert last is not None
        correct(session, messages, last.answer, wish)

    session.replies.in_turn(begin)


async def prefer(session: Session, argument: str) -> None:
    newer = parse_prefer(argument)

    async def begin() -> None:
        messages = session.conversation.messages_of_last()
        last = session.conversation.last
        assert last is not None
        if not last.others:
            raise UsageError("there is one reply to the last question", "/again asks for another")
        pair = (last.answer, last.others[-1])
        choose_between(session, messages, *(pair if newer else pair[::-1]))

    session.replies.in_turn(begin)


def correct(
    session: Session, messages: tuple[Message, ...], answer: Answer, wish: Teaching | None = None
) -> None:
    """Correct a reply beside everything else; without a wish the user is asked what it should have said."""
    session.spawn(_corrected(session, messages, answer, wish), "command")


def reply_of(reply: ProbeReply) -> tuple[tuple[Message, ...], Answer]:
    """What a probe asked, and its reply as one of the chat."""
    routing = Routing(mode="auto", weights=reply.routing, reason="evaluated")
    answer = Answer(text=reply.reply, finish_reason="stop", routing=routing)
    return (Message("user", reply.question),), answer


def choose_between(session: Session, messages: tuple[Message, ...], chosen: Answer, rejected: Answer) -> None:
    """Teach to prefer one of two replies to the same question."""
    session.spawn(_preferred(session, messages, chosen, rejected), "command")


async def _corrected(
    session: Session, messages: tuple[Message, ...], answer: Answer, wish: Teaching | None
) -> None:
    async with session.asking:
        edit = (
            await should_have_said.ask(session, messages, answer)
            if wish is None
            else await _wished(session, messages[-1].content, wish)
        )
        if edit is not None:
            await _taken(session, edit, messages, answer)


async def _wished(session: Session, question: str, wish: Teaching) -> Edit:
    path, text = session.path, session.front.document_text()
    match wish:
        case TeachLine(line):
            if session.replied_at is not None and session.replied_at != stamp_of(path):
                raise UsageError(
                    f"{path.name} changed since the reply, and line {line} may be another now",
                    "ask again: the reply names the line",
                )
            return await asyncio.to_thread(teaching.add_wording, path, text, line, question)
        case TeachAnswer(adapter, said):
            return await asyncio.to_thread(teaching.add_answer, path, text, adapter, question, said)
        case TeachNone():
            return should_have_said.nothing(path, question)


async def _preferred(
    session: Session, messages: tuple[Message, ...], chosen: Answer, rejected: Answer
) -> None:
    adapter = should_have_said.meant(chosen, session.adapters) or should_have_said.meant(
        rejected, session.adapters
    )
    async with session.asking:
        path, text = session.path, session.front.document_text()
        edit = await asyncio.to_thread(
            teaching.add_preference, path, text, adapter, messages[-1].content, chosen.text, rejected.text
        )
        await _taken(session, edit, messages, rejected)


async def _taken(session: Session, edit: Edit, messages: tuple[Message, ...], answer: Answer) -> None:
    if not await session.front.take_edit(edit):
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
