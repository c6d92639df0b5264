"""Settings: the file is changed a key at a time and keeps its comments; the screen shows, changes, resets."""

from pathlib import Path

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input

from dlm_core.errors import StoreError, UsageError
from dlm_core.store import atomic
from dlm_tui.actions import ACTIONS
from dlm_tui.screens.setting_rows import conflicts, key_fields, setting_fields
from dlm_tui.screens.settings import KeyScreen, SettingsScreen
from dlm_tui.settings import (
    ABOUT,
    Loaded,
    Settings,
    State,
    bounds,
    change_setting,
    load_settings,
    setting_from,
)
from dlm_tui.widgets.dialogs import LineScreen
from dlm_tui.widgets.fields import Fields
from tests.fakes.engine import Script
from tests.tui.app.conftest import Open, Stage

TWO = ("knowledge", "tone")
FILE = "# mine\ntheme: paper  # light\nkeys:\n  chat.pin: alt+j\n\n# long replies\nmax_tokens: 5\n"


def edited(folder: Path, text: str, name: str, value: object) -> str:
    (folder / "settings.yaml").write_text(text, encoding="utf-8")
    change_setting(name, value, folder)
    return (folder / "settings.yaml").read_text(encoding="utf-8")


def test_a_key_is_changed_and_the_rest_of_the_file_stays_as_it_is(tmp_path: Path) -> None:
    assert edited(tmp_path, FILE, "theme", "ink") == FILE.replace("paper", "ink")
    assert edited(tmp_path, FILE, "theme", None) == FILE.replace("theme: paper  # light\n", "")
    assert edited(tmp_path, FILE, "soft_wrap", False) == FILE + "soft_wrap: false\n"
    assert edited(tmp_path, FILE, "keys", {"chat.pin": "alt+1"}) == FILE.replace("alt+j", "alt+1")
    assert (
        edited(tmp_path, FILE, "keys", None)
        == "# mine\ntheme: paper  # light\n\n# long replies\nmax_tokens: 5\n"
    )
    assert edited(tmp_path, "{theme: paper, max_tokens: 4}", "theme", None) == "max_tokens: 4\n"
    change_setting("theme", "okabe", tmp_path / "new")
    assert (tmp_path / "new" / "settings.yaml").read_text() == "theme: okabe\n"


@pytest.mark.slow
@given(
    before=st.dictionaries(st.sampled_from(sorted(ABOUT)), st.integers() | st.text(max_size=8), max_size=5),
    flow=st.booleans(),
    name=st.sampled_from(sorted(ABOUT)),
    value=st.none()
    | st.integers()
    | st.text(max_size=8)
    | st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
)
def test_whatever_the_file_holds_only_that_key_differs_afterwards(
    before: dict[str, object], flow: bool, name: str, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("config")
    text = yaml.safe_dump(before, default_flow_style=flow) if before else ""
    after = yaml.safe_load(edited(folder, text, name, value)) or {}
    expected = {k: v for k, v in before.items() if k != name} | ({} if value is None else {name: value})
    assert after == expected


def test_a_file_that_cannot_be_read_is_not_written_over(tmp_path: Path) -> None:
    for broken in ("theme: [", "- a\n- b\n"):
        (tmp_path / "settings.yaml").write_text(broken)
        with pytest.raises(StoreError, match=r"settings\.yaml"):
            change_setting("theme", "ink", tmp_path)
        assert (tmp_path / "settings.yaml").read_text() == broken


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles.yaml").write_text("theme: paper\n")
    (tmp_path / "settings.yaml").symlink_to(tmp_path / "dotfiles.yaml")
    change_setting("theme", "ink", tmp_path)
    assert (tmp_path / "settings.yaml").is_symlink()
    assert (tmp_path / "dotfiles.yaml").read_text() == "theme: ink\n"


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text(FILE)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "system", atomic.System(write=full))
    with pytest.raises(StoreError, match="no space left"):
        change_setting("theme", "ink", tmp_path)
    assert (tmp_path / "settings.yaml").read_text() == FILE


def test_every_setting_says_what_it_is_and_takes_and_where_its_value_comes_from(tmp_path: Path) -> None:
    assert set(ABOUT) == {field.name for field in msgspec.structs.fields(Settings)}
    (tmp_path / "settings.yaml").write_text(FILE)
    rows = {f.key: f for f in setting_fields(load_settings(tmp_path), State(theme="okabe"), ("ink",), False)}
    assert set(ABOUT) < set(rows) and "0.05 to 5" in rows["diagnostics_delay"].about
    assert rows["max_tokens"].note == "settings.yaml" and rows["soft_wrap"].note == "default"
    assert (rows["theme"].note, rows["theme"].value) == ("chosen last", "okabe")
    assert rows["DLM_HOME"].note == "environment" and rows["--watch"].note.startswith("flag")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0.5", 0.5),
        ("max_tokens", "12", 12),
        ("soft_wrap", "off", False),
        ("theme", "12", "12"),
    ],
)
def test_what_is_typed_becomes_a_value(name: str, text: str, value: object) -> None:
    assert setting_from(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("temperature", "inf"), ("temperature", "hot"), ("max_tokens", "0"), ("max_tokens", "1.5")],
)
def test_what_a_setting_cannot_be_is_said_with_what_it_takes(name: str, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        setting_from(name, text)
    assert bounds(name) in refused.value.hint


def test_actions_that_share_a_key_name_each_other_and_come_first() -> None:
    keys = {"editor.find": "f2"}
    assert set(conflicts(keys)) == {"editor.find", "workbench.save"} and conflicts({}) == {}
    rows = key_fields(keys)
    assert {row.key for row in rows[:2]} == {"editor.find", "workbench.save"}
    assert "also “Save document”" in next(row.about for row in rows if row.key == "editor.find")
    assert {row.key for row in rows} == {action.id for action in ACTIONS if action.key}


async def opened(stage: Stage) -> SettingsScreen:
    await stage.pilot.press("shift+f12")
    await stage.until(lambda: isinstance(stage.app.screen, SettingsScreen), "the screen")
    screen = stage.app.screen
    assert isinstance(screen, SettingsScreen)
    return screen


async def go_to(stage: Stage, key: str) -> None:
    form = stage.app.screen.query_one(Fields)
    for _ in range(200):
        if form.field is not None and form.field.key == key:
            return
        await stage.pilot.press("down")
    raise AssertionError(f"there is no {key}")


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_settings_are_changed_in_place_kept_used_at_once_and_reset(
    open_workbench: Open, size: tuple[int, int], homes: Path
) -> None:
    file = homes / "config" / "settings.yaml"
    async with open_workbench(Script(adapters=TWO), size=size) as stage:
        await opened(stage)
        await go_to(stage, "soft_wrap")
        await stage.pilot.press("enter")
        await stage.until(lambda: file.is_file() and file.read_text() == "soft_wrap: false\n", "the file")
        assert not stage.bench.editor.area.soft_wrap and "settings.yaml" in stage.screen_text()
        await go_to(stage, "max_tokens")
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the line")
        await stage.pilot.press("ctrl+u", *"99", "enter")
        await stage.until(lambda: stage.bench.session.conversation.sampling.max_tokens == 99, "the limit")
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the line again")
        await stage.pilot.press("ctrl+u", *"0", "enter")
        await stage.until(lambda: "max_tokens cannot be" in stage.screen_text(), "the refusal")
        assert "max_tokens: 99" in file.read_text()
        await go_to(stage, "soft_wrap")
        await stage.pilot.press("d")
        await stage.until(lambda: file.read_text() == "max_tokens: 99\n", "the default")
        assert stage.bench.editor.area.soft_wrap
        await go_to(stage, "theme")
        await stage.pilot.press("right")
        await stage.until(lambda: "theme: " in file.read_text(), "the theme")
        assert stage.app.theme == load_settings().settings.theme == stage.app.workbench_theme.name


async def test_a_key_is_taken_by_pressing_it_and_a_conflict_is_shown_until_it_is_put_right(
    open_workbench: Open,
) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        await opened(stage)
        await stage.pilot.press("k")
        await go_to(stage, "workbench.zoom")
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, KeyScreen), "the question")
        await stage.pilot.press("f2")
        await stage.until(lambda: "2 actions share keys" in stage.screen_text(), "the conflict")
        assert load_settings().settings.keys == {"workbench.zoom": "f2"}
        await go_to(stage, "workbench.zoom")
        await stage.pilot.press("enter")
        await stage.until(lambda: isinstance(stage.app.screen, KeyScreen), "the question again")
        await stage.pilot.press("ctrl+y")
        await stage.until(lambda: "share keys" not in stage.screen_text(), "that it is put right")
        await stage.pilot.press("escape")
        await stage.pilot.press("ctrl+y")
        await stage.until(lambda: not stage.bench.chat.display, "the zoom")
        await opened(stage)
        await stage.pilot.press("k")
        await go_to(stage, "workbench.zoom")
        await stage.pilot.press("d")
        await stage.until(lambda: load_settings().settings.keys == {}, "the default")
        await stage.pilot.press("escape", "f9")
        await stage.until(lambda: stage.bench.chat.display, "the default key again")


@pytest.mark.parametrize("blinks", [True, False])
async def test_cursors_in_dialogs_blink_as_the_settings_say(open_workbench: Open, blinks: bool) -> None:
    async with open_workbench(settings=Settings(cursor_blink=blinks)) as stage:
        await stage.pilot.press("alt+i")
        await stage.until(lambda: isinstance(stage.app.screen, LineScreen), "the line")
        await stage.pilot.pause()
        assert stage.app.screen.query_one(Input).cursor_blink is blinks


async def test_a_settings_file_that_is_broken_is_said_and_stays(open_workbench: Open, homes: Path) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        (homes / "config").mkdir(exist_ok=True)
        (homes / "config" / "settings.yaml").write_text("theme: [")
        await opened(stage)
        await go_to(stage, "soft_wrap")
        await stage.pilot.press("enter")
        await stage.until(lambda: "cannot be read" in stage.screen_text(), "the error")
        assert (homes / "config" / "settings.yaml").read_text() == "theme: ["
        assert stage.bench.editor.area.soft_wrap


async def test_asked_questions_are_kept_no_more_once_that_is_off(open_workbench: Open) -> None:
    async with open_workbench(Script(adapters=TWO)) as stage:
        assert stage.bench.session.questions.keeps
        await opened(stage)
        await go_to(stage, "keep_asked")
        await stage.pilot.press("enter")
        await stage.until(lambda: not stage.bench.session.questions.keeps, "that nothing is kept")
        await stage.pilot.press("d")
        await stage.until(lambda: stage.bench.session.questions.keeps, "that it is kept again")


def test_loaded_settings_say_which_come_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("theme: paper\nmax_tokens: -3\n")
    assert load_settings(tmp_path).given == {"theme"} and Loaded(Settings()).given == frozenset()
