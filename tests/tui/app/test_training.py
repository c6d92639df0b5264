"""The training pane, live and over the store."""

import sqlite3
from pathlib import Path

import pytest

from dlm_core.events import Evaluated, GateTrained, OpennessMap, RunEnded, RunPlanned, TrainStep
from dlm_core.requests import Reload, Stop, Train
from dlm_core.store.metrics import Metrics
from dlm_core.store.metrics_reader import EvaluationRecord
from dlm_core.store.paths import StorePaths
from dlm_tui.panes.dashboard import DashboardPane
from dlm_tui.session.run_view import RunView
from dlm_tui.widgets.heatmap import HeatMap
from dlm_tui.widgets.plot import Plot
from tests.fakes.client import Turnstile
from tests.fakes.engine import Script
from tests.fakes.reports import EVALUATION
from tests.tui.app.conftest import DOCUMENT, Open, Stage

DLM_ID = "01HZX3V5J8K2M4N6P7Q8R9S0TA"
TWO = ("knowledge", "tone")


def step(run: int, number: int, loss: float = 1.0) -> TrainStep:
    return TrainStep(
        run_id=run, phase="sft", step=number, steps=10, epoch=1, epochs=2, loss=loss,
        losses={"knowledge": loss, "tone": loss / 2}, learning_rate=1e-3, grad_norm=1.0, tokens_per_s=500.0,
        elapsed_s=number, eta_s=10.0 - number, openness={"knowledge": 0.1, "tone": 0.2},
    )  # fmt: skip


def planned(run: int) -> RunPlanned:
    return RunPlanned(
        run_id=run, adapters=TWO, rows={"knowledge": 2, "tone": 2}, tokens=100, steps=10, epochs=2, recipe=()
    )


async def test_a_key_saves_and_trains_and_the_curves_move(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 50)) as stage:
        dashboard = stage.bench.dashboard
        await stage.pilot.press("ctrl+end", *"more", "f5")
        await stage.until(lambda: dashboard.run_view and dashboard.run_view.ended, "the run's end")
        assert stage.path.read_text().endswith("more")
        assert any(isinstance(r, Train) for r in stage.client.sent)
        run = dashboard.run_view
        assert run is not None and len(run.loss) == 6 and set(run.losses) == set(TWO)
        await stage.until(lambda: dashboard.query_one("#loss-plot", Plot).draws > 0, "the plot being drawn")
        await stage.until(lambda: "Run 1 ✔ done" in stage.screen_text(), "the run's end on screen")
        assert "knowledge v0002" in stage.screen_text()
        assert stage.bench.title_bar.situation.training == ""


async def test_progress_stands_in_the_title_and_stopping_says_what_was_kept(open_workbench: Open) -> None:
    turnstile = Turnstile()
    script = Script(adapters=TWO, steps=10, step_delay=1.0)
    async with open_workbench(script, turnstile=turnstile, size=(160, 40)) as stage:
        await stage.pilot.press("f5")
        turnstile.let_pass(3)
        dashboard = stage.bench.dashboard
        await stage.until(lambda: dashboard.run_view and len(dashboard.run_view.loss) == 3, "three steps")
        await stage.until(lambda: "▶ 3/10" in stage.screen_text(), "progress in the title")
        assert "ETA 7 s" in stage.screen_text()
        await stage.pilot.press("f8")
        await stage.until(lambda: any(isinstance(r, Stop) for r in stage.client.sent))
        turnstile.open()
        await stage.until(lambda: dashboard.run_view.ended, "the stopped run's end")
        await stage.until(lambda: "■ stopped" in stage.screen_text())
        assert "Checkpoint" in stage.screen_text()


async def test_a_command_that_does_not_exist_is_no_failure_of_the_run(open_workbench: Open) -> None:
    turnstile = Turnstile()
    script = Script(adapters=TWO, steps=10, step_delay=1.0)
    async with open_workbench(script, turnstile=turnstile, size=(160, 40)) as stage:
        await stage.pilot.press("f5")
        turnstile.let_pass(1)
        dashboard = stage.bench.dashboard
        await stage.until(lambda: dashboard.run_view and dashboard.run_view.loss, "a step")
        await stage.ask("/nonsense")
        await stage.until(lambda: "there is no command" in stage.screen_text(), "the refusal")
        assert dashboard.run_view.running and not dashboard.run_view.failure
        turnstile.open()


async def test_a_run_of_another_process_shows_live_and_its_versions_are_taken_up(
    open_workbench: Open, homes: Path
) -> None:
    paths = StorePaths(homes / "home", DLM_ID)
    paths.root.mkdir(parents=True)
    async with open_workbench(size=(160, 50)) as stage:
        dashboard = stage.bench.dashboard
        with Metrics(paths.metrics) as metrics:
            run = metrics.start_run()
            metrics.record(planned(run))
            for number in range(1, 5):
                metrics.record(step(run, number, loss=2.0 / number))
            metrics.flush()
            await stage.until(lambda: dashboard.run_view and len(dashboard.run_view.loss) == 4, "its steps")
            await stage.until(lambda: "in another process" in stage.screen_text())
            metrics.record(step(run, 5))
            metrics.record(
                RunEnded(run_id=run, status="done", reason="learned", versions={"tone": "v0003"}, seconds=3)
            )
            metrics.flush()
        await stage.until(lambda: dashboard.run_view.ended, "its end")
        await stage.until(lambda: any(isinstance(r, Reload) for r in stage.client.sent), "the reload")


async def test_a_past_run_can_be_opened_and_laid_below_another(open_workbench: Open, homes: Path) -> None:
    paths = StorePaths(homes / "home", DLM_ID)
    paths.root.mkdir(parents=True)
    with Metrics(paths.metrics) as metrics:
        for count in (3, 7):
            run = metrics.start_run()
            metrics.record(planned(run))
            for number in range(1, count + 1):
                metrics.record(step(run, number))
            metrics.record(RunEnded(run_id=run, status="done", reason="learned", versions={}, seconds=3))
    async with open_workbench(size=(160, 50)) as stage:
        dashboard = stage.bench.dashboard
        await stage.until(lambda: dashboard.run_view and len(dashboard.run_view.loss) == 7, "the newest run")
        stage.bench.frame.bring_up("dashboard")
        await stage.pilot.press("r")
        await stage.until(lambda: len(stage.app.screen_stack) == 3, "the list of runs")
        assert "run 1" in stage.screen_text() and "run 2" in stage.screen_text()
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: dashboard.run_view.run_id == 1, "the first run")
        assert len(dashboard.run_view.loss) == 3
        await stage.pilot.press("o")
        await stage.until(lambda: len(stage.app.screen_stack) == 3)
        await stage.pilot.press("home", "enter")
        await stage.until(lambda: dashboard.overlay is not None, "the overlay")
        assert dashboard.overlay is not None and dashboard.overlay.run_id == 2


@pytest.mark.slow
async def test_cold_starts_have_a_panel_and_a_key_that_leads_to_the_remedy(open_workbench: Open) -> None:
    text = DOCUMENT.replace("cold_start_floor: 2", "cold_start_floor: 3")
    async with open_workbench(text=text, size=(160, 40)) as stage:
        bench = stage.bench
        assert [(c.adapter, c.have, c.floor) for c in bench.dashboard.concerns] == [
            ("knowledge", 2, 3),
            ("tone", 2, 3),
        ]
        await stage.until(lambda: "2 of 3 tagged" in stage.screen_text(), "the panel")
        assert "::instruction#knowledge::" in stage.screen_text()
        bench.frame.bring_up("dashboard")
        await stage.pilot.press("w")
        await stage.until(lambda: bench.editor.area.has_focus, "the editor")
        assert bench.editor.area.text.endswith("::instruction#knowledge::\n### Q\n\n### A\n")
        assert bench.editor.area.document.get_line(bench.editor.area.cursor_location[0]) == ""


async def test_a_collapsed_and_a_failed_gate_show_with_what_to_do(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        dashboard = stage.bench.dashboard
        dashboard.take(planned(1))
        gate = GateTrained(
            run_id=1, mode="trained", mean_weights={"knowledge": 0.99, "tone": 0.01},
            sample_counts={"knowledge": 9, "tone": 9}, floor=4, entropy=0.01, max_entropy=0.69,
        )  # fmt: skip
        dashboard.take(gate)
        await stage.until(lambda: "collapsed" in stage.screen_text(), "the collapse")
        assert "entropy_lambda" in stage.screen_text().replace("\n", "")
        failed = GateTrained(
            run_id=1, mode="failed", mean_weights={}, sample_counts={}, floor=4, reason="loss was not finite"
        )  # fmt: skip
        dashboard.take(failed)
        await stage.until(lambda: "could not be trained" in stage.screen_text(), "the failure")


async def test_a_cell_of_the_heat_map_tells_its_number(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 60)) as stage:
        dashboard = stage.bench.dashboard
        dashboard.take(planned(1))
        for adapter, module in (("knowledge", "q_proj"), ("knowledge", "up_proj"), ("tone", "q_proj")):
            dashboard.take(
                OpennessMap(
                    run_id=1,
                    step=1,
                    adapter=adapter,
                    module=module,
                    layers=(0, 1),
                    values=((0.1, 0.2), (0.3, 0.4)),
                )
            )
        await stage.until(lambda: dashboard.query_one(HeatMap).display, "the heat map")
        dashboard.query_one(HeatMap).focus()
        await stage.pilot.press("down", "right")
        await stage.until(lambda: "layer 1, rank 1: 0.400" in stage.screen_text(), "the number")
        assert "rank mean 0.300" in stage.screen_text()
        await stage.pilot.press("m")
        await stage.until(lambda: "● knowledge  up_proj" in stage.screen_text(), "the next module")
        await stage.pilot.press("a")
        await stage.until(lambda: "▲ tone  q_proj" in stage.screen_text(), "the next adapter")


async def test_a_burst_of_events_is_painted_at_most_four_times_a_second(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        dashboard = stage.bench.dashboard
        before = dashboard.repaints
        for number in range(1, 500):
            dashboard.take(step(3, number))
        await stage.until(lambda: dashboard.run_view and len(dashboard.run_view.loss) == 499)
        assert dashboard.repaints - before <= 3


async def test_a_damaged_record_of_runs_is_said_once_and_the_rest_goes_on(
    open_workbench: Open, homes: Path
) -> None:
    paths = StorePaths(homes / "home", DLM_ID)
    paths.root.mkdir(parents=True)
    paths.metrics.write_bytes(b"this is no database" * 100)
    async with open_workbench() as stage:
        assert isinstance(stage.bench.dashboard, DashboardPane)
        await stage.until(lambda: stage.app._notifications, "the message")
        await stage.ask("What is the limit?")
        await stage.answered(1)
    assert sqlite3.sqlite_version


async def test_answers_are_seen_forming_while_it_trains(open_workbench: Open) -> None:
    watched = ("What is the limit?", "How do we greet people who come in the morning, and whom do we greet?")
    script = Script(adapters=("knowledge", "tone"), steps=8, epochs=4, watched=watched)
    async with open_workbench(script, size=(80, 24)) as stage:
        await stage.pilot.press("f5")
        run = await ended(stage)
        assert run.forming["What is the limit?"].probabilities == [0.2, 0.4, 0.6, 0.8]
        stage.bench.frame.bring_up("dashboard")
        await stage.until(lambda: "Answers forming" in stage.screen_text(), "the questions")
        shown = stage.screen_text()
        assert "● What is the limit?" in shown and "▂▄▅▇" in shown and " 80%" in shown
        assert "✔ Forty-two." in shown and "▲ How do we greet people" in shown


async def ended(stage: Stage) -> RunView:
    dashboard = stage.bench.dashboard
    await stage.until(lambda: dashboard.run_view is not None and dashboard.run_view.ended, "the run")
    assert dashboard.run_view is not None
    return dashboard.run_view


async def test_what_a_look_should_tell_first_stands_above_the_curves(open_workbench: Open) -> None:
    script = Script(adapters=TWO, steps=8, epochs=4)
    async with open_workbench(script, size=(80, 24)) as stage:
        await stage.pilot.press("f5")
        await ended(stage)
        dashboard = stage.bench.dashboard
        dashboard.shown.evaluation = EvaluationRecord(
            evaluated=Evaluated(run_id=7, document_hash="x", evaluation=EVALUATION), at=0.0
        )
        stage.bench.frame.bring_up("dashboard")
        dashboard.repaint()
        first = "recall 100%  right 50% (run 7)  forgetting +1.0%"
        await stage.until(lambda: first in stage.screen_text(), "the figures")
        assert stage.screen_text().index(first) < stage.screen_text().index("smoothed, raw behind")


async def test_the_loss_is_read_at_a_cursor_and_shown_in_logarithms(open_workbench: Open) -> None:
    script = Script(adapters=TWO, steps=8, epochs=4)
    async with open_workbench(script, size=(80, 24)) as stage:
        await stage.pilot.press("f5")
        run = await ended(stage)
        stage.bench.frame.bring_up("dashboard")
        plot = stage.bench.query_one("#loss-plot", Plot)
        await stage.pilot.press("s", "comma", "comma")
        await stage.until(lambda: "step 7" in stage.screen_text(), "the value at the cursor")
        assert f"∗ all {run.loss.smooth[6]:.3f}" in stage.screen_text() and plot.scene.cursor == 7
        await stage.pilot.press("full_stop", "full_stop")
        await stage.until(lambda: plot.scene.cursor is None, "the cursor's end")
        await stage.pilot.press("l")
        await stage.until(lambda: "smoothed, logarithmic" in stage.screen_text(), "logarithms")
        assert plot.scene.log
        await stage.pilot.click(plot, offset=(plot.size.width - 1, 3))
        await stage.until(lambda: plot.scene.cursor == 8, "the cursor where it was clicked")
        await stage.pilot.click(plot, offset=(plot.size.width - 1, 3))
        await stage.until(lambda: plot.scene.cursor is None, "the second click takes it away")
