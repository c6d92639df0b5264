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
