"""The last evaluation in the training pane."""

from pathlib import Path

from dlm_core.events import Evaluated
from dlm_core.store.metrics import Metrics
from dlm_core.store.paths import StorePaths
from tests.fakes.reports import EVALUATION
from tests.tui.app.conftest import Open

DLM_ID = "01HZX3V5J8K2M4N6P7Q8R9S0TA"


async def test_an_evaluation_shows_as_soon_as_it_is_recorded(open_workbench: Open, homes: Path) -> None:
    paths = StorePaths(homes / "home", DLM_ID)
    paths.root.mkdir(parents=True)
    async with open_workbench(size=(160, 60)) as stage:
        dashboard = stage.bench.dashboard
        assert not dashboard.query_one("#evaluation").display
        with Metrics(paths.metrics) as metrics:
            run = metrics.start_run()
            metrics.record(Evaluated(run_id=run, document_hash="x", evaluation=EVALUATION))
            metrics.end_run(run)
        dashboard._look()
        await stage.until(lambda: dashboard.shown.evaluation is not None, "the evaluation being seen")
        await stage.until(lambda: "paraphrase 0.75 base 0.12" in stage.screen_text(), "its figures")
        assert "verbatim 100% base 0%" in stage.screen_text() and "perplexity +2.5%" in stage.screen_text()
