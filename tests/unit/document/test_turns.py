"""Earlier turns of a conversation in a section: read before the question that follows on them."""

import pytest

from dlm_core.document import Document, Section, parse_text
from dlm_core.document.highlight import HighlightKind, LineState, highlight_line
from dlm_core.document.migrate import migrate
from dlm_core.document.model import SectionKind, Turn
from dlm_core.document.render import render

FRONT = (
    "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\ntraining: {adapters: {a: {}}}\n---\n"
)
TURN = "### Q !before\nI lost my key.\n### A !before\nWhich one?\n"
ASK = "### Q\nThe one of the shed.\n### A\nAsk the porter."
FIRST = Turn("I lost my key.", "Which one?")


def document(body: str) -> Document:
    parsed = parse_text(FRONT + body)
    assert parsed.document is not None, parsed.errors
    return parsed.document


def only(body: str, kind: str = "instruction") -> Section:
    (section,) = document(f"::{kind}#a::\n{body}\n").sections
    return section


def codes(body: str, kind: str = "instruction") -> list[str]:
    found = parse_text(f"{FRONT}::{kind}#a::\n{body}\n").diagnostics
    return [d.code for d in found if d.code != "adapter-without-sections"]


def test_a_question_follows_on_the_turns_above_it_and_those_below_it_are_the_next_one_s() -> None:
    second = "### Q !before\nAnd the gate?\n### A !before\nIt is open.\n"
    one, two, three = only(f"{TURN}{second}{ASK}\n{second}{ASK}\n{ASK}").questions
    assert one.before == (FIRST, Turn("And the gate?", "It is open."))
    assert two.before == (Turn("And the gate?", "It is open."),)
    assert three.before == ()
    assert one.wordings == ("The one of the shed.",) and one.answer == "Ask the porter."


def test_all_wordings_and_probes_of_an_answer_follow_on_its_turns() -> None:
    section = only(TURN + ASK.replace("### A", "### Q\nThe shed's.\n### Q !probe\nFor the shed\n### A"))
    assert section.questions[0].wordings == ("The one of the shed.", "The shed's.")
    assert section.questions[0].before == section.probes[0].before == (FIRST,)


def test_a_follow_up_is_searched_for_behind_the_question_before_it() -> None:
    (asked,) = only(TURN + ASK).questions
    assert asked.searched == ("I lost my key.\nThe one of the shed.",)
    (plain,) = only(ASK).questions
    assert plain.searched == plain.wordings


def test_turns_decide_the_hash_and_probes_behind_turns_of_their_own_do_not() -> None:
    plain = only(ASK)
    assert only(TURN + ASK).content_hash != plain.content_hash
    probe = "### Q !probe\nMy bicycle's.\n### A\nBuy a new one."
    assert only(f"{ASK}\n\n{TURN}{probe}").content_hash == plain.content_hash
    assert only(f"{TURN}{probe}\n\n{ASK}").content_hash == plain.content_hash


def test_a_hash_from_before_there_were_turns_is_what_it_was() -> None:
    known = "d9becd4f0d6de512db71ce45c53f54480999ec880812922a5f78986ea8cbdf7e"
    assert only(ASK).content_hash == known


def test_preferences_follow_on_turns_too() -> None:
    pair = "### Prompt\nThe shed's.\n### Rejected\nNo.\n### Chosen\nAsk the porter."
    one, two = only(f"{pair}\n{TURN}{pair}", "preference").preferences
    assert (one.before, two.before) == ((), (FIRST,))
    assert two.searched == "I lost my key.\nThe shed's."


def test_the_same_words_after_other_turns_may_have_another_answer() -> None:
    other = TURN.replace("key", "way")
    answers = f"{TURN}{ASK}\n{other}{ASK.replace('porter', 'guide')}"
    assert codes(answers) == []
    assert codes(f"{answers}\n{TURN}{ASK.replace('porter', 'cook')}") == ["question-repeated"]
    probe = ASK.replace("### Q", "### Q !probe")
    assert codes(f"{ASK}\n{TURN}{probe}") == []
    assert codes(f"{TURN}{ASK}\n{TURN}{probe}") == ["probe-trained"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"{TURN}{TURN}{ASK}", []),
        (f"### Q !before\nx\n{ASK}", ["answer-missing"]),
        (f"### Q !before\nx\n{TURN}{ASK}", ["answer-missing"]),
        (f"### A !before\nx\n{ASK}", ["question-missing"]),
        (f"{TURN}### A\nso", ["question-missing"]),
        (f"{ASK}\n{TURN}", ["turn-misplaced"]),
        (ASK.replace("### A", f"{TURN}### A"), ["turn-misplaced", "turn-misplaced"]),
        (f"### Q !before\n### A !before\nso\n{ASK}", ["body-empty"]),
        (f"### Q !earlier\nx\n{ASK}", ["text-before-heading", "heading-slip"]),
        (f"{ASK}\n### A !Before\nx", ["heading-slip"]),
    ],
)
def test_turns_that_cannot_be_read_are_said(body: str, expected: list[str]) -> None:
    assert sorted(codes(body)) == sorted(expected)


def test_a_turn_between_a_prompt_and_its_replies_is_said() -> None:
    broken = f"### Prompt\nx\n{TURN}### Chosen\na\n### Rejected\nb"
    assert codes(broken, "preference") == ["turn-misplaced", "turn-misplaced"]
    assert codes(f"### Prompt\nx\n### Chosen\na\n### Rejected\nb\n{TURN}", "preference") == ["turn-misplaced"]


def test_what_is_almost_the_heading_is_told_the_heading() -> None:
    (slip,) = (d for d in parse_text(f"{FRONT}::instruction::\n{ASK}\n### A !earlier\nx\n").diagnostics)
    assert "`### A !before`" in slip.hint


def test_a_long_conversation_counts_with_all_its_turns() -> None:
    front = FRONT.replace("{adapters", "{sequence_len: 64, adapters")
    long = TURN.replace("Which one?", "Which one? " * 40)
    (found,) = parse_text(f"{front}::instruction#a::\n{long}{ASK}\n").diagnostics
    assert found.code == "section-too-long" and "the oldest turns are not read" in found.message


@pytest.mark.parametrize("kind", [SectionKind.INSTRUCTION, SectionKind.PREFERENCE])
def test_the_mark_of_a_turn_is_told_apart_in_the_colours(kind: SectionKind) -> None:
    _, spans = highlight_line("### A !before", LineState("body", section=kind, adapter="a"))
    assert [(s.start, s.end, s.kind) for s in spans] == [
        (0, 6, HighlightKind.HEADING),
        (6, 13, HighlightKind.FENCE_TAG),
    ]
    assert highlight_line("### A !before", LineState("body", section=SectionKind.PROSE))[1] == ()


def test_rendering_and_migrating_keep_turns() -> None:
    read = document(f"::instruction#a::\n{TURN}{ASK}\n")
    again = parse_text(render(read)).document
    old = read.text.replace("base_model", "dlm_version: 3\nbase_model")
    lifted = parse_text(migrate(old.encode()).content).document
    for other in (again, lifted):
        assert other is not None
        assert other.sections[0].questions[0].before == (FIRST,)
