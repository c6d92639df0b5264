"""What a reply should have been, as a front end asks: sections that fit, another answer, nothing of it."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from dlm_core import teaching
from dlm_core.document.beside import offtopic_path
from dlm_core.document.model import Document, Question, Section
from dlm_core.document.parse import parse_text
from dlm_core.errors import DlmError
from dlm_core.events import Place
from dlm_core.requests import Message
from dlm_core.safetext import visible_line
from dlm_tui.session import drafts
from dlm_tui.session.commands import TeachAnswer, Teaching, TeachLine, TeachNone
from dlm_tui.session.conversation import Answer
from dlm_tui.session.front import Option
from dlm_tui.session.session import Session
from dlm_tui.session.turns_kept import Offer, offered

OFFERED = 5
"""Sections that are offered at most."""

_Asked = tuple[Section, Question]


async def ask(
    session: Session, messages: tuple[Message, ...], answer: Answer, turns: bool | None = None
) -> Offer | None:
    """Let the user say what a reply should have been; the edit that teaches it, None where that is declined.

    `turns`: whether a section keeps the turns before the question; None where its words are to tell.
    Raises DlmError for a document that has errors, and for an edit that cannot be made.
    """
    path, text, question = session.path, session.front.document_text(), messages[-1].content
    found = await _found(session, messages, answer)
    sections = await asyncio.to_thread(_offered, path, text, question, found)
    gate = meant(answer, session.adapters)
    others = len(session.adapters) > 1
    options = [_option(asked, found) for asked in sections]
    options.append(Option("another answer …", "a section of its own", gate))
    if others:
        options.append(Option("another answer, in another adapter …"))
    options.append(Option("not for the document", f"the question joins {offtopic_path(path).name}"))
    chosen = await session.front.choose(f"“{visible_line(question)}” should have said", options)
    if chosen is None:
        return None
    if chosen < len(sections):
        return await offer_of(path, text, messages, TeachLine(sections[chosen][1].span.line), turns)
    if chosen == len(options) - 1:
        return await offer_of(path, text, messages, TeachNone(), turns)
    if chosen == len(sections) + 1 or gate is None:
        names = session.adapters
        picked = await session.front.choose("in which adapter?", [Option(n, adapter=n) for n in names])
        if picked is None:
            return None
        gate = names[picked]
    said = await session.front.write(f"the answer, in {gate}", answer.text)
    if said is None:
        return None
    return await offer_of(path, text, messages, TeachAnswer(gate, said), turns)


async def offer_of(
    path: Path, text: str, messages: Sequence[Message], wish: Teaching, turns: bool | None
) -> Offer:
    """The edit of a document's `text` that teaches the last of `messages` as is wished; `turns` as for `ask`.

    Raises DlmError where it cannot be made.
    """
    question = messages[-1].content
    match wish:
        case TeachLine(line):
            return await offered(
                messages, turns, lambda before: teaching.add_wording(path, text, line, question, before)
            )
        case TeachAnswer(adapter, said):
            return await offered(
                messages,
                turns,
                lambda before: teaching.add_answer(path, text, adapter, question, said, before),
            )
        case TeachNone():
            return Offer(teaching.add_offtopic(path, drafts.read(offtopic_path(path)).text, question))


def meant(answer: Answer, adapters: Sequence[str]) -> str | None:
    """The adapter that had the most weight in a reply; None where none had any."""
    weights = {name: weight for name, weight in answer.routing.weights.items() if name in adapters}
    best = max(weights, key=weights.__getitem__, default=None)
    if best is not None and weights[best] > 0:
        return best
    return adapters[0] if len(adapters) == 1 else None


async def _found(session: Session, messages: tuple[Message, ...], answer: Answer) -> tuple[Place, ...]:
    """The sections that search finds, best first; none where the engine cannot say."""
    try:
        return await session.places(messages, answer)
    except DlmError:
        return ()


def _offered(path: Path, text: str, question: str, found: Sequence[Place]) -> list[_Asked]:
    """The questions that were found, as the text has them; where none was, those that share most words."""
    document = parse_text(text, path).document
    if document is None:
        return []  # the edit will say what is wrong
    there = _questions(document)
    offered: dict[int, _Asked] = {}
    for place in found:
        if place.question and (asked := _at(there, place)) is not None:
            offered.setdefault(asked[1].span.line, asked)
    if not offered:
        ranked = sorted(there, key=lambda asked: -_likeness(question, asked[1]))
        offered = {a[1].span.line: a for a in ranked if _likeness(question, a[1]) > 0}
    fresh = (asked for asked in offered.values() if question not in asked[1].wordings)
    return list(fresh)[:OFFERED]


def _questions(document: Document) -> list[_Asked]:
    return [(section, asked) for section in document.sections for asked in section.questions]


def _at(there: Sequence[_Asked], place: Place) -> _Asked | None:
    """The question at a place: by its words, for its line may have moved since."""
    alike = [a for a in there if a[1].question == place.question and a[0].adapter == place.adapter]
    return min(alike, key=lambda a: abs(a[1].span.line - (place.line or 0)), default=None)


def _likeness(question: str, asked: Question) -> float:
    """The share of words that a question has in common with the nearest wording."""
    mine = _words(question)
    return max(len(mine & other) / max(1, len(mine | other)) for other in map(_words, asked.wordings))


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.casefold()) if len(word) > 2}


def _option(asked: _Asked, found: Sequence[Place]) -> Option:
    section, question = asked
    likely = next((p.probability for p in found if p.question == question.question), None)
    share = f" · {likely:.0%}".replace("%", " %") if likely is not None else ""
    label = f"line {question.span.line}{share}  {visible_line(question.question)}"
    return Option(label, visible_line(question.answer), section.adapter)
