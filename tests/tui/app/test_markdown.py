"""A reply while it grows, and rows that are painted again only where they differ."""

import pytest
from rich.console import Console
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from dlm_core.events import Routing
from dlm_tui.themes import load_library
from dlm_tui.widgets.looks import Looks
from dlm_tui.widgets.markdown_text import MarkdownText, blocks
from dlm_tui.widgets.reply_view import ReplyView
from dlm_tui.widgets.rows import Rows, stretches
from tests.tui.app.conftest import Open

REPLY = """\
# Rolling back

Run `ship rollback`, which **restores** the image.

1. Look.

   And look again.
2. Decide.

```python
def healthy():

    return True
```

last words"""


ROUTING = Routing(mode="auto", weights={"knowledge": 0.75, "tone": 0.25}, reason="gate auto")


class _Reply(App[None]):
    """An app with one reply."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = Looks(("knowledge", "tone"), load_library().get("ink"))
        self.reply = ReplyView(())

    def compose(self) -> ComposeResult:
        yield self.reply

    def lines(self) -> list[str]:
        return [self.reply.render_line(y).text.rstrip() for y in range(self.reply.size.height)]


def painted(markdown: MarkdownText) -> list[str]:
    rows = markdown.rows(Console(width=30), 30, load_library().get("ink"))
    assert all(row.cell_length <= 30 for row in rows)
    return [row.text.rstrip() for row in rows]


def test_markdown_that_grew_token_by_token_stands_as_if_it_had_come_at_once() -> None:
    text = MarkdownText()
    for piece in REPLY.split(" "):
        text.append(piece + " ")
        painted(text)
    grown = painted(text)
    text.show("")
    text.show(REPLY)
    assert grown == painted(text)
    assert grown[0] == "Rolling back"
    assert "Run ship rollback, which" in grown
    assert grown[-1] == "last words" and grown.count("") >= 5


def layouts_of(reply: ReplyView) -> list[bool]:
    """Whether each refresh from now on lays the reply out anew."""
    layouts: list[bool] = []
    refresh = reply.refresh

    def watched(*regions: object, **how: bool) -> ReplyView:
        layouts.append(how.get("layout", False))
        return refresh(*regions, **how)  # type: ignore[arg-type]

    reply.refresh = watched  # type: ignore[method-assign,assignment]
    return layouts


async def test_growing_within_a_row_lays_nothing_out_anew() -> None:
    app = _Reply()
    async with app.run_test(size=(34, 30)) as pilot:
        app.reply.append("One word")
        await pilot.pause()
        layouts = layouts_of(app.reply)
        app.reply.append(" more")
        app.reply.append(" and then so many that a second row is needed")
        assert layouts == [False, True]


async def test_the_routing_stands_beside_a_reply_where_there_is_room_and_above_it_elsewhere() -> None:
    app = _Reply()
    async with app.run_test(size=(90, 20)) as pilot:
        app.reply.routed(ROUTING)
        app.reply.append("one two three")
        await pilot.pause()
        beside = app.lines()
        assert beside[0].startswith("one two three ") and beside[0].endswith("gate auto")
        assert len(beside) == 4 and "● knowled" in beside[1] and "0.25" in beside[2]
        await pilot.resize_terminal(40, 20)
        await pilot.pause()
        above = app.lines()
        assert above[0] == "gate auto" and "knowledge" in above[1] and above[-1] == "one two three"


async def test_beside_taller_bars_a_reply_grows_without_a_layout() -> None:
    app = _Reply()
    async with app.run_test(size=(90, 20)) as pilot:
        app.reply.routed(ROUTING)
        app.reply.append("one")
        await pilot.pause()
        layouts = layouts_of(app.reply)
        app.reply.append("\n\ntwo")
        assert layouts == [False]
        await pilot.pause()
        assert [line.split("  ")[0] for line in app.lines()] == ["one", "", "two", ""]


async def test_what_is_selected_in_a_reply_is_its_text() -> None:
    app = _Reply()
    async with app.run_test(size=(30, 30)) as pilot:
        app.reply.append("one **two** three")
        await pilot.pause()
        assert app.reply.get_selection(Selection(Offset(4, 0), Offset(7, 0))) == ("two", "\n")


@pytest.mark.parametrize("width", [90, 40])
async def test_a_drag_over_a_reply_selects_its_text_and_nothing_of_what_stands_beside_it(width: int) -> None:
    app = _Reply()
    async with app.run_test(size=(width, 20)) as pilot:
        app.reply.routed(ROUTING)
        app.reply.append("one two three")
        await pilot.pause()
        row = 0 if width == 90 else 5
        await pilot.mouse_down(app.reply, offset=(2 + 4, row))  # after its border and padding
        await pilot.hover(app.reply, offset=(2 + 6, row))
        await pilot.mouse_up(app.reply, offset=(2 + 6, row))
        await pilot.pause()
        assert app.screen.get_selected_text() == "two"
        marked = app.screen.get_component_rich_style("screen--selection").bgcolor
        shown = [s.text for s in app.reply.render_line(row) if s.style and s.style.bgcolor == marked]
        assert shown == ["two"]


def test_blocks_joined_are_the_text() -> None:
    for end in range(len(REPLY) + 1):
        assert "".join(blocks(REPLY[:end])) == REPLY[:end]
    assert [block.split("\n")[0] for block in blocks(REPLY)] == [
        "# Rolling back", "Run `ship rollback`, which **restores** the image.", "1. Look.", "```python",
        "last words",
    ]  # fmt: skip


def test_rows_that_differ_are_told_in_stretches() -> None:
    words = ["a", "b", "c", "d", "e"]
    rows = Rows()
    for row, word in enumerate(words):
        rows.give(row, Strip([Segment(word)]))
    words[1:3], words[4] = ["x", "y"], "z"
    assert list(rows.changed(5, lambda row: Strip([Segment(words[row])]))) == [(1, 2), (4, 1)]
    assert list(stretches([])) == []


async def test_a_keystroke_paints_the_row_it_changes_and_no_other(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        area = stage.bench.editor.area
        area.move_cursor((18, 0))
        await stage.pilot.pause(0.2)
        painted: list[int] = []
        paint = area._rows.give
        area._rows.give = lambda row, strip: (painted.append(row), paint(row, strip))[1]  # type: ignore[method-assign]
        await stage.pilot.press("x")
        await stage.until(lambda: "xForty-two." in stage.screen_text(), "the letter")
        assert len(set(painted)) <= 2


@pytest.mark.parametrize("width", [12, 20, 60])
def test_marked_words_are_marked_wherever_they_stand_whole(width: int) -> None:
    theme = load_library().get("ink")
    text = "Sent 42 times to **Ada Vega**, not 420 times; *ask* Ada Vega on day 42."
    rows = MarkdownText(text, ["42", "Ada Vega"]).rows(Console(), width, theme)
    marked = [s.text for row in rows for s in row if s.style and s.style.underline]
    assert "".join("".join(marked).split()) == "42AdaVegaAdaVega42"
    assert [row.text for row in rows] == [
        row.text for row in MarkdownText(text).rows(Console(), width, theme)
    ]
