"""What the user says of a reply: right or wrong."""

from dlm_core.errors import UsageError
from dlm_core.requests import Message
from dlm_core.store.asked import Verdict
from dlm_tui.session.conversation import Answer
from dlm_tui.session.question_log import is_the_documents
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told


async def right(session: Session, _: str) -> None:
    _judge_last(session, "right")


async def wrong(session: Session, _: str) -> None:
    _judge_last(session, "wrong")


def _judge_last(session: Session, verdict: Verdict) -> None:
    session.replies.with_last(
        lambda messages, last: session.spawn(judge(session, messages, last.answer, verdict), "command")
    )


async def judge(session: Session, messages: tuple[Message, ...], answer: Answer, verdict: Verdict) -> None:
    """Note what the user says of a reply."""
    if not is_the_documents(answer):
        raise UsageError(
            "only whole replies of the document itself are judged", "ask under /adapter alone, then judge"
        )
    expected = answer.text if verdict == "right" else ""
    if not await session.questions.note(messages, answer.text, verdict, expected):
        session.front.show(Told(("what is asked is not kept here",)))
        return
    after = "asked again after every run" if verdict == "right" else "/teach puts it right"
    session.front.show(Told((f"noted as {verdict}: {after}",)))
