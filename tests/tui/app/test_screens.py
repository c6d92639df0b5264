"""Whole screens against kept ones, in three sizes and two themes: every character, and every colour.

After a change that is meant, `DLM_KEEP_SCREENS=1 pytest tests/tui/app/test_screens.py` keeps the new ones.
"""

import os
from pathlib import Path

import pytest

from dlm_tui.settings import Settings
from dlm_tui.widgets.plot import load_plotting
from tests.fakes.engine import Script
from tests.tui.app.conftest import Open, Stage

KEPT = Path(__file__).with_name("screens")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def painted(stage: Stage) -> str:
    """The screen as text, then as a map of letters, one per style, then what the letters stand for."""
    styles: dict[str, str] = {}
    text: list[str] = []
    colors: list[str] = []
    for strip in stage.app.screen._compositor.render_strips():
        text.append(strip.text.rstrip())
        row = ""
        for segment in strip:
            style = segment.style
            shown = (
                str(style.without_color + style.from_color(style.color, style.bgcolor)) if style else "none"
            )
            letter = styles.setdefault(shown, _LETTERS[len(styles) % len(_LETTERS)])
            row += letter * segment.cell_length
        colors.append(row)
    legend = [f"{letter} {style}" for style, letter in styles.items()]
    return "\n".join([*text, "-" * 20, *colors, "-" * 20, *legend, ""])


async def compare(stage: Stage, name: str) -> None:
    """The screen, once it has come to rest, is the one that was kept."""
    before = ""
    for _ in range(100):
        await stage.pilot.pause(0.05)
        if (now := painted(stage)) == before and not stage.bench.dashboard.painting:
            break
        before = now
    path = KEPT / f"{name}.txt"
    if os.environ.get("DLM_KEEP_SCREENS"):
        KEPT.mkdir(exist_ok=True)
        path.write_text(before, encoding="utf-8")
    assert before == path.read_text(encoding="utf-8"), f"the screen differs from {path.name}"


@pytest.mark.parametrize("theme", ["ink", "paper"])
@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_workbench_after_a_run_and_a_reply(
    open_workbench: Open, size: tuple[int, int], theme: str
) -> None:
    load_plotting()
    settings = Settings(theme=theme, cursor_blink=False, diagnostics_delay=0.05, route_delay=0.02)
    script = Script(adapters=("knowledge", "tone"), steps=24, epochs=4)
    async with open_workbench(script, size=size, settings=settings) as stage:
        await stage.pilot.press("f5")
        await stage.until(
            lambda: stage.bench.dashboard.run_view and stage.bench.dashboard.run_view.ended, "the run"
        )
        await stage.ask("tone please")
        await stage.answered(1)
        stage.app.clear_notifications()
        await compare(stage, f"chat-{size[0]}x{size[1]}-{theme}")
        if size == (80, 24):
            stage.bench.frame.bring_up("editor")
            await compare(stage, f"editor-80x24-{theme}")
            stage.bench.frame.bring_up("dashboard")
            await compare(stage, f"dashboard-80x24-{theme}")
