"""The workbench as a whole: layout, themes, keys, the start screen, leaving."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
from textual.command import CommandPalette

from dlm_tui.app import WorkbenchApp
from dlm_tui.screens.help import HelpScreen
from dlm_tui.screens.start import StartScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.settings import Loaded, Settings, State
from dlm_tui.themes import theme_folders
from dlm_tui.widgets.title_bar import PaneTabs
from tests.fakes.client import FakeClient
from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open, Stage

ROOT = Path(__file__).resolve().parents[3]


def visible(stage: Stage) -> list[str]:
    frame = stage.bench.frame
    return [name for name in ("editor", "dashboard", "chat") if frame.pane(name).display]  # type: ignore[arg-type]


@pytest.mark.slow
async def test_three_panes_from_120_columns_two_from_90_and_one_with_tabs_below(open_workbench: Open) -> None:
    async with open_workbench(size=(120, 30)) as stage:
        assert visible(stage) == ["editor", "dashboard", "chat"]
        assert not stage.bench.query_one(PaneTabs).display
        await stage.pilot.resize_terminal(100, 30)
        await stage.until(lambda: len(visible(stage)) == 2, "two panes")
        await stage.pilot.resize_terminal(80, 24)
        await stage.until(lambda: visible(stage) == ["editor"], "one pane")
        assert "Training" in stage.screen_text().splitlines()[1]
        await stage.pilot.press("f6")
        await stage.until(lambda: visible(stage) == ["dashboard"], "the next pane")
        await stage.pilot.click(PaneTabs, offset=(24, 0))
        await stage.until(lambda: visible(stage) == ["chat"], "the clicked tab")
        await stage.pilot.resize_terminal(200, 50)
        await stage.until(lambda: len(visible(stage)) == 3, "all panes")


async def test_panes_zoom_hide_and_resize_by_key_and_the_layout_is_remembered(
    open_workbench: Open, homes: Path
) -> None:
    state = State()
    async with open_workbench(size=(160, 40), state=state) as stage:
        await stage.pilot.press("f9")
        assert visible(stage) == ["editor"]
        await stage.pilot.press("f9")
        before = stage.bench.editor.size.width
        await stage.pilot.press("alt+l")
        await stage.until(lambda: stage.bench.editor.size.width > before, "a wider editor")
        await stage.pilot.press("alt+d", "alt+h")
        await stage.until(lambda: visible(stage) == ["editor", "chat"], "the hidden pane")
    kept = (homes / "home" / "workbench" / "workbench.json").read_text()
    assert '"dashboard"' in kept and '"editor": 6.25' in kept
    async with open_workbench(size=(160, 40), state=state) as stage:
        assert visible(stage) == ["editor", "chat"]


async def test_the_same_colour_and_sign_in_editor_dashboard_and_chat(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.ask("tone please")
        await stage.answered(1)
        color = stage.app.looks.color("tone")
        row = DOCUMENT.split("\n").index("::instruction#tone::")
        fence = stage.bench.editor.area.get_line(row)
        assert any(s.style.color and s.style.color.name == color for s in fence.spans)  # type: ignore[union-attr]
        mark = stage.bench.editor.area._section_mark(row)
        assert mark.text == stage.app.looks.sign("tone") == "▲"
        assert re.search(r"▲ tone +█", stage.screen_text())


@pytest.mark.parametrize("theme", ["ink", "paper", "contrast", "okabe", "terminal"])
async def test_every_theme_paints_every_pane(open_workbench: Open, theme: str) -> None:
    settings = Settings(theme=theme, cursor_blink=False, diagnostics_delay=0.05)
    async with open_workbench(size=(160, 50), settings=settings) as stage:
        await stage.pilot.press("f5")
        await stage.until(lambda: "Run 1 ✔ done" in stage.screen_text(), "the run")
        await stage.ask("tone please")
        await stage.answered(1)
        assert stage.app.theme == theme
        assert "tone please" in stage.screen_text()


async def test_without_colour_the_heat_map_is_drawn_in_shades(
    open_workbench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_workbench(size=(160, 50)) as stage:
        await stage.pilot.press("f5")
        await stage.until(lambda: "Run 1 ✔ done" in stage.screen_text(), "the run")
        assert "▒▒" in stage.screen_text()


async def test_a_theme_of_ones_own_is_taken_up_when_its_file_changes(
    open_workbench: Open, homes: Path
) -> None:
    async with open_workbench() as stage:
        folder = homes / "config" / "themes"
        folder.mkdir(parents=True)
        text = (theme_folders()[0] / "ink.yaml").read_text()
        (folder / "ink.yaml").write_text(text.replace('"#5cc8ff"', '"#123456"'))
        await stage.until(lambda: stage.app.looks.color("knowledge") == "#123456", "the new colour")
        (folder / "broken.yaml").write_text("name: 3\n")
        await stage.until(lambda: stage.app.library.problems, "the problem being named")
        assert stage.app.workbench_theme.name == "ink"


async def test_keys_of_ones_own_replace_the_defaults(open_workbench: Open) -> None:
    settings = Settings(cursor_blink=False, diagnostics_delay=0.05, keys={"workbench.zoom": "ctrl+y"})
    async with open_workbench(size=(160, 40), settings=settings) as stage:
        await stage.pilot.press("f9")
        assert len(visible(stage)) == 3
        await stage.pilot.press("ctrl+y")
        assert visible(stage) == ["editor"]


async def test_the_help_tells_what_can_be_done_in_this_pane_now(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 80)) as stage:
        await stage.pilot.press("f1")
        await stage.until(lambda: isinstance(stage.app.screen, HelpScreen), "the help")
        shown = stage.screen_text()
        assert shown.index("In the document") < shown.index("Everywhere")
        assert "Ctrl+F" in shown and "(not now)" in shown
        await stage.pilot.press("escape")
        assert isinstance(stage.app.screen, Workbench)


async def test_the_palette_finds_an_action_and_carries_it_out(open_workbench: Open) -> None:
    async with open_workbench(size=(160, 40)) as stage:
        await stage.pilot.press("ctrl+p")
        await stage.until(lambda: isinstance(stage.app.screen, CommandPalette), "the palette")
        await stage.pilot.press(*"zoom pane")
        await stage.until(lambda: "Zoom pane" in stage.screen_text(), "the action")
        await stage.pilot.pause(0.3)
        await stage.pilot.press("enter")
        await stage.until(lambda: visible(stage) == ["editor"], "the zoom")


async def test_what_is_closed_twice_takes_nothing_else_along_and_opens_again_at_once(
    open_workbench: Open,
) -> None:
    async with open_workbench() as stage:
        for opened in (CommandPalette, HelpScreen):
            owner: Any = stage.app if opened is CommandPalette else stage.bench
            open_it = owner.action_command_palette if opened is CommandPalette else owner.action_help
            open_it()
            await stage.until(lambda opened=opened: isinstance(stage.app.screen, opened), "the screen")
            shown: Any = stage.app.screen
            shown.dismiss()
            shown.dismiss()
            assert stage.app.screen is stage.bench
            open_it()
            open_it()
            await stage.until(lambda opened=opened: isinstance(stage.app.screen, opened), "the next one")
            assert sum(isinstance(screen, opened) for screen in stage.app.screen_stack) == 1
            stage.app.screen.dismiss()
        assert stage.app.is_running


async def test_leaving_for_the_list_takes_dialogs_along_and_late_choices_do_nothing(
    open_workbench: Open,
) -> None:
    async with open_workbench() as stage:
        bench = stage.bench
        stage.app.action_start()
        stage.app.action_command_palette()
        stage.app.action_start()
        stage.app.choose_theme(stage.app.workbench_theme.name)
        await stage.until(lambda: isinstance(stage.app.screen, StartScreen), "the list")
        assert bench not in stage.app.screen_stack and len(stage.app.screen_stack) == 2


async def test_leaving_with_unsaved_work_asks_and_can_keep_it_for_next_time(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        await stage.pilot.press("ctrl+end", *"later", "f10")
        await stage.until(lambda: "unsaved work" in stage.screen_text(), "the question")
        await stage.pilot.press("escape")
        assert stage.app.is_running
        await stage.pilot.press("f10")
        await stage.until(lambda: "unsaved work" in stage.screen_text())
        await stage.pilot.press("end", "enter")
        await stage.until(lambda: not stage.app.is_running or stage.app._exit, "the end")
    assert (stage.path).read_text() == DOCUMENT
    async with open_workbench(wait=False) as stage:
        await stage.until(lambda: "earlier session" in stage.screen_text(), "the offer")


async def test_a_document_that_cannot_be_read_is_a_message_and_not_a_crash(
    open_workbench: Open, tmp_path: Path
) -> None:
    (tmp_path / "guide.dlm").write_bytes(b"\xff\xfe\x00broken")
    async with open_workbench(wait=False) as stage:
        await stage.until(lambda: stage.bench.title_bar.situation.engine_bad, "the message")
        assert not stage.bench.editor.unsaved


@pytest.mark.slow
async def test_without_a_file_recent_documents_and_samples_are_offered(tmp_path: Path) -> None:
    path = tmp_path / "guide.dlm"
    path.write_text(DOCUMENT)
    app = WorkbenchApp(
        None,
        client=lambda: FakeClient(Script(adapters=("knowledge", "tone"))),
        loaded=Loaded(Settings(cursor_blink=False)),
        state=State(recent=[str(path), str(tmp_path / "gone.dlm")], tour="done"),
    )
    async with app.run_test(size=(120, 36)) as pilot:
        stage = Stage(app, pilot, FakeClient(), path)
        await stage.until(lambda: isinstance(app.screen, StartScreen), "the list")
        shown = stage.screen_text()
        assert "guide.dlm" in shown and "gone.dlm" not in shown and "runbook.dlm" in shown
        await pilot.press("enter")
        await stage.until(lambda: isinstance(app.screen, Workbench), "the workbench")
        await stage.until(lambda: stage.bench.chat.ready, "the engine")


@pytest.mark.slow
def test_the_workbench_never_imports_torch() -> None:
    program = (
        "import sys, dlm_tui.app, dlm_tui.screens.workbench, dlm_tui.widgets.plot as p; p.load_plotting();"
        "print(sorted({'torch', 'transformers', 'peft', 'accelerate'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


def spawn(program: str, path: Path) -> Any:
    """The workbench on the scripted engine, started by `program`, in a terminal of its own, ready."""
    path.write_text(DOCUMENT)
    env = {
        **os.environ,
        "DLM_FAKE_ENGINE": '{"adapters": ["knowledge", "tone"]}',
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
    }
    child = pexpect.spawn(
        sys.executable,
        ["-c", program, str(path)],
        env=env,
        dimensions=(36, 120),
        timeout=30,
        encoding="utf-8",
    )
    child.expect("fake-135m ready")
    return child


def drafts(home: Path) -> list[str]:
    return [d.read_text() for d in (home / "workbench" / "drafts").glob("*.json")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_in_order_and_keeps_unsaved_work(
    number: signal.Signals, tmp_path: Path
) -> None:
    child = spawn(
        "import sys; from pathlib import Path; from dlm_tui.app import run_app;"
        "sys.exit(run_app(Path(sys.argv[1]), engine='tests.fakes.engine:create_engine'))",
        tmp_path / "guide.dlm",
    )
    child.send("x")
    child.expect("unsaved")
    child.kill(number)
    child.expect(r"\x1b\[\?1049l")  # the alternate screen is left
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 128 + number
    kept = drafts(tmp_path / "home")
    assert len(kept) == 1 and "x---" in kept[0]


@pytest.mark.slow
def test_an_error_nobody_foresaw_is_a_sentence_and_keeps_unsaved_work(tmp_path: Path) -> None:
    child = spawn(
        """if True:
        import sys
        from pathlib import Path
        from dlm_tui.app import WorkbenchApp, run_app
        from dlm_tui.failures import report

        def broken(*_):
            raise LookupError("no such paint")

        WorkbenchApp.choose_theme = broken
        try:
            sys.exit(run_app(Path(sys.argv[1]), engine="tests.fakes.engine:create_engine"))
        except Exception as error:
            sys.exit(report(error))
        """,
        tmp_path / "guide.dlm",
    )
    child.send("x")
    child.expect("unsaved")
    child.send("\x1b[24~")  # F12, the next theme
    child.expect(r"\x1b\[\?1049l")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert "something unforeseen happened" in child.before and "Traceback" not in child.before
    assert len(drafts(tmp_path / "home")) == 1
    (log,) = (tmp_path / "home" / "logs").glob("error-*.log")
    assert "in broken" in log.read_text()
