"""What keeps the workbench fluent: the first frame, painting part by part, collections when nobody waits."""

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.widget import Widget

from dlm_tui import sweeping
from dlm_tui.app import WorkbenchApp
from dlm_tui.screens.curtain import Curtain, first_lines
from dlm_tui.widgets.block import Block
from dlm_tui.widgets.brush import ECHO_S, PATIENCE_S, QUIET_S, Brush, wait_for
from dlm_tui.widgets.key_line import KeyLine
from tests.tui.app.conftest import DOCUMENT, Open


async def test_what_is_typed_before_the_workbench_stands_goes_into_the_document(open_workbench: Open) -> None:
    async with open_workbench(wait=False) as stage:
        curtain = stage.app.screen_stack[0]
        assert isinstance(curtain, Curtain)
        await stage.until(lambda: stage.bench.editor.area.text, "the document")
        curtain.keys = [events.Key("h", "h"), events.Key("exclamation_mark", "!")]
        stage.app.on_workbench_opened()
        await stage.until(lambda: stage.bench.editor.area.text.startswith("h!---"), "the early keys")
        assert curtain.keys == []


def test_the_first_frame_shows_the_documents_first_lines_and_no_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "guide.dlm"
    path.write_bytes(b"\xef\xbb\xbf---\n\x1b[31mred\n" + b"x\n" * 5000)
    lines = first_lines(path)
    assert lines[0] == "---" and "\x1b" not in lines[1] and len(lines) == 200
    assert first_lines(tmp_path / "none.dlm") == []


async def test_the_first_frame_is_not_the_workbench_yet(tmp_path: Path) -> None:
    path = tmp_path / "guide.dlm"
    path.write_text(DOCUMENT)
    seen: list[str] = []

    class Watched(WorkbenchApp):
        def _rise(self) -> None:
            seen.extend(strip.text for strip in self.screen._compositor.render_strips())

    app = Watched(path)
    async with app.run_test(size=(80, 24)) as pilot:
        while not seen:
            await pilot.pause(0.01)
    assert "guide.dlm" in seen[0] and "dlm_id" in seen[3]


class _Bare(App[None]):
    """An app with one widget."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget

    def compose(self) -> ComposeResult:
        yield self.widget


async def test_parts_are_painted_one_at_a_time_and_asking_again_paints_once_more() -> None:
    done: list[str] = []
    host = Block("")
    app = _Bare(host)
    brush = Brush(host, (lambda: done.append("a"), lambda: done.append("b")), lambda: 0.0)
    async with app.run_test() as pilot:
        brush.ask()
        brush.ask()
        while done != ["a"]:
            await pilot.pause(0.001)
        brush.ask()
        while brush.busy:
            await pilot.pause(0.01)
    assert done == ["a", "b", "a", "b"] and brush.rounds == 2


@pytest.mark.slow
async def test_parts_wait_while_keys_come_in_but_not_for_ever() -> None:
    done: list[float] = []
    host = Block("")
    begun = time.monotonic()
    brush = Brush(host, (lambda: done.append(time.monotonic()),), time.monotonic)
    async with _Bare(host).run_test() as pilot:
        brush.ask()
        while brush.busy:
            await pilot.pause(0.01)
    assert done and done[0] - begun >= 0.2


@pytest.mark.parametrize(
    ("since_key", "waited", "comes"),
    [
        (QUIET_S, 0.0, True),  # between two keys
        (QUIET_S / 2, 0.0, False),
        (ECHO_S / 2, PATIENCE_S, False),  # a key is held down, and its letter is not on screen yet
        (ECHO_S, PATIENCE_S, True),
        (ECHO_S * 2.5, PATIENCE_S, False),  # too near to the next key
        (ECHO_S * 2.5, PATIENCE_S * 2, True),
    ],
)
def test_under_a_key_held_down_a_part_comes_between_two_letters(
    since_key: float, waited: float, comes: bool
) -> None:
    assert (wait_for(100.0, waited, 100.0 + since_key) == 0.0) is comes


def test_a_part_waits_for_the_letter_of_the_key_just_pressed() -> None:
    assert wait_for(100.0, PATIENCE_S, 100.0) == ECHO_S
    assert wait_for(100.0, PATIENCE_S, 100.0 + ECHO_S * 2.5) == ECHO_S


async def test_a_block_is_laid_out_again_only_where_its_height_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layouts: list[bool] = []
    block = Block("")
    original = Block.update
    monkeypatch.setattr(
        Block,
        "update",
        lambda self, text="", *, layout=True: (layouts.append(layout), original(self, text, layout=layout)),
    )
    async with _Bare(block).run_test(size=(20, 10)) as pilot:
        for text in ("one", "two", "two", "a line that is longer than twenty cells", "three"):
            block.show(Text(text, end=""))
            await pilot.pause()
    assert layouts == [True, False, True, True]


async def test_keys_that_do_not_fit_are_left_out_from_the_least_wanted_on(open_workbench: Open) -> None:
    async with open_workbench(size=(60, 24)) as stage:
        line = stage.screen_text().splitlines()[-1]
        assert "F1 Help" in line and "F5 Train" in line
        assert stage.bench.query_one(KeyLine).size == Size(60, 1)


async def test_a_click_on_a_key_does_what_the_key_does(open_workbench: Open) -> None:
    async with open_workbench(size=(120, 36)) as stage:
        column = stage.screen_text().splitlines()[-1].index("F1 Help")
        await stage.pilot.click(KeyLine, offset=(column + 1, 0))
        await stage.until(lambda: "You are in" in stage.screen_text(), "the help")


@pytest.fixture
def collector() -> Iterator[None]:
    """The garbage collector, left as it was found."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.enable()


def test_a_full_collection_waits_until_nobody_types(collector: None) -> None:
    with sweeping.held_off():
        assert not gc.isenabled()
        sweeping.settle()
        assert gc.isenabled() and gc.get_freeze_count() > 0
    assert not sweeping.sweep(quiet_for=0.5)
    assert sweeping.sweep(quiet_for=10.0)
