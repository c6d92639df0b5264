"""Versions in the workbench: a key lists them, Enter goes back to one."""

from dataclasses import replace

from textual.widgets import OptionList

from dlm_core.document import load, parse_text
from dlm_core.store import Store
from dlm_tui.screens.versions import VersionsScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.session.versions import versions_of
from dlm_tui.widgets.dialogs import LineScreen
from dlm_tui.widgets.plot import Plot
from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open, Stage
from tests.unit.cli.test_store_commands import commit

TWO = ("knowledge", "tone")


async def test_versions_are_listed_with_what_differs_and_enter_goes_back(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO), size=(120, 36)) as stage:
        commit(stage.path, *TWO)
        stage.path.write_text(DOCUMENT.replace("Ada does.", "Grace does."), "utf-8")
        commit(stage.path, "knowledge")
        await stage.pilot.press("alt+z")
        await stage.until(lambda: isinstance(stage.app.screen, VersionsScreen), "the list")
        assert "current" in stage.screen_text() and "This is what answers now." in stage.screen_text()
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


async def listed(stage: Stage) -> VersionsScreen:
    """Two versions whose documents differ, in the list."""
    commit(stage.path, *TWO)
    stage.path.write_text(DOCUMENT.replace("Ada does.", "Grace does."), "utf-8")
    commit(stage.path, "knowledge")
    await stage.pilot.press("alt+z")
    await stage.until(lambda: isinstance(stage.app.screen, VersionsScreen), "the list")
    assert isinstance(stage.app.screen, VersionsScreen)
    return stage.app.screen


async def test_a_version_is_named_and_pinned_with_keys(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO), size=(80, 24)) as stage:
        await listed(stage)
        dlm_id = load(stage.path).dlm_id
        await stage.pilot.press("down", "n")
        await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the place for a name")
        await stage.pilot.press(*"first", "enter")
        await stage.until(lambda: versions_of(dlm_id)[0].pinned, "the name")
        await stage.until(lambda: "⚑" in stage.screen_text() and "first" in stage.screen_text(), "the sign")
        assert versions_of(dlm_id)[0].name == "first"
        await stage.click("p pins")
        await stage.until(lambda: not versions_of(dlm_id)[0].pinned, "that it is pinned no more")


async def test_two_versions_are_compared_by_text_and_by_the_losses_of_their_runs(
    open_workbench: Open,
) -> None:
    async with open_workbench(Script(adapters=TWO), size=(120, 36)) as stage:
        screen = await listed(stage)
        kept = [load(stage.path).sections, parse_text(DOCUMENT).document.sections]  # type: ignore[union-attr]
        texts = {s.content_hash: s for sections in kept for s in sections}
        screen._source = replace(screen._source, texts=texts)
        await stage.pilot.press("down", "v")
        await stage.until(lambda: "-Ada does." in stage.screen_text(), "the difference of the texts")
        assert "+Grace does." in stage.screen_text()
        await stage.pilot.press("c", "up")
        await stage.until(lambda: "+Ada does." in stage.screen_text(), "the other way round")
        await stage.pilot.press("v")
        await stage.until(lambda: "beneath (○)" in stage.screen_text(), "the losses")
        await stage.until(lambda: len(screen._runs) == 2, "both runs")
        assert "no.  when" in stage.screen_text() and "◂ compared" in stage.screen_text()
        assert screen.query_one(Plot).display
