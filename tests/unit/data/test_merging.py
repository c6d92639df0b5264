"""Importing again: what changed is updated, what the user edited stays, nothing goes without a word."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_core.data.importing import Import, Wanted, prepare
from dlm_core.data.rows import Topic
from dlm_core.document import parse_text
from dlm_core.errors import DocumentError, UsageError

Again = Callable[..., Import]
ROWS = {"Where?": "Here.", "Who?": "Me.", "When?": "Now."}


@pytest.fixture
def again(tmp_path: Path) -> Again:
    """Imports a table of questions and answers into a document's text."""

    def again(rows: dict[str, str], before: str | None = None, wanted: Wanted | None = None) -> Import:
        lines = ["question,answer", *(f"{q},{a}" for q, a in rows.items())]
        (tmp_path / "faq.csv").write_text("\n".join(lines))
        return prepare([str(tmp_path / "faq.csv")], tmp_path / "new.dlm", before, wanted or Wanted())

    return again


def answers(text: str) -> dict[str, str]:
    document = parse_text(text).document
    assert document is not None
    return {w: q.answer for s in document.sections for q in s.questions for w in q.wordings}


def test_the_same_again_changes_nothing(again: Again) -> None:
    first = again(ROWS).text
    second = again(ROWS, first)
    assert second.text == first and not second.writes
    assert second.changes.unchanged == 3


def test_what_changed_is_updated_where_it_stands_and_what_is_new_is_added(again: Again) -> None:
    first = again(ROWS).text
    done = again({"Where?": "There.", "Whose?": "Me.", "When?": "Now.", "Why?": "So."}, first)
    assert answers(done.text) == {"Where?": "There.", "Whose?": "Me.", "When?": "Now.", "Why?": "So."}
    assert list(answers(done.text)) == ["Where?", "Whose?", "When?", "Why?"]
    assert (len(done.changes.updated), len(done.changes.added), done.changes.unchanged) == (2, 1, 1)


def test_what_the_user_edited_stays_and_is_named(again: Again) -> None:
    first = again(ROWS).text.replace("Here.", "Right here.").replace("Me.", "I.")
    done = again({**ROWS, "Where?": "There."}, first)
    assert done.text == first
    assert [(kept.section.questions[0].answer, kept.entry is not None) for kept in done.changes.kept] == [
        ("Right here.", True),
        ("I.", False),
    ]


def test_a_row_that_moved_takes_its_section_along_by_its_comment_alone(again: Again) -> None:
    first = again(ROWS).text
    done = again({"New?": "Yes.", **ROWS}, first)
    assert (len(done.changes.added), len(done.changes.updated), done.changes.unchanged) == (1, 0, 3)
    assert [edit.quiet for edit in done.edits] == [True, True, True, False]
    assert 'from "faq.csv" row 4' in done.text


def test_what_is_gone_is_named_and_taken_out_only_if_that_is_wanted(again: Again) -> None:
    first = again(ROWS).text
    fewer = {"Where?": "Here.", "When?": "Now."}
    done = again(fewer, first)
    assert [section.questions[0].question for section in done.changes.gone] == ["Who?"]
    assert answers(done.text) == ROWS
    pruned = again(fewer, first, Wanted(prune=True))
    assert answers(pruned.text) == fewer
    edited = first.replace("Me.", "I.")
    assert answers(again(fewer, edited, Wanted(prune=True)).text)["Who?"] == "I."


def test_nothing_counts_as_gone_where_not_all_was_read(again: Again) -> None:
    first = again(ROWS).text
    done = again(ROWS, first, Wanted(limit=1, prune=True))
    assert done.text == first and not done.changes.gone
    (said,) = [n.message for n in done.notes.of(Topic.GUESSED) if "columns" not in n.message]
    assert said == "2 sections have no row and stay: not all of it was read"


def test_what_the_user_wrote_is_neither_touched_nor_repeated(again: Again) -> None:
    mine = again({"Other?": "Yes."}).text + "\n::instruction#knowledge::\n### Q\nWhere?\n### A\nHere.\n\n\n"
    done = again(ROWS, mine, Wanted())
    assert done.notes.count(Topic.ALREADY) == 1
    assert done.text.startswith(mine.rstrip("\n"))
    assert answers(done.text) == {"Other?": "Yes.", **ROWS}
    assert not again(ROWS, done.text).writes


def test_line_ends_stay_as_they_are(again: Again) -> None:
    first = again(ROWS).text.replace("\n", "\r\n")
    done = again({**ROWS, "Where?": "There.", "Why?": "So."}, first)
    assert done.text.count("\n") == done.text.count("\r\n")
    assert answers(done.text)["Where?"] == "There."


@pytest.mark.parametrize(
    "training",
    [
        "training:\n  adapters:\n    a: {}\n    b:\n      lora_r: 4 # four\n  gate:\n    enabled: true\n",
        "training:\n  adapters: {a: {}, b: {lora_r: 4}} # here\n  gate: {enabled: true}\n",
        "training:\n  gate: {enabled: true}\n  adapters:\n    a: {}\n    b: {lora_r: 4}\n    # the end\n",
    ],
)
def test_new_adapters_are_declared_beside_the_others(again: Again, training: str) -> None:
    text = f"---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n{training}---\n\nHello.\n"
    done = again(ROWS, text, Wanted(adapter="c"))
    document = parse_text(done.text).document
    assert document is not None and document.adapter_names == ("a", "b", "c")
    assert document.frontmatter.training.adapter_configs()["b"].lora_r == 4
    assert all(comment in done.text for comment in ("# four", "# here", "# the end") if comment in text)
    assert done.declared == ("c",)


def test_a_document_with_several_adapters_has_to_be_told_which(again: Again) -> None:
    front = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n"
    text = f"{front}training: {{adapters: {{a: {{}}, b: {{}}}}}}\n---\nx y\n"
    with pytest.raises(UsageError, match="several adapters"):
        again(ROWS, text)
    assert again(ROWS, text, Wanted(adapter="b")).adapters == (("b", 3),)


def test_rows_of_an_earlier_import_keep_their_adapters_and_new_ones_have_to_be_told(
    again: Again, tmp_path: Path
) -> None:
    front = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n"
    text = f"{front}training: {{adapters: {{a: {{}}, b: {{}}}}}}\n---\nx y\n"
    path = tmp_path / "faq.csv"
    path.write_text("question,answer,adapter\nWhere?,Here.,a\nWho?,Me.,b\n")
    first = prepare([str(path)], tmp_path / "new.dlm", text, Wanted()).text
    assert first.count("::instruction#a::") == first.count("::instruction#b::") == 1
    plain = {"Where?": "There.", "Who?": "Me."}
    done = again(plain, first)
    assert done.adapters == (("a", 1), ("b", 1)) and len(done.changes.updated) == 1
    with pytest.raises(UsageError, match=r"which of them learns `Why\?`"):
        again({**plain, "Why?": "So."}, first)
    assert again({**plain, "Why?": "So."}, first, Wanted(adapter="b", known_stay=True)).adapters == (
        ("b", 2),
        ("a", 1),
    )
    assert again({**plain, "Why?": "So."}, first, Wanted(adapter="b")).adapters == (("b", 3),)


def test_another_row_in_the_place_of_one_is_new_and_that_one_is_gone(again: Again) -> None:
    first = again({"How far is the mill?": "Two miles.", "Who?": "Me."}).text
    done = again({"What do sheep eat in winter?": "Hay, mostly.", "Who?": "Me."}, first)
    assert [entry.texts[0] for entry in done.changes.added] == ["What do sheep eat in winter?"]
    assert len(done.changes.gone) == 1 and not done.changes.updated
    alike = again({"How far away is the mill?": "Three miles.", "Who?": "Me."}, first)
    assert len(alike.changes.updated) == 1 and not alike.changes.gone


def test_the_flat_form_has_no_tags_and_takes_none(again: Again) -> None:
    text = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n---\nx y\n"
    assert again(ROWS, text).adapters == ((None, 3),)
    with pytest.raises(DocumentError, match="declares no adapters"):
        again(ROWS, text, Wanted(adapter="b"))


def test_a_document_that_cannot_be_read_or_would_swallow_sections_is_refused(again: Again) -> None:
    with pytest.raises(DocumentError, match="with errors"):
        again(ROWS, "no document")
    open_block = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n---\ntext\n```\nnever closed\n"
    with pytest.raises(DocumentError, match="without changing others"):
        again(ROWS, open_block)


def without(text: str, question: str) -> str:
    """A document's text without the section that asks a question."""
    sections = text.split("::instruction#knowledge::\n")
    return "::instruction#knowledge::\n".join(part for part in sections if f"\n{question}\n" not in part)


@pytest.mark.parametrize("question", list(ROWS))
def test_a_section_that_was_taken_out_stays_out_and_is_named(again: Again, question: str) -> None:
    less = without(again(ROWS).text, question)
    done = again(ROWS, less)
    assert not done.writes and question not in answers(done.text)
    (note,) = done.notes.of(Topic.TAKEN_OUT)
    assert question in note.message
    assert answers(again(ROWS, less, Wanted(restore=True)).text) == ROWS


def test_what_comes_to_the_source_is_new_though_a_section_was_taken_out(again: Again) -> None:
    less = without(again(ROWS).text, "Who?")
    done = again({"First?": "One.", **ROWS, "Last?": "Nine."}, less)
    assert set(answers(done.text)) == {"Where?", "When?", "First?", "Last?"}
    assert done.notes.count(Topic.TAKEN_OUT) == 1
    later = again({"First?": "One.", **ROWS, "Last?": "Nine."}, without(done.text, "Last?"))
    assert not later.writes and later.notes.count(Topic.TAKEN_OUT) == 2


def test_a_row_that_could_not_be_taken_and_was_mended_is_new(again: Again) -> None:
    first = again({**ROWS, "Who?": ""}).text
    done = again(ROWS, first)
    assert answers(done.text) == ROWS and not done.notes.count(Topic.TAKEN_OUT)


def test_taking_the_comment_out_makes_a_section_the_user_s_own(again: Again) -> None:
    rows = again(ROWS).text.split("\n")
    where = next(i for i, row in enumerate(rows) if "rows 2" in row or "row 2" in row)
    own = "\n".join(rows[:where] + rows[where + 1 :]).replace("Me.", "It is I.")
    done = again(ROWS, own)
    assert not done.writes and answers(done.text)["Who?"] == "It is I."


def test_a_source_under_a_new_name_is_the_one_it_was(again: Again, tmp_path: Path) -> None:
    first = again(ROWS).text.replace("Me.", "I.")  # edited, and so kept
    (tmp_path / "faq.csv").unlink()
    (tmp_path / "help.csv").write_text("question,answer\nWhere?,There.\nWho?,Me.\nWhen?,Now.\n")
    done = prepare([str(tmp_path / "help.csv")], tmp_path / "new.dlm", first, Wanted())
    assert answers(done.text) == {"Where?": "There.", "Who?": "I.", "When?": "Now."}
    assert (len(done.changes.updated), len(done.changes.kept), len(done.changes.added)) == (1, 1, 0)
    assert "faq.csv" not in done.text and done.text.count('from "help.csv"') == 3
    assert "taken for faq.csv" in done.notes.of(Topic.GUESSED)[-1].message


def test_a_copy_beside_its_source_is_another_source(again: Again, tmp_path: Path) -> None:
    first = again(ROWS).text
    (tmp_path / "copy.csv").write_bytes((tmp_path / "faq.csv").read_bytes())
    done = prepare([str(tmp_path / "copy.csv")], tmp_path / "new.dlm", first, Wanted())
    assert not done.writes and done.notes.count(Topic.ALREADY) == 3
