"""Corrections in the chat, on a trained document: seconds from the key to both replies, and what came of it.

    python -m benchmarks.teach --home DIR [--document sample_docs/runbook.dlm] [--count 20]

DIR is a home in which the document is trained; document and store are changed, so give it a copy.

`--of answers`: questions of NAME.corrections.yaml here, whose answers the document lacks; each is typed.
`--of wordings`: questions of NAME.probes.yaml beside it and of NAME.more.probes.yaml here, whose answers it
has; each is corrected by the line of its answer, those first that the weights alone get wrong. Either way two
other wordings of each are asked before and at the end, by the weights alone and looked up.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from dlm_core.client import EngineClient
from dlm_core.document import load
from dlm_core.errors import DlmError
from dlm_core.events import Event, Reply, Routing, Token
from dlm_core.requests import Generate, Message, RoutingChoice
from dlm_core.teaching import Edit
from dlm_tui.session import drafts
from dlm_tui.session.commands import TeachAnswer, Teaching, TeachLine
from dlm_tui.session.conversation import Answer, Conversation
from dlm_tui.session.document_state import DocumentState
from dlm_tui.session.front import Asked, Option, ReplySink
from dlm_tui.session.handlers.teaching import correct
from dlm_tui.session.question_log import says_the_same
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Failed, Shown

Ground = Literal["auto", "off"]
GROUNDS: tuple[Ground, ...] = ("off", "auto")


class Silent:
    """A front end (see `session.front.Front`) that shows nothing and keeps the last reply."""

    keys: Mapping[str, str] = {}
    asks_again = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer: Answer | None = None

    def show(self, shown: Shown) -> None:
        if isinstance(shown, Failed):
            raise shown.error

    async def open_reply(self, asked: Asked) -> ReplySink:
        return self

    def routed(self, routing: Routing) -> None: ...

    def token(self, token: Token) -> None: ...

    def finished(self, answer: Answer) -> None:
        self.answer = answer

    def failed(self, error: DlmError | None) -> None:
        raise error or RuntimeError("stopped")

    def run_event(self, event: Event) -> None: ...

    def changed(self) -> None: ...

    def conversation_replaced(self) -> None: ...

    def document_changed(self) -> None: ...

    async def save_document(self) -> bool:
        return True

    def document_text(self) -> str:
        return drafts.read(self.path).text

    async def choose(self, title: str, options: Sequence[Option]) -> int | None:
        return None

    async def write(self, title: str, text: str) -> str | None:
        return None

    async def take_edit(self, edit: Edit, other: Edit | None = None) -> bool:
        drafts.write_edit(edit)
        return True

    async def edit_document(self) -> bool:
        return False

    def copy(self, text: str) -> None: ...

    def leave(self) -> None: ...


@dataclass(frozen=True)
class Wanted:
    """A question and the answer it is to have; a new one where the document lacks it."""

    question: str
    answer: str
    new_in: str = ""
    others: tuple[str, ...] = ()


async def reply_to(session: Session, question: str, ground: Ground = "auto") -> str:
    """The reply to a question alone, as the chat gives it."""
    request = Generate(
        request_id=session.engine.new_id(),
        messages=(Message("user", question),),
        choice=RoutingChoice(ground=ground),
    )
    found = [event async for event in session.engine.stream(request) if isinstance(event, Reply)]
    return found[-1].reply


async def answered(session: Session, asked: Sequence[tuple[str, str]], ground: Ground) -> list[bool]:
    """True for each question whose reply is its answer."""
    return [says_the_same(await reply_to(session, question, ground), answer) for question, answer in asked]


def new_answers(path: Path) -> list[Wanted]:
    """Questions whose answers the document lacks."""
    listed_here = listed(Path(__file__).with_name(path.name), "corrections")
    return [Wanted(m["question"], m["answer"], m["adapter"], tuple(m["others"])) for m in listed_here]


async def new_wordings(session: Session, path: Path) -> list[Wanted]:
    """Questions whose answers the document has, those first that the weights get wrong."""
    asked: dict[str, list[str]] = {}
    for entry in (*listed(path, "probes"), *listed(Path(__file__).with_name(path.name), "more.probes")):
        asked.setdefault(entry["answer"], []).append(entry["question"])
    wrong: list[Wanted] = []
    known: list[Wanted] = []
    for answer, questions in asked.items():
        good = await answered(session, [(question, answer) for question in questions], "off")
        worst = good.index(False) if False in good else 0
        others = tuple(question for question in questions if question != questions[worst])
        (known if all(good) else wrong).append(Wanted(questions[worst], answer, others=others))
    return [*wrong, *known]


async def measure(path: Path, count: int, of: str) -> dict[str, object]:
    document = load(path)
    state = DocumentState(path, None, document.adapter_names, document.dlm_id)
    session = Session(path, EngineClient(), Conversation(), state)
    front = Silent(path)
    session.attach(front)
    await session.start()
    await session.engine.until_ready()
    probes = [(p["question"], p["answer"]) for p in listed(path, "probes")]
    taken = (new_answers(path) if of == "answers" else await new_wordings(session, path))[:count]
    others = [(other, want.answer) for want in taken for other in want.others]
    before = {ground: await answered(session, others, ground) for ground in GROUNDS}
    first = await answered(session, [(want.question, want.answer) for want in taken], "off")
    right = [p for p, good in zip(probes, await answered(session, probes, "auto"), strict=True) if good]
    seconds: list[float] = []
    learned = 0
    for want in taken:
        session.conversation.clear()
        session.replies.ask(want.question)
        await session.idle()
        turn = session.conversation.last
        assert turn is not None
        wish: Teaching = TeachAnswer(want.new_in, want.answer) if want.new_in else line_of(path, want)
        began = time.perf_counter()
        await correct(session, (Message("user", want.question),), turn.answer, wish)
        await session.idle(runs=True)
        seconds.append(time.perf_counter() - began)
        assert front.answer is not None
        learned += says_the_same(front.answer.text, want.answer)
    after = await answered(session, [(want.question, want.answer) for want in taken], "auto")
    found = {ground: await answered(session, others, ground) for ground in GROUNDS}
    kept = await answered(session, right, "auto")
    await session.close()
    return {
        "corrections": len(taken),
        "right_by_weights_before": sum(first),
        "seconds_median": round(statistics.median(seconds), 1),
        "seconds": [round(value, 1) for value in seconds],
        "right_at_once": learned,
        "right_at_the_end": sum(after),
        "other_wordings": len(others),
        "others_right_before_by_weights_and_looked_up": [sum(before[ground]) for ground in GROUNDS],
        "others_right_by_weights": sum(found["off"]),
        "others_right_looked_up": sum(found["auto"]),
        "others_wrong_looked_up": [
            asked for (asked, _), good in zip(others, found["auto"], strict=True) if not good
        ],
        "right_before": len(right),
        "still_right": sum(kept),
    }


def listed(path: Path, kind: str) -> list[dict[str, Any]]:
    """The entries of NAME.KIND.yaml beside the document, none where it is not there."""
    beside = path.with_name(f"{path.stem}.{kind}.yaml")
    return yaml.safe_load(beside.read_text("utf-8")) if beside.is_file() else []


def line_of(path: Path, want: Wanted) -> TeachLine:
    """Where the document has an answer."""
    asked = [q for s in load(path).sections for q in s.questions if q.answer == want.answer]
    return TeachLine(asked[0].span.line)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--document", type=Path, default=Path("sample_docs/runbook.dlm"))
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--of", choices=["answers", "wordings"], default="answers")
    chosen = parser.parse_args()
    os.environ["DLM_HOME"] = str(chosen.home.absolute())
    print(json.dumps(asyncio.run(measure(chosen.document.absolute(), chosen.count, chosen.of)), indent=1))


if __name__ == "__main__":
    main()
