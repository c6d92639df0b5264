"""All that can be done has a key, stands in the palette or on its dialog's line of keys, and in the help."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from textual.binding import Binding
from textual.widget import Widget

import dlm_tui.screens
import dlm_tui.widgets
from dlm_tui.actions import ACTIONS, BY_ID, bindings, clashes, readable
from dlm_tui.app import WorkbenchApp
from dlm_tui.panes.chat import ChatPane
from dlm_tui.panes.dashboard import DashboardPane
from dlm_tui.panes.editor import EditorPane
from dlm_tui.screens.help import HelpScreen
from dlm_tui.screens.palette import ActionProvider
from dlm_tui.screens.start import StartScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.settings import Loaded, Settings, State
from dlm_tui.widgets.dialog_help import DialogHelp
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.reply_view import ReplyView
from tests.fakes.client import FakeClient, Turnstile
from tests.fakes.engine import Script
from tests.tui.app.conftest import Open, Stage

OWNERS: dict[str, type[Widget]] = {
    "workbench": Workbench, "start": StartScreen, "editor": EditorPane, "dashboard": DashboardPane,
    "chat": ChatPane, "reply": ReplyView,
}  # fmt: skip


def dialogs() -> Iterator[type[ClosedOnce[Any]]]:
    """Every dialog that the workbench has."""
    for package in (dlm_tui.screens, dlm_tui.widgets):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for _, found in inspect.getmembers(import_module(module.name), inspect.isclass):
                if issubclass(found, ClosedOnce) and found.__module__ == module.name:
                    yield found


def test_every_action_has_a_key_a_title_a_sentence_and_a_method() -> None:
    assert not clashes() and len(BY_ID) == len(ACTIONS)
    for action in ACTIONS:
        assert action.key and action.title and action.help.endswith("."), action.id
        assert callable(getattr(OWNERS[action.scope], f"action_{action.method}", None)), action.id
        bound = {b.id: b for b in bindings(action.scope) if isinstance(b, Binding)}
        assert bound[action.id].tooltip == action.help


def test_every_key_of_every_dialog_says_what_it_does_and_has_its_method() -> None:
    found = list(dialogs())
    assert len(found) > 20
    for dialog in found:
        for binding in dialog.BINDINGS:
            assert isinstance(binding, Binding) and binding.description, (dialog, binding)
            name = binding.action.partition("(")[0]
            assert hasattr(dialog, f"action_{name}") or name.startswith("app."), (dialog, binding)


async def offered(stage: Stage) -> set[str]:
    """What the palette offers now."""
    provider = ActionProvider(stage.app.screen)
    return {label for label, *_ in provider._offers()}


async def test_the_palette_and_the_help_have_every_action(open_workbench: Open) -> None:
    turnstile = Turnstile()
    script = Script(adapters=("knowledge", "tone"), step_delay=1.0)
    async with open_workbench(script, size=(120, 200), turnstile=turnstile) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        seen = await offered(stage)
        await stage.pilot.press("f5")
        await stage.until(lambda: stage.bench.session.runs.under_way, "the run")
        seen |= await offered(stage)  # to stop, something has to be under way
        turnstile.open()
        await stage.pilot.press("f1")
        await stage.until(lambda: isinstance(stage.app.screen, HelpScreen), "the help")
        shown = " ".join(stage.screen_text().split())
        for action in ACTIONS:
            if action.scope != "start":
                key = action.key.split(",")[0]
                assert f"{action.title}  ({readable(key)})" in seen, action.id
                assert action.title in shown and readable(key) in shown, action.id


async def test_a_palette_entry_of_a_reply_is_carried_out_on_the_last_one(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        await stage.pilot.press("ctrl+p", *"copy this reply", "enter")
        await stage.until(lambda: stage.app.clipboard == "Turn 1, auto: tone please", "the clipboard")


@pytest.mark.slow
async def test_on_the_first_screen_too_f1_and_the_palette_say_what_can_be_done(homes: object) -> None:
    app = WorkbenchApp(None, client=FakeClient, loaded=Loaded(Settings(cursor_blink=False)), state=State())
    async with app.run_test(size=(100, 40)) as pilot:
        stage = Stage(app, pilot, FakeClient(), Path())
        await stage.until(lambda: isinstance(app.screen, StartScreen), "the first screen")
        own = {action.title for action in ACTIONS if action.scope == "start"}
        assert own <= {label.partition("  ")[0] for label in await offered(stage)}
        await pilot.press("f1")
        await stage.until(lambda: isinstance(app.screen, DialogHelp), "the help")
        await pilot.pause()
        for action in ACTIONS:
            if action.scope == "start":
                assert readable(action.key.split(",")[0]) in stage.screen_text()
                assert action.help in stage.screen_text()
