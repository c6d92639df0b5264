"""Reports say how a reply came about, in words that fit the terminal and cannot steer it."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from prompt_toolkit.utils import get_cwidth

from dlm_core.events import (
    AdapterOpenness,
    Citation,
    Neighbour,
    Place,
    Routing,
    Timing,
    Unsupported,
    Why,
)
from dlm_core.requests import RoutingChoice
from dlm_tui.repl.terminal import KEYS
from dlm_tui.session import reports
from dlm_tui.session.commands import COMMANDS, find
from dlm_tui.session.conversation import Answer, Conversation
from dlm_tui.session.document_state import DocumentState, Warned
from dlm_tui.session.reports import Look
from dlm_tui.session.signs import adapter_signs
from dlm_tui.session.text import MARKED, Line, plain, row_end, wrapped

NAMES = ("knowledge", "tone")
WIDE = Look(adapter_signs(NAMES), 100)
NARROW = Look(adapter_signs(NAMES, unicode=False), 40, unicode=False)
ANSWER = Answer(
    text="Yes.",
    finish_reason="stop",
    routing=Routing(mode="auto", weights={"knowledge": 0.8, "tone": 0.2}, reason="the gate decides"),
    openness={
        "knowledge": AdapterOpenness(
            mean=0.31, per_layer=(0.5, 0.25), per_rank=((0.1, 0.9), (0.2, 0.3)), layers=(3, 4)
        ),
        "tone": AdapterOpenness(mean=0.05, per_layer=(0.05,)),
    },
    timing=Timing(load_s=1, route_s=0.05, first_token_s=0.2, tokens_per_s=21.4, tokens=7),
    version="g3",
)


def text(lines: list[Line]) -> str:
    return "\n".join(plain(line) for line in lines)


def changed(**changes: object) -> Answer:
    return msgspec.structs.replace(ANSWER, **changes)


def test_a_reply_is_reported_with_mode_reason_speed_version_bars_and_openness() -> None:
    first, knowledge, tone = text(reports.reply_report(ANSWER, WIDE)).splitlines()
    assert first == "auto: the gate decides · 21 tokens/s · 7 tokens · g3"
    assert knowledge.startswith("● knowledge █")
    assert knowledge.endswith("0.80  openness 0.31")
    assert tone.endswith("0.20  openness 0.05")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"finish_reason": "interrupted"}, "stopped here"),
        ({"finish_reason": "length"}, "max_tokens"),
        ({"text": "\n"}, "the reply is empty"),
        ({"dropped_turns": 3}, "the oldest 3 turns no longer fit into the context window of 2048 tokens"),
        ({"during_run": 4}, "run 4 is still training"),
    ],
)
def test_what_a_person_should_know_about_a_reply_is_said(changes: dict[str, object], said: str) -> None:
    assert said in text(reports.reply_report(changed(**changes), WIDE, 2048))
    assert said not in text(reports.reply_report(ANSWER, WIDE, 2048))


LONG_WHY = Why(
    routing=ANSWER.routing,
    neighbours=(Neighbour(question="q" * 99, adapter="tone", similarity=1),),
    candidates=(Place(line=161, end_line=165, adapter="tone", question="q" * 99, probability=0.4),),
    scores=({"question": 0.8, "answer": 0.7, "words": 0.6, "ngrams": 0.5},),
)
CITED = Citation(
    kind="answer",
    line=161,
    end_line=165,
    adapter="tone",
    question="What is the rule?",
    support=0.97,
    see_also=(Place(line=20, end_line=24, adapter="knowledge", question="And else?", probability=0.3),),
    unsupported=(Unsupported(start=3, end=5, text="42"), Unsupported(start=10, end=14, text="Vega")),
)


def test_a_reply_says_which_line_it_comes_from_and_how_sure_that_is() -> None:
    said = text(reports.reply_report(changed(citation=CITED), WIDE))
    assert "▲ tone, line 161 · 97 %" in said
    assert "see also line 20 (● knowledge)" in said
    assert "not in that section: 42, Vega" in said


def test_what_the_section_does_not_hold_is_marked_where_it_stands() -> None:
    answer = changed(text="On 42, by Vega streets, " + "and so on, " * 20, citation=CITED)
    rows = [line for line in reports.reply_report(answer, WIDE) if any(style == MARKED for style, _ in line)]
    assert [[said for style, said in row if style == MARKED] for row in rows] == [["42"], ["Vega"]]
    assert all(len(plain(row)) <= WIDE.room and "On 42, by Vega streets" in plain(row) for row in rows)


def test_a_reply_that_is_unsure_names_the_other_section() -> None:
    unsure = structs.replace(CITED, support=0.4, unsupported=())
    said = text(reports.reply_report(changed(citation=unsure), WIDE))
    assert "unsure: line 20 (● knowledge) may be meant (/other takes it)" in said


def test_why_says_how_the_weights_alone_would_have_begun() -> None:
    answer = changed(citation=CITED, grounded=True, overruled=3)
    said = text(reports.why_report(answer, structs.replace(LONG_WHY, alone=" Ask the\ndesk"), WIDE))
    assert "decided 3 tokens against the weights" in said and "without it they begin: Ask the␊desk" in said


@pytest.mark.parametrize(
    ("citation", "said"),
    [
        (Citation(kind="outside"), "not in the document: the base answers"),
        (Citation(kind="none"), "nothing in the document says this"),
        (
            Citation(kind="prose", line=None, adapter="tone"),
            "▲ tone, a section that is not in the file any more (prose)",
        ),
    ],
)
def test_a_reply_without_a_section_says_so(citation: Citation, said: str) -> None:
    assert said in text(reports.reply_report(changed(citation=citation), WIDE))


def test_outside_the_document_the_base_has_a_bar() -> None:
    routing = Routing(mode="auto", weights={"knowledge": 0.0, "tone": 0.1}, reason="outside", base=0.9)
    assert "· base      " in text(reports.reply_report(changed(routing=routing), WIDE))


def test_why_lists_the_sections_that_fit_with_their_scores() -> None:
    said = text(reports.why_report(changed(citation=CITED, grounded=True, overruled=3), LONG_WHY, WIDE))
    assert "the document decided 3 tokens against the weights" in said
    assert "▲ tone, line 161  0.40" in said and "question 0.80" in said


def test_a_reply_of_the_bare_base_has_no_bars() -> None:
    bare = changed(routing=Routing(mode="base", weights={"knowledge": 0.0}, reason=""), openness={})
    assert "knowledge" not in text(reports.reply_report(bare, WIDE))


def test_why_names_neighbours_and_the_most_open_ranks_first() -> None:
    near = (Neighbour(question="What is\x1b[2J it?", adapter="tone", similarity=0.91),)
    why = Why(routing=ANSWER.routing, neighbours=near)
    said = text(reports.why_report(ANSWER, why, WIDE))
    assert "0.91 ▲ tone  What is␛[2J it?" in said
    ranks = said.split("most open ranks\n")[1].splitlines()
    assert ranks[0] == "0.90 ● knowledge  layer 3, rank 1"


def test_warnings_come_with_their_remedy_or_there_are_none() -> None:
    said = text(reports.warnings_report([Warned("`tone` has 2 of 4", "write 2 more", "cold_start")], WIDE))
    assert said == "⚠ `tone` has 2 of 4\n  write 2 more"
    assert text(reports.warnings_report([], WIDE)) == "no warnings"


def test_help_lists_every_command_and_key_and_explains_one() -> None:
    said = text(reports.help_report(None, WIDE, KEYS))
    assert all(f"/{command.name}" in said for command in COMMANDS)
    assert "Ctrl-D" in said
    assert "takes the old one's place" in text(reports.help_report(find("again"), WIDE, KEYS))


def test_history_shows_every_answer_to_a_question() -> None:
    conversation = Conversation()
    conversation.answered("One?", ANSWER)
    conversation.answered_again(changed(text="No.", finish_reason="interrupted"))
    said = text(reports.history_report(conversation.turns, WIDE))
    assert said == "1> One?\nanother reply, auto: the gate decides:\nYes.\nNo.\n[stopped]"


def test_show_counts_sections_samples_and_versions() -> None:
    now = DocumentState(
        Path("a.dlm"), None, NAMES, "01H", "smollm2-135m", sections=5, samples={"knowledge": 3, "tone": 1},
        gate_enabled=True, changes={"new": 1, "trained": 4}, versions={"knowledge": "v0002"}, generation=2,
    )  # fmt: skip
    said = text(reports.show_report(now, None, RoutingChoice(), WIDE))
    assert "5 sections: 1 new since the last run" in said
    assert "● knowledge  v0002 · 3 tagged sections" in said
    assert "▲ tone  not trained · 1 tagged section" in said
    assert "gate: not trained yet" in said


@pytest.mark.parametrize("look", [WIDE, NARROW])
def test_reports_fit_the_terminal(look: Look) -> None:
    conversation = Conversation()
    conversation.answered("A question that is rather long for a narrow terminal?", ANSWER)
    now = DocumentState(Path("a.dlm"), None, NAMES, "01H", "smollm2-135m", sections=5)
    everything = [
        *reports.reply_report(changed(finish_reason="length", dropped_turns=2), look, 2048),
        *reports.why_report(changed(citation=CITED, grounded=True), LONG_WHY, look),
        *reports.show_report(now, None, conversation.choice, look),
        *reports.history_report(conversation.turns, look),
        *reports.help_report(None, look, KEYS),
        *reports.help_report(find("again"), look, KEYS),
    ]
    assert max(len(plain(line)) for line in everything) <= look.width
    assert look.unicode or text(everything).replace("…", "").isascii()


@given(st.text(max_size=200), st.integers(10, 100))
def test_wrapped_text_fits_and_holds_no_control_characters(words: str, width: int) -> None:
    for line in wrapped(words, width):
        assert get_cwidth(plain(line)) <= width
        assert not any(c in plain(line) for c in "\x1b\n\r\x07\x9b")


@given(st.text(max_size=120), st.integers(8, 40))
def test_rows_add_up_to_the_text(words: str, width: int) -> None:
    rows = []
    rest = words
    while end := row_end(rest, width):
        assert get_cwidth(rest[:end].rstrip(" ")) <= width
        rows.append(rest[:end])
        rest = rest[end:]
    assert "".join(rows) + rest == words


def test_rows_break_at_spaces_and_count_wide_characters_twice() -> None:
    assert [plain(line) for line in wrapped("one two three", 8)] == ["one two", "three"]
    assert [plain(line) for line in wrapped("漢字漢字漢字", 8)] == ["漢字漢字", "漢字"]
