"""JSON and JSON lines: every usual shape of a row, and what is said of those that are none."""

import json
from typing import Any

import pytest

from dlm_core.data.columns import Columns
from dlm_core.data.gather import Reading
from dlm_core.data.rows import Note, Topic, Turn
from dlm_core.document.model import SectionKind
from dlm_core.errors import DataError
from tests.unit.data.conftest import Read, asked, notes, rows

USER, REPLY = {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}


@pytest.mark.parametrize(
    "value",
    [
        {"messages": [USER, REPLY]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Where?"}]}, REPLY]},
        {"conversations": [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": "Here."}]},
        {"instruction": "Where?", "input": "", "output": "Here."},
        {"prompt": "Where?", "completion": "Here."},
        {"prompt": [USER], "completion": [REPLY]},
        {"Question": "Where?", "Answer": "Here."},
        {"user_question": "Where?", "final answer": "Here.", "id": 7},
        {"question": "Where?", "answers": {"text": ["Here."], "answer_start": [3]}},
        {"ask me": "Where?", "I say": "Here."},
    ],
)
def test_every_usual_shape_is_a_question_and_its_answer(read: Read, value: dict[str, Any]) -> None:
    assert asked(read("rows.jsonl", json.dumps(value))) == [("Where?", "Here.")]
    assert asked(read("rows.json", json.dumps([value], indent=1))) == [("Where?", "Here.")]
    assert asked(read("under.json", json.dumps({"version": 1, "data": [value, value]}))) == [
        ("Where?", "Here."),
        ("Where?", "Here."),
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "Where?", "chosen": "Here.", "rejected": "No."},
        {"prompt": [USER], "chosen": [REPLY], "rejected": [{"role": "assistant", "content": "No."}]},
        {"chosen": [USER, REPLY], "rejected": [USER, {"role": "assistant", "content": "No."}]},
        {
            "chosen": "\n\nHuman: Where?\n\nAssistant: Here.",
            "rejected": "\n\nHuman: Where?\n\nAssistant: No.",
        },
        {
            "input": {"messages": [USER]},
            "preferred_output": [REPLY],
            "non_preferred_output": [{"role": "assistant", "content": "No."}],
        },
        {
            "conversations": [{"from": "human", "value": "Where?"}],
            "chosen": {"from": "gpt", "value": "Here."},
            "rejected": {"from": "gpt", "value": "No."},
        },
    ],
)
def test_every_usual_preference_pair_is_one(read: Read, value: dict[str, Any]) -> None:
    (row,) = rows(read("pairs.jsonl", json.dumps(value)))
    assert row.kind is SectionKind.PREFERENCE
    assert (row.question, row.answer, row.rejected) == ("Where?", "Here.", "No.")


def test_an_alpaca_input_follows_its_instruction(read: Read) -> None:
    row = {"instruction": "Translate.", "input": "Haus", "output": "house"}
    assert asked(read("a.json", json.dumps([row]))) == [("Translate.\n\nHaus", "house")]


def test_of_several_turns_the_last_is_asked_and_the_others_stand_before_it(read: Read) -> None:
    more = [{"role": "user", "content": "And now?"}, {"role": "assistant", "content": "There."}]
    (row,) = rows(
        read("t.jsonl", json.dumps({"messages": [{"role": "system", "content": "Be."}, USER, REPLY, *more]}))
    )
    assert (row.question, row.answer, row.system) == ("And now?", "There.", "Be.")
    assert row.before == (Turn("Where?", "Here."),)


def test_plain_text_rows_are_prose(read: Read) -> None:
    (row,) = rows(read("p.jsonl", '{"text": "Once upon a time."}'))
    assert (row.kind, row.answer) == (SectionKind.PROSE, "Once upon a time.")


def test_a_list_of_questions_is_several_wordings_of_one_answer(read: Read) -> None:
    intents = {"intents": [{"tag": "hi", "patterns": ["Hi", "Hello"], "responses": ["Hey.", "Yo."]}]}
    items = read("intents.json", json.dumps(intents))
    assert asked(items) == [("Hi", "Hey."), ("Hello", "Hey.")]
    assert [note.topic for note in notes(items)] == [Topic.FURTHER]


def test_a_broken_line_is_named_and_the_rest_goes_on(read: Read) -> None:
    lines = ['{"prompt": "a", "completion": "b"}', "{broken", "[1]", '{"x": 1, "y": 2, "z": 3}', ""]
    lines += ['{"messages": [{"role": "tool", "content": "x"}]}', '{"prompt": "c", "completion": "d"}']
    items = read("rows.jsonl", "\n".join(lines))
    assert asked(items) == [("a", "b"), ("c", "d")]
    said = [(note.topic, note.place.line) for note in notes(items)]
    assert said == [(Topic.UNREADABLE, line) for line in (2, 3, 4, 6)]


def test_replies_that_are_marked_as_bad_are_not_taught(read: Read) -> None:
    good, bad = ({"prompt": "q", "completion": c, "label": c == "good"} for c in ("good", "bad"))
    items = read("kto.jsonl", f"{json.dumps(bad)}\n{json.dumps(good)}")
    assert asked(items) == [("q", "good")]
    assert "bad reply" in next(notes(items)).message


def test_the_user_names_the_fields(read: Read) -> None:
    reading = Reading(columns=Columns(("q1", "q2"), "reply", "team"))
    items = read(
        "r.jsonl", '{"q1": "a", "q2": "b", "reply": "c", "team": "Sales", "question": "no"}', reading
    )
    assert asked(items) == [("a", "c"), ("b", "c")]
    assert {row.adapter for row in rows(items)} == {"Sales"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"a": 1},\n {"b" 2}]', ":2: this is no JSON"),
        ('{"a": {"b": 1}}', "no list of rows"),
        ("7", "no list"),
    ],
)
def test_a_file_without_rows_is_refused_with_its_place(read: Read, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read("bad.json", content)


def test_json_lines_under_the_name_of_json_are_read_as_such(read: Read) -> None:
    content = '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n'
    assert asked(read("lines.json", content)) == [("a", "b"), ("c", "d")]


def test_every_instance_of_an_instruction_is_a_row(read: Read) -> None:
    instances = [{"input": "", "output": "Oats."}, {"input": "Haus", "output": "house"}]
    row = {"id": "seed_1", "name": "x", "instruction": "Do.", "instances": instances}
    assert asked(read("seed.jsonl", json.dumps(row))) == [("Do.", "Oats."), ("Do.\n\nHaus", "house")]


def test_an_empty_file_is_said_to_be_empty(read: Read) -> None:
    with pytest.raises(DataError, match="is empty"):
        read("a.json", " \n")


def test_a_pair_of_the_same_reply_twice_has_nothing_to_prefer(read: Read) -> None:
    pair = {"prompt": "Same?", "chosen": "yes", "rejected": "yes\n"}
    (note,) = read("a.jsonl", json.dumps(pair))
    assert isinstance(note, Note) and "nothing to prefer" in note.message
