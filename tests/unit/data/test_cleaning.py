"""From rows to sections: what is merged, what is left out, and that it is all said."""

import json
from pathlib import Path

import pytest

from dlm_core.data import cleaning
from dlm_core.data.columns import Columns
from dlm_core.data.gather import Reading
from dlm_core.data.importing import Wanted, prepare
from dlm_core.data.rows import Topic, Turn
from dlm_core.document import parse_text
from dlm_core.errors import DataError, UsageError
from tests.unit.data.conftest import Prepare


def table(*rows: tuple[str, ...]) -> str:
    return "".join(
        ",".join(json.dumps(cell) for cell in row) + "\n" for row in (("question", "answer"), *rows)
    )


def test_rows_with_the_same_answer_are_wordings_of_one_section(imported: Prepare) -> None:
    done = imported("a.csv", table(("Where?", "Here."), ("Who?", "Me."), ("In which place?", "Here.")))
    assert [(e.texts, e.answer, e.rows) for e in done.changes.added] == [
        (("Where?", "In which place?"), "Here.", (1, 3)),
        (("Who?",), "Me.", (2,)),
    ]
    assert done.notes.count(Topic.WORDING) == 1


def test_repeated_and_empty_rows_are_left_out_and_named(imported: Prepare) -> None:
    done = imported("a.csv", table(("Where?", "Here."), ("Where?", "Here."), ("Who?", " "), ("", "Me.")))
    assert len(done.changes.added) == 1
    assert [n.place.line for n in done.notes.of(Topic.DUPLICATE)] == [3]
    assert [n.place.line for n in done.notes.of(Topic.EMPTY)] == [4, 5]


def test_near_duplicates_are_named_and_left_out_only_if_that_is_wanted(imported: Prepare) -> None:
    one = "How do I open the big door of the old house?"
    rows = table(
        (one, "Push."),
        (one.replace("big", "red"), "Push."),
        ("Where is it?", "Here."),
        ("where is it", "here"),
    )
    done = imported("a.csv", rows)
    assert done.notes.count(Topic.NEAR) == 2
    assert sum(len(e.texts) for e in done.changes.added) == 4
    dropped = imported("a.csv", rows, Wanted(drop_near=True))
    assert sum(len(e.texts) for e in dropped.changes.added) == 2


def test_a_question_with_two_answers_is_named(imported: Prepare) -> None:
    done = imported("a.csv", table(("Where?", "Here."), ("where", "There.")))
    (note,) = done.notes.of(Topic.CONFLICT)
    assert "a.csv:2" in note.message and note.place.line == 3


def test_rows_that_are_too_long_are_counted_and_kept(imported: Prepare) -> None:
    done = imported("a.csv", table(("Where?", "here " * 3000)))
    assert done.notes.count(Topic.TOO_LONG) == 1
    assert len(done.changes.added) == 1


def test_the_system_message_of_most_rows_is_the_document_s_and_others_are_named(imported: Prepare) -> None:
    def row(system: str, n: int) -> str:
        said = [("system", system), ("user", f"q{n}"), ("assistant", f"a{n}")]
        return json.dumps({"messages": [{"role": r, "content": c} for r, c in said]})

    rows = [row("Be brief:\n'now'.", 1), row("Be brief:\n'now'.", 2), row("Be long.", 3)]
    done = imported("a.jsonl", "\n".join(rows))
    document = parse_text(done.text).document
    assert document is not None and document.frontmatter.system_prompt == "Be brief:\n'now'."
    (note,) = done.notes.of(Topic.SYSTEM)
    assert "Be long." in note.message


def test_a_system_message_of_few_rows_is_not_the_document_s(imported: Prepare) -> None:
    rows = [chat(("system", "Be odd."), ("user", "q0"), ("assistant", "a0"))]
    rows += [chat(("user", f"q{n}"), ("assistant", f"a{n}")) for n in range(1, 3)]
    done = imported("a.jsonl", "\n".join(rows))
    document = parse_text(done.text).document
    assert document is not None and document.frontmatter.system_prompt is None
    assert "the document has none" in done.notes.of(Topic.SYSTEM)[0].message


def chat(*said: tuple[str, str]) -> str:
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in said]})


def test_earlier_turns_stand_before_the_last_in_its_section(imported: Prepare) -> None:
    said = (("user", "q"), ("assistant", "### A\na"), ("user", "q2"), ("assistant", "a2"))
    done = imported("a.jsonl", chat(*said))
    assert done.changes.added[0].texts == ("q2",)
    document = parse_text(done.text).document
    assert document is not None
    (asked,) = document.sections[0].questions
    assert asked.before == (Turn("q", " ### A\na"),)
    assert done.notes.count(Topic.SETTLED) == 1 and not done.notes.count(Topic.TURNS)


def test_a_turn_that_is_none_is_left_out_and_named(imported: Prepare) -> None:
    empty = (("user", "q"), ("assistant", " "), ("user", "q2"), ("assistant", "a2"))
    greeted = (("assistant", "Hello!"), ("user", "q3"), ("assistant", "a3"), ("user", "and then?"))
    done = imported("a.jsonl", f"{chat(*empty)}\n{chat(*greeted)}")
    assert [(e.texts, e.before) for e in done.changes.added] == [(("q2",), ()), (("q3",), ())]
    said = [note.message for note in done.notes.of(Topic.TURNS)]
    assert len(said) == 3 and "without answer" in said[0]
    assert "answers nothing" in said[1] and "has no answer" in said[2]


def test_only_what_follows_on_the_same_turns_is_a_wording_a_repetition_or_a_contradiction(
    imported: Prepare,
) -> None:
    def talk(first: str, last: str, answer: str) -> str:
        return chat(("user", first), ("assistant", "Which?"), ("user", last), ("assistant", answer))

    rows = [talk("key", "mine", "x"), talk("key", "my own", "x"), talk("key", "mine", "x")]
    rows += [talk("way", "mine", "x"), talk("way", "mine", "y"), talk("van", "mine", "z")]
    done = imported("a.jsonl", "\n".join(rows))
    assert [(e.before[0].question, e.texts, e.answer) for e in done.changes.added] == [
        ("key", ("mine", "my own"), "x"),
        ("way", ("mine",), "x"),
        ("way", ("mine",), "y"),
        ("van", ("mine",), "z"),
    ]
    counts = [done.notes.count(t) for t in (Topic.WORDING, Topic.DUPLICATE, Topic.CONFLICT)]
    assert counts == [1, 1, 1]


def test_a_conversation_too_long_only_with_its_turns_says_what_is_not_read(imported: Prepare) -> None:
    said = (("user", "q " * 3000), ("assistant", "a"), ("user", "q2"), ("assistant", "a2"))
    (note,) = imported("a.jsonl", chat(*said)).notes.of(Topic.TOO_LONG)
    assert "oldest turns are not read" in note.message


def test_more_than_a_document_holds_is_counted_to_the_end_and_refused(
    imported: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "MAX_DOCUMENT_BYTES", 2000)
    rows = table(*((f"Where is {n}?", f"Here is {n}.") for n in range(500)))
    with pytest.raises(DataError, match="500 rows were read") as raised:
        imported("a.csv", rows)
    assert "--limit" in raised.value.hint
    assert imported("a.csv", rows, Wanted(limit=10)).rows == 10


def test_labels_become_adapters(imported: Prepare) -> None:
    rows = "question,answer,team\na,b,Über uns\nc,d,HR & Pay\ne,f,hr-pay\ng,h,\n"
    done = imported("a.csv", rows, Wanted(Reading(columns=Columns(adapter="team"))))
    assert [e.adapter for e in done.changes.added] == ["uber_uns", "hr_pay", "hr_pay_2", "knowledge"]
    document = parse_text(done.text).document
    assert document is not None and document.adapter_names == ("uber_uns", "hr_pay", "hr_pay_2", "knowledge")
    assert document.frontmatter.training.gate.enabled


def test_an_adapter_for_all_or_for_each_file_or_folder(imported: Prepare) -> None:
    rows = table(("a", "b"))
    assert imported("My FAQ.csv", rows, Wanted(adapter="x")).declared == ("x",)
    assert imported("My FAQ.csv", rows, Wanted(by="file")).declared == ("my_faq",)
    (folder,) = imported("My FAQ.csv", rows, Wanted(by="folder")).declared
    assert folder.startswith("test_an_adapter_for_all")


def test_contradicting_and_impossible_adapters_are_misuse(imported: Prepare) -> None:
    rows = "question,answer,id\n" + "".join(f"q{n},a{n},id{n}\n" for n in range(40))
    for wanted in (
        Wanted(adapter="x", by="file"),
        Wanted(adapter="No Good"),
        Wanted(Reading(columns=Columns(adapter="id"))),
    ):
        with pytest.raises(UsageError):
            imported("a.csv", rows, wanted)


def test_topics_are_found_by_words_and_named_by_them(imported: Prepare) -> None:
    garden = ["beans", "garlic", "apples", "leeks", "roses", "onions", "carrots", "peas"]
    bills = ["refund", "receipt", "discount", "payment", "tax", "card", "voucher", "price"]
    rows = [
        (f"When do I plant {w} in the garden soil?", f"Plant {w} in the garden in spring.") for w in garden
    ]
    rows += [(f"Why does my invoice show a {w}?", f"The invoice shows the {w} of your order.") for w in bills]
    done = imported("a.csv", table(*rows), Wanted(by="auto"))
    by_adapter = {entry.texts[0].split()[1]: entry.adapter for entry in done.changes.added}
    assert len(done.topics) == 2
    assert (
        len({e.adapter for e in done.changes.added[:8]}) == 1 != len({e.adapter for e in done.changes.added})
    )
    assert by_adapter["do"] != by_adapter["does"]
    assert all(topic.words and topic.sections == 8 for topic in done.topics)
    with pytest.raises(DataError, match="too few"):
        imported("b.csv", table(*rows[:3]), Wanted(by="auto"))


def test_a_file_that_gives_nothing_is_named_and_one_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer\nWho?,Me.\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.json").write_text('[{"a": 1},\n]')
    done = prepare([str(tmp_path)], tmp_path / "new.dlm", None, Wanted())
    assert [str(note.place) for note in done.notes.of(Topic.FILE)] == ["empty.csv"]
    (broken,) = done.notes.of(Topic.UNREADABLE)
    assert str(broken.place) == "broken.json:2" and broken.message.startswith("this is no JSON")
