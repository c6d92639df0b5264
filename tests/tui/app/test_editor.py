"""The document pane, as a person uses it."""

import pytest
from rich.style import Style
from textual.strip import Strip

from dlm_core.requests import Open as OpenRequest
from dlm_tui.settings import Settings
from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open


@pytest.mark.slow
async def test_what_is_typed_and_saved_is_on_disk_and_can_still_be_undone(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        editor.go_to(15)
        await stage.pilot.press("end", *"Really?")
        assert editor.unsaved
        assert stage.path.read_text() == DOCUMENT
        await stage.pilot.press("f2")
        await stage.until(lambda: not editor.unsaved, "saving")
        assert "What is the limit?Really?" in stage.path.read_text()
        editor.area.undo()
        await stage.until(lambda: editor.unsaved, "the undone text being unsaved")
        assert editor.area.text == DOCUMENT


async def test_line_ends_and_byte_order_mark_survive_a_save(open_workbench: Open) -> None:
    text = "\ufeff" + DOCUMENT.replace("\n", "\r\n")
    async with open_workbench(text=text) as stage:
        assert not stage.bench.editor.unsaved
        await stage.pilot.press("ctrl+end", "x", "f2")
        await stage.until(lambda: not stage.bench.editor.unsaved)
        saved = stage.path.read_bytes().decode("utf-8")
        assert saved == text + "x"


async def test_a_mistake_is_underlined_marked_listed_counted_and_put_right_by_a_key(
    open_workbench: Open,
) -> None:
    text = DOCUMENT.replace("::instruction#tone::", "::instruction#tnoe::", 1)
    async with open_workbench(text=text, wait=False) as stage:
        editor = stage.bench.editor
        await stage.until(lambda: editor.diagnostics, "a diagnostic")
        problem = next(d for d in editor.diagnostics if d.severity == "error")
        assert stage.bench.title_bar.situation.errors == 1
        await stage.pilot.press("f4", "f4")  # the cold start that follows from it comes first
        assert editor.area.cursor_location[0] == problem.span.line - 1
        await stage.until(lambda: "(Alt+R)" in stage.screen_text(), "the problem below the text")
        assert "did you mean" in stage.screen_text() and "28✖" in stage.screen_text()
        await stage.pilot.press("alt+r")
        await stage.until(lambda: not editor.diagnostics, "the diagnostics going away")
        assert editor.area.text == DOCUMENT
        editor.area.undo()
        assert editor.area.text == text


async def test_the_list_of_problems_jumps_to_the_place(open_workbench: Open) -> None:
    text = DOCUMENT.replace("### A\nWith thanks.", "### A\n")
    async with open_workbench(text=text, wait=False) as stage:
        editor = stage.bench.editor
        await stage.until(lambda: editor.diagnostics)
        await stage.pilot.press("alt+p", "home", "enter")
        await stage.pilot.pause()
        assert editor.area.cursor_location[0] == editor.diagnostics[0].span.line - 1
        assert editor.area.has_focus


async def test_the_outline_says_what_is_new_and_goes_to_the_section(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        await stage.pilot.press("ctrl+l")
        await stage.pilot.pause()
        shown = stage.screen_text()
        assert "What is the limit?" in shown and "new" in shown
        await stage.pilot.press("home", "down", "down", "enter")
        await stage.pilot.pause()
        row = editor.area.cursor_location[0]
        assert editor.area.document.get_line(row) == "::instruction#tone::"


async def test_a_fence_inside_a_code_block_is_text(open_workbench: Open) -> None:
    text = DOCUMENT.replace("Forty-two.", "```\n::prose#tone::\n```")
    async with open_workbench(text=text) as stage:
        area = stage.bench.editor.area
        row = text.split("\n").index("::prose#tone::")
        assert area.state_at(row + 2).line.adapter == "knowledge"


async def test_opening_a_code_block_recolours_what_follows_at_once(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        area = stage.bench.editor.area
        last = area.document.line_count - 1
        assert area.state_at(last).line.region == "body"
        area.put("```\n", (17, 0), (17, 0))
        assert area.state_at(last).line.region == "code"
        area.undo()
        assert area.state_at(last).line.region == "body"


async def test_find_goes_round_and_replace_all_is_one_undo(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        await stage.pilot.press("ctrl+f", *"how do we")
        await stage.pilot.pause()
        assert "1/2" in stage.screen_text()
        first = editor.area.selection.start[0]
        await stage.pilot.press("enter")
        await stage.pilot.pause()
        assert editor.area.selection.start[0] > first
        await stage.pilot.press("enter")
        await stage.pilot.pause()
        assert editor.area.selection.start[0] == first
        await stage.pilot.press("escape", "ctrl+r")
        await stage.pilot.pause()
        bar = stage.bench.query_one("#replacement")
        bar.focus()
        await stage.pilot.press(*"Why", "ctrl+j")
        await stage.until(lambda: "Why greet?" in editor.area.text, "replacing")
        assert "Why part?" in editor.area.text
        editor.area.undo()
        assert editor.area.text == DOCUMENT


async def test_frontmatter_lines_are_commented_out_and_back_in(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        editor.go_to(3)
        await stage.pilot.press("ctrl+underscore")
        assert editor.area.document.get_line(3) == "# base_model: smollm2-135m"
        await stage.pilot.press("ctrl+underscore")
        assert editor.area.text == DOCUMENT


async def test_the_body_is_never_commented_because_all_of_it_is_learned(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        stage.bench.editor.go_to(18)
        await stage.pilot.press("ctrl+underscore")
        assert stage.bench.editor.area.text == DOCUMENT


async def test_a_section_is_inserted_with_its_adapter(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        editor.go_to(editor.area.document.line_count - 1)
        await stage.pilot.press("ctrl+n")
        await stage.until(lambda: len(stage.app.screen_stack) == 3, "the choice of sections")
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: len(stage.app.screen_stack) == 2)
        assert editor.area.text.startswith(DOCUMENT)
        assert "::instruction#tone::\n### Q\n\n### A\n" in editor.area.text[len(DOCUMENT) :]


async def test_a_file_that_changed_on_disk_is_taken_over_while_nothing_is_unsaved(
    open_workbench: Open,
) -> None:
    async with open_workbench() as stage:
        changed = DOCUMENT.replace("Forty-two.", "Forty-three.")
        stage.path.write_text(changed)
        await stage.until(lambda: stage.bench.editor.area.text == changed, "the new text")
        assert not stage.bench.editor.unsaved
        stage.bench.editor.area.undo()
        assert stage.bench.editor.area.text == DOCUMENT


async def test_a_file_that_changed_under_unsaved_work_is_a_choice_and_never_overwritten(
    open_workbench: Open,
) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        await stage.pilot.press("ctrl+end", *"mine")
        theirs = DOCUMENT + "theirs\n"
        stage.path.write_text(theirs)
        await stage.until(lambda: len(stage.app.screen_stack) == 3, "the question")
        assert "changed by another program" in stage.screen_text()
        await stage.pilot.press("enter")
        await stage.until(lambda: len(stage.app.screen_stack) == 2)
        assert stage.path.read_text() == theirs
        assert editor.area.text.endswith("mine")


async def test_saving_over_a_changed_file_asks_first_and_can_keep_both(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        await stage.pilot.press("ctrl+end", *"mine")
        stage.path.write_text(DOCUMENT + "theirs\n")
        await stage.pilot.press("f2")
        await stage.until(lambda: len(stage.app.screen_stack) == 3, "the question")
        await stage.pilot.press("end", "enter")
        await stage.until(lambda: len(stage.app.screen_stack) == 2)
        assert stage.path.read_text().endswith("theirs\n")
        assert (stage.path.parent / "guide.mine1.dlm").read_text().endswith("mine")
        assert editor.area.text.endswith("theirs\n")


async def test_unsaved_work_of_a_crash_is_offered_and_comes_back(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        await stage.pilot.press("ctrl+end", *"precious")
        stage.bench.editor.keep_draft()
        stage.bench.editor._unsaved = False  # as if the process had ended here
    async with open_workbench(wait=False) as stage:
        await stage.until(lambda: len(stage.app.screen_stack) == 3, "the offer")
        await stage.pilot.press("enter")
        await stage.until(lambda: stage.bench.editor.area.text.endswith("precious"), "the work coming back")
        assert stage.bench.editor.unsaved
        assert stage.path.read_text() == DOCUMENT


async def test_the_loss_shading_dims_questions_and_keeps_answers(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        area = stage.bench.editor.area
        await stage.pilot.press("alt+m")
        question, answer = area.get_line(15), area.get_line(18)
        assert question.plain == "What is the limit?" and answer.plain == "Forty-two."
        assert any(span.style.dim for span in question.spans)  # type: ignore[union-attr]
        assert not any(span.style.dim for span in answer.spans)  # type: ignore[union-attr]


async def test_control_characters_of_the_document_are_shown_and_not_obeyed(open_workbench: Open) -> None:
    async with open_workbench(text=DOCUMENT + "a\x1b[31mred\n") as stage:
        await stage.pilot.press("ctrl+end")
        shown = stage.screen_text()
        assert "\x1b" not in shown
        assert "a␛[31mred" in shown


async def test_a_fix_goes_where_the_problem_is_now_though_its_check_is_still_to_come(
    open_workbench: Open,
) -> None:
    settings = Settings(cursor_blink=False, diagnostics_delay=5)
    async with open_workbench(
        text=DOCUMENT.replace("#tone", "#tnoe", 1), settings=settings, wait=False
    ) as stage:
        editor = stage.bench.editor
        await stage.until(lambda: editor.diagnostics, "the first check")
        row = next(d.span.line for d in editor.diagnostics if d.code == "tag-undeclared") - 1
        editor.go_to(row, 0)
        await stage.pilot.press("x", "backspace", "home", "enter", "alt+r")
        await stage.until(lambda: "::instruction#tone::" in editor.area.text, "the fix")
        assert editor.area.text.replace("\n", "") == DOCUMENT.replace("\n", "")


async def test_work_that_was_undone_is_not_offered_again(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        editor = stage.bench.editor
        await stage.pilot.press("x")
        editor.keep_draft()
        await stage.pilot.press("ctrl+z")
        await stage.until(lambda: not editor.unsaved, "the text of the disk")
        assert editor._drafts.find(stage.path) is None


async def test_escape_closes_the_list_below_the_text(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        await stage.pilot.press("ctrl+l")
        await stage.until(lambda: stage.bench.editor._drawer.has_focus, "the outline")
        await stage.pilot.press("escape")
        await stage.until(lambda: stage.bench.editor.area.has_focus, "the text")
        assert stage.bench.editor._drawer.content == ""


async def test_a_document_with_problems_is_opened_once_it_is_saved_without(open_workbench: Open) -> None:
    refusing = Script(open_error="18 lines")
    async with open_workbench(refusing, text=DOCUMENT.replace("#tone", "#tnoe"), wait=False) as stage:
        bench = stage.bench
        await stage.until(lambda: bench.editor.diagnostics, "the first check")
        await stage.until(lambda: "document not opened" in stage.screen_text(), "the refusal")
        await stage.until(lambda: "the document has 2 problems" in stage.screen_text(), "how many there are")
        opened = sum(isinstance(request, OpenRequest) for request in stage.client.sent)
        stage.client.engine.script = Script(adapters=("knowledge", "tone"))
        bench.editor.area.replace_all(DOCUMENT)
        await stage.pilot.press("f2")
        await stage.until(
            lambda: sum(isinstance(r, OpenRequest) for r in stage.client.sent) > opened, "its being opened"
        )
        await stage.until(lambda: bench.session.engine.state == "ready", "its being ready")


async def test_the_cursor_stays_in_view_when_the_terminal_shrinks(open_workbench: Open) -> None:
    text = DOCUMENT + "\n" + "One answer of many words, so that it wraps where there is less room. " * 40
    async with open_workbench(text=text) as stage:
        area = stage.bench.editor.area
        await stage.pilot.press("ctrl+end")

        def in_view() -> bool:
            row = area.wrapped_document.location_to_offset(area.cursor_location).y - area.scroll_offset.y
            return 0 <= row < area.size.height

        for size in ((80, 24), (60, 16), (160, 40)):
            await stage.pilot.resize_terminal(*size)
            await stage.pilot.pause()
            await stage.until(in_view, f"the cursor in view at {size}")
        area.scroll_home(animate=False)
        await stage.pilot.pause()
        await stage.pilot.resize_terminal(80, 24)
        await stage.pilot.pause()
        assert area.scroll_offset.y == 0  # whoever looks elsewhere is left there


def _cells(strip: Strip) -> list[tuple[str, Style]]:
    return [(char, segment.style or Style()) for segment in strip for char in segment.text]


@pytest.mark.parametrize("soft_wrap", [True, False])
@pytest.mark.parametrize("cursor", [(18, 0), (18, 61), (18, 140), (18, 9_999), (3, 2)])
async def test_rows_are_painted_as_textual_paints_them(
    open_workbench: Open, cursor: tuple[int, int], soft_wrap: bool
) -> None:
    async with open_workbench(size=(120, 36)) as stage:
        area = stage.bench.editor.area
        area.soft_wrap = soft_wrap
        area.insert("A **long** line of words, as paragraphs are.   " * 12 + "Its end.", (18, 0))
        area.move_cursor((cursor[0], min(cursor[1], len(area.document.get_line(cursor[0])))))
        await stage.pilot.pause(0.1)
        frame = area._frame()
        rows = [row for row in range(area.size.height) if area.wrapped_document.place(frame.top + row)]
        assert len(rows) > 15
        for row in rows:
            line, part = area.wrapped_document.place(frame.top + row) or (0, 0)
            as_textual = area._marked(area._render_line(row), line, part).apply_style(area._ground())
            shown = area.scrollable_content_region.width
            painted = area._painted_row(row, frame).apply_style(area._ground())
            assert _cells(painted)[:shown] == _cells(as_textual)[:shown], row


async def test_a_key_in_a_long_line_has_textual_paint_only_the_cursors_row(
    open_workbench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_workbench(size=(120, 36)) as stage:
        area = stage.bench.editor.area
        area.insert("A long line of words. " * 40, (18, 0))
        area.move_cursor((18, 300))
        await stage.pilot.pause(0.1)
        asked: list[int] = []
        paint = area._render_line
        monkeypatch.setattr(area, "_render_line", lambda y: (asked.append(y), paint(y))[1])
        await stage.pilot.press("x")
        await stage.until(lambda: asked, "the key's row")
        assert len(area.wrapped_document.rows_of(18)) > 10 and len(set(asked)) == 1
