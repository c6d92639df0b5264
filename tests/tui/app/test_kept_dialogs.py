"""Every dialog against a kept one, in three sizes and two themes; each has its keys on a line and behind F1.

After a change that is meant, `DLM_KEEP_SCREENS=1 pytest tests/tui/app/test_kept_dialogs.py` keeps the new
ones. What is kept is the dialog's box: its rows, its styles as runs of cells, and what the styles are.
"""

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.style import Style
from textual.binding import Binding

from dlm_tui.screens.help import HelpScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.settings import Settings
from dlm_tui.widgets.dialog_help import DialogHelp, entries_of
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.key_line import KeyLine
from dlm_tui.widgets.plot import load_plotting
from tests.tui.app.conftest import Open, Stage
from tests.tui.app.staged import SCRIPT, STAGED, fixed_times

KEPT = Path(__file__).with_name("screens") / "dialogs"
SIZES = ((80, 24), (120, 36), (200, 50))
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Painted:
    """Boxes as text, with letters for styles that are the same in all of them."""

    def __init__(self) -> None:
        self.styles: dict[str, str] = {}

    def box(self, stage: Stage) -> str:
        """The rows of what lies over the workbench, then their styles: so many cells in each."""
        screen = stage.app.screen
        frame = (screen.dashboard if isinstance(screen, Workbench) else screen.children[0]).region
        text, colors = [], []
        for strip in screen._compositor.render_strips()[frame.y : frame.bottom]:
            cut = strip.crop(frame.x, frame.right)
            text.append(cut.text.rstrip())
            letters = "".join(self.letter(segment.style) * segment.cell_length for segment in cut)
            colors.append(" ".join(f"{len(list(run))}{letter}" for letter, run in groupby(letters)))
        return "\n".join([*text, "-" * 20, *(f"{row} x{len(list(n))}" for row, n in groupby(colors))])

    def letter(self, style: Style | None) -> str:
        """The letter of a style."""
        shown = str(style.without_color + Style.from_color(style.color, style.bgcolor)) if style else "none"
        return self.styles.setdefault(shown, _LETTERS[len(self.styles) % len(_LETTERS)])

    def legend(self) -> str:
        """What the letters stand for."""
        return "\n".join(f"{letter} {style}" for style, letter in self.styles.items())


async def at_rest(stage: Stage, painted: Painted) -> str:
    """The box once nothing changes any more."""
    before = ""
    for _ in range(100):
        await stage.pilot.pause(0.03)
        if (now := painted.box(stage)) == before and not stage.bench.dashboard.painting:
            break
        before = now
    return before


def says_its_keys(stage: Stage) -> None:
    """Each key that is shown stands on the dialog's line of keys, and can be clicked there."""
    screen = stage.app.screen
    (line,) = [*screen.query(DialogKeys), *screen.query(KeyLine)]
    shown = " ".join(str(line.render()).split())
    assert "F1" in shown or isinstance(screen, HelpScreen)
    for binding in type(screen).BINDINGS:
        assert isinstance(binding, Binding)
        label = line.label_of(binding) if isinstance(line, DialogKeys) else binding.description
        assert not binding.show or label.lower() in shown.lower(), (binding, shown)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder with a short name that is as long every time: where a line is cut hangs on it."""
    with TemporaryDirectory(prefix="dlm-", dir="/tmp") as folder:
        yield Path(folder)


async def boxes(stage: Stage, home: Path) -> str:
    """What the dialog looks like in every size."""
    painted, found = Painted(), []
    for size in SIZES:
        await stage.pilot.resize_terminal(*size)
        found += [f"{size[0]}x{size[1]}", await at_rest(stage, painted)]
    return "\n".join([*found, "-" * 20, painted.legend(), ""]).replace(
        str(home), "HERE".ljust(len(str(home)), ".")
    )


async def left(stage: Stage) -> None:
    """Back in the workbench."""
    for _ in range(5):
        if stage.app.screen is stage.bench:
            return
        here = stage.app.screen
        await stage.pilot.press("escape")
        await stage.until(lambda here=here: stage.app.screen is not here, "the end of the dialog")  # type: ignore[misc]
    raise AssertionError("dialogs without end")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("theme", ["ink", "paper"])
async def test_dialogs_look_as_they_were_kept_and_say_their_keys(
    open_workbench: Open, theme: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    load_plotting()
    monkeypatch.chdir(tmp_path)
    fixed_times(monkeypatch)
    settings = Settings(theme=theme, cursor_blink=False, diagnostics_delay=0.05, route_delay=0.02)
    differ = []
    async with open_workbench(SCRIPT, size=SIZES[0], settings=settings) as stage:
        for name, show in STAGED.items():
            await stage.pilot.resize_terminal(*SIZES[0])
            await show(stage)
            stage.app.clear_notifications()
            found = await boxes(stage, tmp_path)
            path = KEPT / f"{name}-{theme}.txt"
            if os.environ.get("DLM_KEEP_SCREENS"):
                KEPT.mkdir(parents=True, exist_ok=True)
                path.write_text(found, encoding="utf-8")
            differ += [] if found == path.read_text(encoding="utf-8") else [path.name]
            if not isinstance(stage.app.screen, Workbench):
                says_its_keys(stage)
                await helps(stage)
                await left(stage)
    assert not differ


async def helps(stage: Stage) -> None:
    """F1 says what every key of the dialog does."""
    screen = stage.app.screen
    entries = [*entries_of(screen, own=True)]
    if isinstance(screen, HelpScreen):
        return
    await stage.pilot.press("f1")
    await stage.until(lambda: isinstance(stage.app.screen, DialogHelp), "the help")
    await stage.pilot.pause()
    shown = " ".join(stage.screen_text().split())
    assert entries and all(keys in shown and label in shown for keys, label, _ in entries), shown
    await stage.pilot.press("escape")
    await stage.until(lambda: stage.app.screen is screen, "the dialog again")
