"""Sections are new, changed, trained or gone, judged by their content against the last run."""

from dlm_core.document import Section, parse_text
from dlm_core.document.diff import title
from dlm_core.store import SectionRecord
from dlm_tui.session.section_states import section_states
from tests.unit.cli.conftest import DOCUMENT, section

SECTIONS = [section("knowledge", 1), section("tone", 1), section("tone", 2), section("procedure", 1)]


def parsed(*parts: str) -> tuple[Section, ...]:
    document = parse_text(DOCUMENT + "".join(parts)).document
    assert document is not None
    return document.sections


def recorded(*parts: str) -> list[SectionRecord]:
    return [
        SectionRecord(
            content_hash=s.content_hash, kind=s.kind.value, adapter=s.adapter, title=title(s), questions=1
        )
        for s in parsed(*parts)
    ]


def states(now: list[str], before: list[str]) -> list[str]:
    return [state.state for state in section_states(parsed(*now), recorded(*before))]


def test_without_a_run_everything_is_new() -> None:
    assert states(SECTIONS, []) == ["new"] * 4


def test_what_stayed_the_same_is_trained_wherever_it_moved() -> None:
    assert states(SECTIONS[::-1], SECTIONS) == ["trained"] * 4


def test_an_edited_answer_is_a_change() -> None:
    edited = SECTIONS[1].replace("number 1", "number one")
    assert states([SECTIONS[0], edited, *SECTIONS[2:]], SECTIONS) == [
        "trained",
        "changed",
        "trained",
        "trained",
    ]


def test_an_edited_question_is_a_change_by_its_place() -> None:
    edited = SECTIONS[1].replace("What is tone 1?", "Tone one, please?")
    assert states([SECTIONS[0], edited, *SECTIONS[2:]], SECTIONS) == [
        "trained",
        "changed",
        "trained",
        "trained",
    ]


def test_a_section_taken_out_is_gone_and_one_put_in_is_new() -> None:
    added = section("knowledge", 7)
    assert states([*SECTIONS[1:], added], SECTIONS) == ["trained", "trained", "trained", "new", "gone"]


def test_a_section_twice_is_trained_once() -> None:
    assert states([SECTIONS[0], SECTIONS[0], *SECTIONS[1:]], SECTIONS).count("new") == 1


def test_titles_are_the_first_line_of_the_question() -> None:
    assert section_states(parsed(SECTIONS[0]), ())[0].title == "What is knowledge 1?"
