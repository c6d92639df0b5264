"""Versions in the workbench: a key lists them, Enter goes back to one."""

from textual.widgets import OptionList

from dlm_core.document import load
from dlm_core.store import Store
from dlm_tui.screens.versions import VersionsScreen
from dlm_tui.screens.workbench import Workbench
from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open
from tests.unit.cli.test_store_commands import commit

TWO = ("knowledge", "tone")


async def test_versions_are_listed_with_what_differs_and_enter_goes_back(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO), size=(120, 36)) as stage:
        commit(stage.path, *TWO)
        stage.path.write_text(DOCUMENT.replace("Ada does.", "Grace does."), "utf-8")
        commit(stage.path, "knowledge")
        await stage.pilot.press("alt+z")
        await stage.until(lambda: isinstance(stage.app.screen, VersionsScreen), "the list")
        assert "· current" in stage.screen_text() and "This is what answers now." in stage.screen_text()
        await stage.pilot.press("down")
        await stage.until(
            lambda: "~ instruction#knowledge: Who owns it?" in stage.screen_text(), "what differs"
        )
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, Workbench), "the workbench")
        store = Store.open(load(stage.path).dlm_id, create=False)
        await stage.until(lambda: store.snapshot().adapters["knowledge"] == "v0001", "the rollback")
        await stage.until(lambda: "rolled" in stage.screen_text(), "the word")


async def test_where_nothing_is_trained_that_is_said(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        await stage.pilot.press("alt+z")
        await stage.until(lambda: isinstance(stage.app.screen, VersionsScreen), "the list")
        assert "Nothing is trained yet." in stage.screen_text()
        assert stage.app.screen.query_one(OptionList).option_count == 0
        await stage.pilot.press("escape")
