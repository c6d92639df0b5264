"""A correction changes one thing in a document's text, and leaves every other byte as it was."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_core import teaching
from dlm_core.document import Document, parse_text
from dlm_core.document.model import Turn
from dlm_core.errors import DocumentError, UsageError
from dlm_core.teaching import Edit

PATH = Path("doc.dlm")
FRONT = """---
dlm_id: 01HZX3V5J8K2M4N6P7Q8R9S0TA
base_model: smollm2-135m
training:
  adapters: {facts: {}, tone: {}}
---
"""
TEXT = f"""{FRONT}
Prose without a tag.

::instruction#facts::
### Q
What is the limit?

### Q !probe
how much at most

### A
Four hundred.
### Q
Who owns it?
### A
Ada does.

::instruction#tone::
### Q

How do we greet?

### A

Warmly.

::preference#tone::
### Prompt
Say hello.

### Chosen
Good day!

### Rejected
Hi.
"""


def read(text: str) -> Document:
    document = parse_text(text, PATH).document
    assert document is not None
    return document


def line_of(text: str, content: str) -> int:
    return text.split("\n").index(content) + 1


def test_a_wording_stands_before_the_answer_in_the_manner_of_its_section() -> None:
    edit = teaching.add_wording(PATH, TEXT, line_of(TEXT, "What is the limit?"), "How many may I send?")
    assert "how much at most\n\n### Q\nHow many may I send?\n\n### A\nFour hundred." in edit.after
    (first, _) = read(edit.after).sections[1].questions
    assert first.wordings == ("What is the limit?", "How many may I send?")

    tight = teaching.add_wording(PATH, TEXT, line_of(TEXT, "Ada does."), "Whose is it?")
    assert "### Q\nWho owns it?\n### Q\nWhose is it?\n### A\nAda does." in tight.after

    loose = teaching.add_wording(PATH, TEXT, line_of(TEXT, "Warmly."), "How do I say hello?")
    assert "How do we greet?\n\n### Q\n\nHow do I say hello?\n\n### A\n\nWarmly." in loose.after


def test_a_line_means_the_question_it_stands_in_or_the_next_of_its_section() -> None:
    document = read(TEXT)
    for content, question in [
        ("::instruction#facts::", "What is the limit?"),
        ("Four hundred.", "What is the limit?"),
        ("Who owns it?", "Who owns it?"),
        ("::instruction#tone::", "How do we greet?"),
    ]:
        assert teaching.question_at(document, line_of(TEXT, content))[1].question == question
    for content in ("Prose without a tag.", "Good day!", "---"):
        with pytest.raises(UsageError, match="no question is asked"):
            teaching.question_at(document, line_of(TEXT, content))


def test_a_new_answer_is_a_section_behind_the_last_of_its_adapter() -> None:
    edit = teaching.add_answer(PATH, TEXT, "facts", "When is it due?", "On Friday.\nBefore noon.")
    section = "\n::instruction#facts::\n### Q\nWhen is it due?\n\n### A\nOn Friday.\nBefore noon.\n"
    assert f"Ada does.\n{section}\n::instruction#tone::" in edit.after
    assert edit.line == line_of(edit.after, "When is it due?") - 2
    first = teaching.add_answer(PATH, FRONT, "tone", "How do we part?", "With thanks.")
    assert (
        first.after
        == f"{FRONT.rstrip()}\n\n::instruction#tone::\n### Q\nHow do we part?\n\n### A\nWith thanks.\n"
    )


def test_an_answer_to_a_question_that_has_one_takes_its_place() -> None:
    edit = teaching.add_answer(PATH, TEXT, "facts", "Who owns it?", "Grace does.")
    assert edit.after == TEXT.replace("Ada does.", "Grace does.")
    assert "-Ada does." in edit.difference() and "+Grace does." in edit.difference()


def test_a_preference_is_a_section_of_its_adapter() -> None:
    edit = teaching.add_preference(PATH, TEXT, "tone", "Say goodbye.", "Farewell!", "Bye.")
    (_, added) = [p for s in read(edit.after).sections for p in s.preferences]
    assert (added.prompt, added.chosen, added.rejected) == ("Say goodbye.", "Farewell!", "Bye.")
    assert edit.after.startswith(TEXT)


def test_without_declared_adapters_a_section_has_no_tag() -> None:
    flat = "---\ndlm_id: 01HZX3V5J8K2M4N6P7Q8R9S0TA\nbase_model: smollm2-135m\n---\n"
    for adapter in ("default", None):
        assert "\n::instruction::\n" in teaching.add_answer(PATH, flat, adapter, "Why?", "Because.").after


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda: teaching.add_wording(PATH, TEXT, 13, "Who owns it?"), "another answer"),
        (lambda: teaching.add_wording(PATH, TEXT, 13, "What is the limit?"), "already"),
        (lambda: teaching.add_wording(PATH, TEXT, 13, " \n "), "no question"),
        (lambda: teaching.add_wording(PATH, TEXT, 999, "Why?"), "no question is asked"),
        (lambda: teaching.add_answer(PATH, TEXT, "nobody", "Why?", "Because."), "no adapter nobody"),
        (lambda: teaching.add_answer(PATH, TEXT, "facts", "Who owns it?", "Ada does."), "just so"),
        (lambda: teaching.add_answer(PATH, TEXT, "tone", "Who owns it?", "We do."), "and adapter facts"),
        (lambda: teaching.add_answer(PATH, TEXT, "facts", "Why?", ""), "no answer"),
        (lambda: teaching.add_preference(PATH, TEXT, "tone", "Why?", "So.", "So. "), "say the same"),
        (lambda: teaching.add_offtopic(PATH, "Why?\n", " Why? "), "on the list"),
    ],
)
def test_what_would_teach_nothing_or_two_things_at_once_is_refused(change, why: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=why):
        change()


def test_a_question_with_other_wordings_keeps_its_answer() -> None:
    both = teaching.add_wording(PATH, TEXT, 13, "How many may I send?").after
    with pytest.raises(UsageError, match="for this question and others"):
        teaching.add_answer(PATH, both, "facts", "How many may I send?", "Five.")


def test_a_document_with_errors_and_one_that_ends_in_an_open_code_block_are_refused() -> None:
    with pytest.raises(DocumentError, match="has errors, the first on line"):
        teaching.add_answer(PATH, TEXT + "\n::instruction#nobody::\n", "facts", "Why?", "Because.")
    with pytest.raises(DocumentError, match="without changing what else it says"):
        teaching.add_answer(PATH, FRONT + "\n```\nnever closed\n", "facts", "Why?", "Because.")


def test_what_looks_like_a_fence_or_a_heading_stays_text() -> None:
    said = "::instruction#tone::\n### A\nplain\n```\n### Q\n"
    edit = teaching.add_answer(PATH, TEXT, "facts", "### Q\nWhat ends it?", said)
    added = read(edit.after).sections[2].questions[0]
    assert added.question == " ### Q\nWhat ends it?"
    assert added.answer == " ::instruction#tone::\n ### A\nplain\n```\n### Q\n```"


TALK = """
::instruction#facts::
### Q !before
My mail does not come.
### A !before
Which address?
### Q
The one from work.
### A
The filter holds it back.
"""


def test_a_follow_up_gets_wordings_under_its_earlier_turns() -> None:
    text = TEXT + TALK
    edit = teaching.add_wording(PATH, text, line_of(text, "The filter holds it back."), "my office address")
    asked = read(edit.after).sections[-1].questions[0]
    assert asked.wordings == ("The one from work.", "my office address") and len(asked.before) == 1
    assert "The one from work.\n### Q\nmy office address\n### A\nThe filter" in edit.after


def test_the_same_words_after_other_turns_may_have_another_answer() -> None:
    edit = teaching.add_answer(PATH, TEXT + TALK, "facts", "The one from work.", "Which one?")
    assert len(read(edit.after).sections) == len(read(TEXT + TALK).sections) + 1
    again = teaching.add_wording(PATH, TEXT + TALK, 13, "The one from work.")
    assert again.after.count("The one from work.") == 2


def test_windows_line_ends_are_kept_and_a_last_line_without_one_gets_one() -> None:
    text = TEXT.replace("\n", "\r\n").rstrip()
    edit = teaching.add_preference(PATH, text, "tone", "Say goodbye.", "Farewell!", "Bye.")
    assert edit.after.startswith(text) and edit.after.endswith("### Rejected\r\nBye.\r\n")
    assert "\n" not in edit.after.replace("\r\n", "")


def test_the_question_joins_the_off_topic_list_on_a_line_of_its_own() -> None:
    edit = teaching.add_offtopic(PATH, "one\ntwo", "Who won\n  the cup?")
    assert edit.path == Path("doc.offtopic.txt") and edit.after == "one\ntwo\nWho won the cup?\n"
    assert teaching.add_offtopic(PATH, "", "Who won?").after == "Who won?\n"


def test_the_difference_can_be_applied_by_patch() -> None:
    edit = teaching.add_wording(PATH, TEXT, line_of(TEXT, "What is the limit?"), "How many?")
    assert edit.difference() == [
        "--- doc.dlm",
        "+++ doc.dlm",
        "@@ -13,6 +13,9 @@",
        " ",
        " ### Q !probe",
        " how much at most",
        "+",
        "+### Q",
        "+How many?",
        " ",
        " ### A",
        " Four hundred.",
    ]


def test_provenance_stands_under_the_fence_of_a_section_that_has_none() -> None:
    note = "<!-- dlm-auto-reword by model m -->"
    edit = teaching.add_wordings(PATH, TEXT, line_of(TEXT, "Warmly."), ("Hello how?", "Greet how?"), note)
    (section,) = [s for s in read(edit.after).sections if s.provenance]
    assert section.provenance == note and len(section.questions[0].wordings) == 3
    again = teaching.add_wordings(
        PATH, edit.after, section.span.line, ("And how else?",), "<!-- dlm-auto-b -->"
    )
    assert again.after.count("dlm-auto") == 1


lines = st.lists(
    st.one_of(
        st.sampled_from(
            ["::instruction#tone::", "::prose::", "### Q", "### A", "### Q !probe", "### Prompt"]
        ),
        st.sampled_from(
            ["```", "````", "  ::prose::", "### q", "### Question", "<!-- dlm-auto-x", "-->", ""]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    ),
    max_size=6,
).map("\n".join)


def keeps_the_rest(edit: Edit) -> None:
    """All rows of the text before are there after, byte for byte, and the new ones stand together."""
    old, stretch = edit.before.split("\n"), edit.stretch
    new = edit.after.split("\n")
    assert [*old[: stretch.first], *stretch.rows, *old[stretch.end :]] == new
    assert stretch.first == stretch.end, "nothing was taken out"


@settings(max_examples=40)
@given(lines, st.booleans())
def test_any_question_becomes_a_wording_or_is_refused(question: str, windows: bool) -> None:
    text = TEXT.replace("\n", "\r\n") if windows else TEXT
    try:
        edit = teaching.add_wording(PATH, text, 13, question)
    except UsageError:
        return
    keeps_the_rest(edit)
    added = read(edit.after).sections[1].questions[0]
    assert added.question == "What is the limit?" and len(added.others) == 1
    said = [row.strip() for row in added.others[0].split("\n") if row.strip().strip("`")]
    asked = [row.strip().lstrip("\ufeff").strip() for row in question.split("\n")]
    assert said == [row for row in asked if row.strip("`")], "the words are those that were asked"


@settings(max_examples=40)
@given(lines, lines)
def test_any_answer_becomes_a_section_or_is_refused(question: str, answer: str) -> None:
    try:
        edit = teaching.add_answer(PATH, TEXT, "tone", question, answer)
    except UsageError:
        return
    keeps_the_rest(edit)
    assert len(read(edit.after).sections) == len(read(TEXT).sections) + 1


@settings(max_examples=40)
@given(lines, lines, lines)
def test_any_two_replies_become_a_preference_or_are_refused(prompt: str, chosen: str, rejected: str) -> None:
    try:
        edit = teaching.add_preference(PATH, TEXT, "facts", prompt, chosen, rejected)
    except UsageError:
        return
    keeps_the_rest(edit)
    assert len([p for s in read(edit.after).sections for p in s.preferences]) == 2


BEFORE = (Turn("I lost my key.", "### A\nWhich one?"),)


def test_an_answer_after_turns_stands_behind_them_as_text() -> None:
    edit = teaching.add_answer(PATH, TEXT, "tone", "That of the shed.", "Ask us.", BEFORE)
    assert (
        "::instruction#tone::\n### Q !before\nI lost my key.\n\n### A !before\n ### A\nWhich one?\n\n"
        "### Q\nThat of the shed.\n\n### A\nAsk us.\n"
    ) in edit.after
    again = teaching.add_answer(PATH, edit.after, "tone", "That of the shed.", "Ask me.", BEFORE)
    assert again.after == edit.after.replace("Ask us.", "Ask me.")
    with pytest.raises(UsageError, match="just so"):
        teaching.add_answer(PATH, edit.after, "tone", "That of the shed.", "Ask us.", BEFORE)


def test_a_wording_after_other_turns_is_a_section_and_after_the_same_a_wording() -> None:
    line = line_of(TEXT, "Warmly.")
    section = teaching.add_wording(PATH, TEXT, line, "And them?", BEFORE)
    assert section.answer == "Warmly." and section.after.count("Warmly.") == 2
    there = line_of(section.after, "And them?")
    wording = teaching.add_wording(PATH, section.after, there, "Those too?", BEFORE)
    asked = read(wording.after).sections[-2].questions[0]
    assert asked.wordings == ("And them?", "Those too?") and len(asked.before) == 1
