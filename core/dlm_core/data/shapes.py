"""One JSON object to a row, whichever of the usual shapes it has: chat, ShareGPT, Alpaca, prompt and
completion, preference pairs in several spellings, plain text, or columns with names of their own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dlm_core.data.columns import Columns, find_columns
from dlm_core.data.conversations import Conversation, Unfit, read_conversation, text_of
from dlm_core.data.rows import Item, Note, Place, Row, Topic, Turn
from dlm_core.document.model import SectionKind

_LISTS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns")
_PAIRS = (
    ("chosen", "rejected"),
    ("preferred_output", "non_preferred_output"),
    ("preferred", "rejected"),
    ("accepted", "rejected"),
)
_MARKS = ("label", "kto_tag")
"""Where rows for KTO say whether a reply is a good one."""
_SPOKEN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


def read_object(value: Any, place: Place, columns: Columns) -> Iterator[Item]:
    """The rows of one object; a note with the reason where it is none."""
    if not isinstance(value, Mapping):
        yield Note(Topic.UNREADABLE, place, "this is no object with named fields")
        return
    try:
        yield from _rows(value, place, columns)
    except Unfit as error:
        yield Note(Topic.UNREADABLE, place, f"this row is left out: {error}")
    except RecursionError:
        yield Note(Topic.UNREADABLE, place, "this row is left out: it is nested too deeply")


def _rows(value: Mapping[str, Any], place: Place, columns: Columns) -> Iterator[Item]:
    if any(value.get(mark) is False for mark in _MARKS):
        raise Unfit("it is marked as a bad reply")
    adapter = _adapter(value, columns)
    named = bool(columns.questions) or columns.answer is not None
    pair = next(((a, b) for a, b in _PAIRS if a in value and b in value), None)
    if pair is not None and not named:
        yield _preference(value, pair, place, adapter)
        return
    messages = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
    if messages is not None and not named:
        yield from _last_turn(read_conversation(messages), place, adapter, system=_system(value))
        return
    if not named and isinstance(value.get("prompt"), list) and isinstance(value.get("completion"), list):
        talk = read_conversation([*value["prompt"], *value["completion"]])
        yield from _last_turn(talk, place, adapter, system=_system(value))
        return
    if not named and "instruction" in value and "output" in value:
        yield _alpaca(value, place, adapter)
        return
    if not named and "instruction" in value and isinstance(value.get("instances"), list):
        yield from _instances(value, place, adapter)
        return
    names = list(value)
    if not named and len(names) <= 2 + ("adapter" in value) and isinstance(value.get("text"), str):
        yield Row(SectionKind.PROSE, place, answer=value["text"], adapter=adapter)
        return
    found = find_columns(names, columns)
    if found is None:
        raise Unfit("none of its fields is known as question or answer: " + ", ".join(map(str, names))[:80])
    given = value[names[found.answer]]
    if isinstance(given, list) and len(given) > 1 and all(isinstance(item, str) for item in given):
        yield Note(Topic.FURTHER, place, f"{len(given)} answers to one question; the first is taken")
        given = given[0]
    answer = text_of(given)
    for column in found.questions:
        for question in _several(value[names[column]]):
            yield Row(
                SectionKind.INSTRUCTION, place, question, answer, adapter=adapter, system=_system(value)
            )


def _several(value: Any) -> list[str]:
    """The questions in a field: a list of texts holds several wordings."""
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [str(item) for item in value]
    return [text_of(value)]


def _adapter(value: Mapping[str, Any], columns: Columns) -> str | None:
    label = value.get(columns.adapter or "adapter")
    return str(label) if isinstance(label, str | int) and str(label).strip() else None


def _system(value: Mapping[str, Any]) -> str:
    given = value.get("system", value.get("system_prompt"))
    return given if isinstance(given, str) else ""


def _last_turn(talk: Conversation, place: Place, adapter: str | None, system: str = "") -> Iterator[Item]:
    if not talk.turns:
        raise Unfit("nothing in it is asked and answered")
    if talk.unasked:
        yield Note(Topic.TURNS, place, "its first reply answers nothing, and is left out")
    if talk.pending:
        yield Note(Topic.TURNS, place, "its last question has no answer, and is left out")
    *before, last = talk.turns
    yield Row(
        SectionKind.INSTRUCTION,
        place,
        last.question,
        last.answer,
        adapter=adapter,
        before=tuple(before),
        system=talk.system or system,
    )


def _alpaca(value: Mapping[str, Any], place: Place, adapter: str | None) -> Row:
    instruction, given = text_of(value["instruction"]), text_of(value.get("input"))
    history = value.get("history")
    before = tuple(
        Turn(text_of(turn[0]), text_of(turn[1]))
        for turn in (history if isinstance(history, list) else ())
        if isinstance(turn, list) and len(turn) == 2
    )
    question = f"{instruction}\n\n{given}" if given.strip() and instruction.strip() else instruction or given
    return Row(
        SectionKind.INSTRUCTION,
        place,
        question,
        text_of(value["output"]),
        adapter=adapter,
        before=before,
        system=_system(value),
    )


def _instances(value: Mapping[str, Any], place: Place, adapter: str | None) -> Iterator[Row]:
    """The rows of one instruction with several inputs and outputs, as Self-Instruct writes them."""
    for instance in value["instances"]:
        if not isinstance(instance, Mapping) or "output" not in instance:
            raise Unfit("an instance of it has no output")
        yield _alpaca({**value, "input": "", **instance}, place, adapter)


def _preference(value: Mapping[str, Any], pair: tuple[str, str], place: Place, adapter: str | None) -> Row:
    chosen, before = _reply(value[pair[0]])
    rejected, _ = _reply(value[pair[1]])
    if chosen.strip() == rejected.strip() and chosen.strip():
        raise Unfit("chosen and rejected are the same text, so there is nothing to prefer")
    prompt = _prompt(value)
    if prompt is None and before is None:
        raise Unfit("it has two replies and no prompt")
    talk = prompt if prompt is not None else before
    assert talk is not None
    return Row(
        SectionKind.PREFERENCE,
        place,
        talk.pending,
        chosen,
        rejected,
        adapter=adapter,
        before=talk.turns,
        system=talk.system or _system(value),
    )


def _prompt(value: Mapping[str, Any]) -> Conversation | None:
    """What a preference pair is about: a text, or a conversation that ends in a question."""
    given = next((value[key] for key in (*_LISTS, "prompt", "question", "instruction", "query", "input")
                  if value.get(key)), None)  # fmt: skip
    if isinstance(given, Mapping):
        given = given.get("messages")
    if isinstance(given, list):
        return read_conversation(given)
    if isinstance(given, str):
        spoken = _spoken(given)
        if spoken is not None:
            return spoken
        more = value.get("input")
        if "instruction" in value and isinstance(more, str) and more.strip() and given != more:
            given = f"{given}\n\n{more}"
        return Conversation((), pending=given)
    return None


def _reply(value: Any) -> tuple[str, Conversation | None]:
    """The last answer of a reply, and the conversation before it where the reply holds all of it."""
    if isinstance(value, str):
        spoken = _spoken(value)
        if spoken is None or not spoken.turns:
            return value, None
        *before, last = spoken.turns
        return last.answer, Conversation(tuple(before), spoken.system, last.question)
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        talk = read_conversation(value)
        if talk.turns:
            *before, last = talk.turns
            return last.answer, Conversation(tuple(before), talk.system, last.question)
        return "\n\n".join(text_of(item) for item in value), None
    return text_of(value), None


def _spoken(text: str) -> Conversation | None:
    """A conversation written as `Human: …` and `Assistant: …` paragraphs; None for any other text."""
    parts = _SPOKEN.split(text)
    if len(parts) < 3 or parts[0].strip():
        return None
    said = zip(parts[1::2], parts[2::2], strict=True)
    return read_conversation(
        [{"role": role, "content": words.strip()} for role, words in said if words.strip()]
    )
