"""Which tokens carry loss, shown in the text: exact where the engine can say, by line elsewhere."""

import pytest

from dlm_core.document import parse_text
from dlm_core.events import MaskedRow
from dlm_core.requests import Mask
from dlm_tui.panes.loss_preview import laid_over
from dlm_tui.widgets.loss_marks import Passage, marks_of
from tests.tui.app.conftest import Open


def row(*pieces: tuple[str, bool]) -> MaskedRow:
    return MaskedRow(
        section="s",
        adapter="tone",
        pieces=tuple(p for p, _ in pieces),
        loss=tuple(loss for _, loss in pieces),
    )


def test_answer_tokens_are_found_across_lines_and_the_end_token_is_nowhere() -> None:
    passage = Passage(7, ("", "Forty two.", "Yes."))
    tokens = row(
        ("<user>What?", False),
        ("Forty", True),
        (" two", True),
        (".\n", True),
        ("Yes.", True),
        ("<end>", True),
    )
    assert marks_of([passage], [tokens], prose=False) == {
        7: (),
        8: ((0, 5), (5, 9), (9, 10)),
        9: ((0, 4),),
    }


def test_a_token_that_ends_within_a_character_takes_what_lies_between_its_neighbours() -> None:
    tokens = row(("a", True), ("\ufffd", True), ("\ufffd", True), ("b", True))
    assert marks_of([Passage(0, ("aéb",))], [tokens], prose=False) == {0: ((0, 1), (1, 2), (2, 3))}


def test_the_first_token_of_prose_is_read_over_and_carries_no_loss() -> None:
    tokens = row(("The", False), (" hedge", True), (" waits", True))
    assert marks_of([Passage(3, ("The hedge waits",))], [tokens], prose=True) == {3: ((3, 9), (9, 15))}


def test_a_space_that_the_tokenizer_drops_is_no_obstacle() -> None:
    tokens = row(("The", True), ("hedge", True))
    assert marks_of([Passage(0, ("The hedge",))], [tokens], prose=False) == {0: ((0, 3), (4, 9))}


def test_rows_of_another_text_fit_nowhere() -> None:
    assert marks_of([Passage(0, ("Something else.",))], [row(("Forty", True))], prose=False) is None
    assert marks_of([Passage(0, ("One",))], [], prose=False) is None


@pytest.mark.slow
async def test_with_the_base_loaded_the_mask_is_by_token(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        editor = stage.bench.editor
        editor.go_to(editor.area.text.split("\n").index("Ada does."))
        await stage.pilot.press("alt+m")
        await stage.until(lambda: "learned, 2 tokens" in stage.screen_text(), "the number of tokens")
        assert any(isinstance(request, Mask) for request in stage.client.sent)


async def test_a_section_that_changed_since_the_save_is_shown_by_line(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        editor = stage.bench.editor
        editor.go_to(editor.area.text.split("\n").index("Ada does."))
        await stage.pilot.press("alt+m")
        await stage.until(lambda: "learned, 2 tokens" in stage.screen_text(), "the tokens")
        await stage.pilot.press("x")
        await stage.until(
            lambda: "learned" in stage.screen_text() and "learned, 2" not in stage.screen_text(), "the line"
        )


async def test_without_the_base_the_mask_is_by_line_and_says_why(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        stage.bench.session.engine.state = "loading"
        await stage.pilot.press("alt+m")
        await stage.until(
            lambda: any("by line: the base is not loaded" in n.message for n in stage.app._notifications),
            "the reason",
        )


async def test_an_answer_with_several_wordings_is_marked_once_and_one_of_probes_alone_not(
    open_workbench: Open,
) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        area = stage.bench.editor.area
        asked = (
            "### Q\nWho?\n### Q !probe\nWhom?\n### Q\nBy whom?\n### A\nAda.\n"
            "### Q !probe\nHow?\n### A\nWell.\n"
        )
        area.put(f"\n\n::instruction#tone::\n{asked}", area.document.end, area.document.end)
        text = area.text
        document = parse_text(text).document
        assert document is not None
        section = document.sections[-1]
        rows = [
            MaskedRow(
                section=section.content_hash,
                adapter="tone",
                pieces=(wording, "Ada", "."),
                loss=(False, True, True),
            )
            for wording in section.questions[0].wordings
        ]
        laid = laid_over(area, document, rows)
        line = text.split("\n").index("Ada.")
        assert laid.marks[line] == ((0, 3), (3, 4))
        assert text.split("\n").index("Well.") not in laid.marks
        assert not area.place_of(text.split("\n").index("Well.")).learned
        assert area.place_of(line).learned


async def test_earlier_turns_are_read_and_the_answer_after_them_is_learned(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        area = stage.bench.editor.area
        asked = "### Q !before\nWhose?\n### A !before\nMine.\n### Q\nWho?\n### A\nAda.\n"
        area.put(f"\n\n::instruction#tone::\n{asked}", area.document.end, area.document.end)
        lines = area.text.split("\n")
        places = {text: area.place_of(lines.index(text)) for text in ("Whose?", "Mine.", "Who?", "Ada.")}
        assert [text for text, place in places.items() if place.learned] == ["Ada."]
        assert (places["Mine."].part, places["Ada."].wordings) == ("A !before", 1)
        section = parse_text(area.text).document.sections[-1]  # type: ignore[union-attr]
        row = MaskedRow(
            section=section.content_hash,
            adapter="tone",
            pieces=("Mine.", "Who?", "Ada", "."),
            loss=(False, False, True, True),
        )
        laid = laid_over(area, parse_text(area.text).document, [row])  # type: ignore[arg-type]
        assert laid.marks[lines.index("Ada.")] == ((0, 3), (3, 4))
        assert lines.index("Mine.") not in laid.marks


async def test_an_answer_with_a_single_wording_is_marked_quietly(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        editor = stage.bench.editor
        row = editor.area.text.split("\n").index("Ada does.")
        editor.go_to(row)
        await stage.until(lambda: "one wording" in stage.screen_text(), "the words for the line")
        assert editor.area.place_of(row).wordings == 1
        heading = editor.area.document.get_line(row - 1)
        assert heading == "### A"
        assert editor.area._problem_mark(row - 1).text == "·"
        editor.area.put("### Q\nBy whom, then?\n", (row - 1, 0), (row - 1, 0))
        assert editor.area._problem_mark(row + 1).text == " "
        await stage.until(lambda: "one wording" not in stage.screen_text(), "the words to go")
