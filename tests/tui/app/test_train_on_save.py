"""Train on save: a switch in the workbench, and every save is followed by a run."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dlm_core.requests import Stop, Train
from dlm_tui.cli import workbench
from dlm_tui.cli.root import cli
from tests.fakes.client import Turnstile
from tests.fakes.engine import Script
from tests.tui.app.conftest import Open, Stage

TWO = ("knowledge", "tone")


def runs_asked(stage: Stage) -> int:
    return sum(isinstance(request, Train) for request in stage.client.sent)


async def test_once_switched_on_a_save_is_followed_by_a_run_and_once_off_no_more(
    open_workbench: Open,
) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        bench = stage.bench
        await stage.pilot.press("ctrl+end", "x", "f2")
        await stage.until(lambda: not bench.editor.unsaved, "a save")
        await stage.pilot.press("alt+w")
        await stage.until(lambda: "⟳ on save" in stage.screen_text(), "the switch in the title")
        assert runs_asked(stage) == 0
        await stage.pilot.press("y", "f2")
        await stage.until(
            lambda: bench.dashboard.run_view and bench.dashboard.run_view.ended, "the run's end"
        )
        assert runs_asked(stage) == 1 and stage.path.read_text().endswith("xy")
        await stage.pilot.press("alt+w", "z", "f2")
        await stage.until(lambda: stage.path.read_text().endswith("xyz"), "a save")
        await stage.pilot.pause(0.2)
        assert runs_asked(stage) == 1 and "⟳ on save" not in stage.screen_text()


async def test_saves_during_a_run_are_trained_after_it_by_one_run_that_leaves_unsaved_text_alone(
    open_workbench: Open,
) -> None:
    turnstile = Turnstile()
    async with open_workbench(Script(adapters=TWO, steps=4, step_delay=1.0), turnstile=turnstile) as stage:
        bench = stage.bench
        await stage.pilot.press("alt+w", "ctrl+end", "f5")
        await stage.until(lambda: bench.training.under_way, "the run")
        for letter in "ab":
            await stage.pilot.press(letter, "f2")
            await stage.until(lambda: bench.training.due == "waiting", "the save being noted")
        await stage.pilot.press("c")
        turnstile.open()
        await stage.until(
            lambda: runs_asked(stage) == 2 and not bench.training.under_way, "the second run's end"
        )
        await stage.pilot.pause(0.1)
        assert runs_asked(stage) == 2
        assert stage.path.read_text().endswith("ab") and bench.editor.area.text.endswith("abc")


@pytest.mark.parametrize("typed", [False, True])
async def test_stopping_a_run_drops_the_save_that_waited(open_workbench: Open, *, typed: bool) -> None:
    turnstile = Turnstile()
    async with open_workbench(Script(adapters=TWO, steps=4, step_delay=1.0), turnstile=turnstile) as stage:
        bench = stage.bench
        await stage.pilot.press("alt+w", "ctrl+end", "f5")
        await stage.until(lambda: bench.training.under_way, "the run")
        await stage.pilot.press("a", "f2")
        await stage.until(lambda: bench.training.due == "waiting", "the save being noted")
        if typed:
            await stage.ask("/stop")
            await stage.until(lambda: any(isinstance(r, Stop) for r in stage.client.sent), "the request")
        else:
            await stage.pilot.press("f8")
        turnstile.open()
        await stage.until(lambda: not bench.training.under_way, "the run's end")
        await stage.pilot.pause(0.1)
        assert runs_asked(stage) == 1


async def test_what_has_errors_is_not_trained_and_another_programs_save_is(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        bench = stage.bench
        await stage.pilot.press("alt+w")
        good = stage.path.read_text()
        bench.editor.area.replace_all(good.replace("#tone", "#tnoe"))
        await stage.pilot.press("f2")
        await stage.until(
            lambda: any(n.message.startswith("Not trained: 2 problems") for n in stage.app._notifications),
            "the refusal",
        )
        assert runs_asked(stage) == 0
        stage.path.write_text(good + "\nMore.\n")
        await stage.until(lambda: runs_asked(stage) == 1, "the run")


def test_the_switch_can_be_on_from_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Path | None, bool]] = []
    monkeypatch.setattr(workbench, "on_a_terminal", lambda: True)
    monkeypatch.setattr("dlm_tui.app.run_app", lambda file, *, watch: asked.append((file, watch)) or 0)
    for line in (["guide.dlm", "--watch"], ["open", "guide.dlm", "--watch"], ["guide.dlm"]):
        assert CliRunner().invoke(cli, line).exit_code == 0
    assert asked == [(Path("guide.dlm"), True), (Path("guide.dlm"), True), (Path("guide.dlm"), False)]
