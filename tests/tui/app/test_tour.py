"""The tour: a panel names the next step and its key, notices that it was done, and is not offered again."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import OptionList

from dlm_core.document import load
from dlm_core.events import Place, Reply, RunEnded
from dlm_core.store import Store
from dlm_tui.actions import BY_ID
from dlm_tui.app import WorkbenchApp
from dlm_tui.screens.start import StartScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.session.tour import STEPS, Progress, begin
from dlm_tui.settings import Loaded, Settings, State, load_state
from dlm_tui.widgets.chat_input import ChatInput
from dlm_tui.widgets.dialogs import TextScreen, TwoLineScreen
from dlm_tui.widgets.tour_panel import TourPanel
from tests.fakes.client import FakeClient
from tests.fakes.engine import Script
from tests.tui.app.conftest import Open, Stage

SHOP = Script(
    adapters=("shop",),
    candidates=(Place(line=11, end_line=18, adapter="shop", question="When?", probability=0.4),),
)
QUIET = Settings(cursor_blink=False, diagnostics_delay=0.05, route_delay=0.02)

Start = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def started() -> Start:
    """Opens the app without a document, with engines that follow a script."""

    @asynccontextmanager
    async def opened(state: State, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Stage]:
        clients: list[FakeClient] = []

        def client() -> FakeClient:
            clients.append(FakeClient(SHOP))
            return clients[-1]

        app = WorkbenchApp(None, client=client, loaded=Loaded(QUIET), state=state)
        async with app.run_test(size=size) as pilot:
            stage = Stage(app, pilot, FakeClient(), Path())
            await stage.until(lambda: isinstance(app.screen, StartScreen), "the list")
            yield stage

    return opened


def run(status: str) -> RunEnded:
    return RunEnded(run_id=1, status=status, reason="", versions={}, seconds=1.0)  # type: ignore[arg-type]


def reply() -> Reply:
    fields = {"reply": "Yes.", "finish_reason": "stop", "openness": {}, "version": "v1"}
    return Reply(**fields, routing=None, timing=None)  # type: ignore[arg-type]


def test_each_step_waits_for_what_it_asks_for_and_nothing_else(tmp_path: Path) -> None:
    path = begin(tmp_path)
    tour = Progress(path)
    assert not tour.heard(run("done")) and not tour.look(correcting=True), "nothing is written yet"
    path.write_text(path.read_text().replace("nine", "eight"))
    assert tour.look(correcting=False) and tour.now.name == "Train"
    assert not tour.heard(run("stopped")) and not tour.heard(reply())
    assert tour.heard(run("done")) and tour.now.name == "Ask"
    assert tour.heard(reply()) and tour.now.name == "Correct"
    assert not tour.heard(reply()) and tour.look(correcting=True) and tour.now.name == "See it right"
    assert not tour.heard(run("done")) and tour.heard(reply())
    assert tour.finished and not tour.heard(reply()) and not tour.look(correcting=True)


def test_a_tour_begins_with_a_sound_document_and_clears_up_after_the_one_before(tmp_path: Path) -> None:
    first = load(begin(tmp_path))
    assert first.adapter_names == ("shop",) and len(first.sections) == 3
    root = Store.open(first.dlm_id, create=True).paths.root
    (root / "left").write_text("over")
    second = load(begin(tmp_path))
    assert second.dlm_id != first.dlm_id and not root.exists()


def panel(stage: Stage) -> str:
    (found,) = stage.app.screen.query(TourPanel)
    rows = stage.screen_text().splitlines()[found.region.y : found.region.bottom]
    return " ".join(" ".join(rows).split())


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_whole_loop_is_gone_through_on_a_sample(
    started: Start, size: tuple[int, int], homes: Path
) -> None:
    async with started(State(), size) as stage:
        assert "New here? The tour" in stage.screen_text()
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        await stage.until(lambda: stage.bench.chat.ready, "the engine")
        assert "1 of 5: Write" in panel(stage) and "F2 saves it" in panel(stage)
        area = stage.bench.editor.area
        area.replace_all(area.text.replace("at nine", "at eight"))
        await stage.pilot.press("f2")
        await stage.until(lambda: "2 of 5: Train" in panel(stage), "the second step")
        await stage.pilot.press("f5")
        await stage.until(lambda: "3 of 5: Ask" in panel(stage), "the third step")
        await stage.pilot.press("alt+c")
        await stage.ask("When do you open?")
        await stage.until(lambda: "4 of 5: Correct" in panel(stage), "the fourth step")
        await stage.answered(1)
        await stage.pilot.press("alt+t")
        await stage.until(lambda: isinstance(stage.app.screen, TwoLineScreen), "the choice")
        await stage.pilot.press("down", "enter")
        await stage.until(lambda: isinstance(stage.app.screen, TextScreen), "the answer's lines")
        await stage.pilot.press(*"At eight", "enter")
        await stage.until(lambda: "That is the loop" in panel(stage), "the end")
        assert "At eight" in stage.bench.path.read_text()
        await stage.pilot.press("shift+f1")
        await stage.until(lambda: not stage.app.screen.query(TourPanel), "the panel gone")
    assert load_state().tour == "done"
    assert not load_state().recent, "the sample is not among the documents that were worked on"


@pytest.mark.slow
async def test_a_tour_that_was_skipped_is_not_offered_again_but_can_be_called(started: Start) -> None:
    state = State()
    async with started(state) as stage:
        await stage.pilot.press("shift+f1")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        await stage.until(lambda: bool(stage.app.screen.query(TourPanel)), "the panel")
        found = stage.app.screen.query_one(TourPanel).region
        await stage.pilot.click(offset=(found.right - 4, found.y + 1))
        await stage.until(lambda: not stage.app.screen.query(TourPanel), "the panel gone")
        assert load_state().tour == "skipped"
    async with started(load_state()) as stage:
        assert "The tour" not in stage.screen_text()
        first = stage.app.screen.query_one(OptionList)
        assert first.highlighted is not None
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "a document")
        await stage.until(lambda: stage.bench.chat.ready, "the engine")
        assert not stage.app.screen.query(TourPanel)
        await stage.pilot.press("shift+f1")
        await stage.until(lambda: bool(stage.app.screen.query(TourPanel)), "the tour, called")
        await stage.until(lambda: stage.bench.chat.ready, "its engine")
        assert stage.bench.path.name == "shop.dlm"


async def test_a_document_that_is_opened_has_no_tour(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        assert not stage.app.screen.query(TourPanel)
        assert stage.bench.query_one(ChatInput)


def test_every_step_names_keys_of_actions_that_are_there() -> None:
    for step in STEPS:
        assert step.words.format(*step.actions)
        assert all(BY_ID[action].key for action in step.actions), step.name
