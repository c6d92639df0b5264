"""Settings on screen: every value, where it comes from, what it may be; changed in place and in the file."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.errors import DlmError
from dlm_core.safetext import visible, visible_line
from dlm_tui.actions import BY_ID, RESERVED_KEYS, readable
from dlm_tui.screens.setting_rows import KEYS, conflicts, default_of, key_fields, setting_fields
from dlm_tui.settings import SETTINGS_FILENAME, change_setting, config_home, load_settings, setting_from
from dlm_tui.widgets.dialogs import CLOSE, ClosedOnce, Dialog, LineScreen, ask
from dlm_tui.widgets.fields import Field, Fields
from dlm_tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from dlm_tui.app import WorkbenchApp
    from dlm_tui.screens.workbench import Workbench


class KeyScreen(Dialog[str | None]):
    """Answers the next key that is pressed; Escape answers nothing."""

    keys = (CLOSE,)
    labels: ClassVar[dict[str, str]] = {"dismiss(None)": "leaves it as it is", "help": ""}

    def body(self) -> Iterable[Widget]:
        yield Static(Text("Press the key.", Style(dim=True)))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.dismiss(None if event.key == "escape" else event.key)


class SettingsScreen(ClosedOnce[None]):
    """A list of settings, or of keys; what is highlighted is explained below it."""

    DEFAULT_CSS = """
    SettingsScreen > Vertical { width: 112; max-width: 98%; height: 94%; max-height: 46; }
    SettingsScreen #settings-heading { text-style: bold; color: $accent; margin: 0 0 1 0; }
    SettingsScreen #settings-heading { text-wrap: nowrap; text-overflow: ellipsis; }
    SettingsScreen Fields { height: 1fr; }
    SettingsScreen #settings-about { min-height: 3; max-height: 4; border-top: solid $border-blurred; }
    SettingsScreen #settings-said { min-height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "keys", "Keys", tooltip="Show the keys, or the settings again."),
        Binding("d", "default", "Default", tooltip="Set what is highlighted back to its default."),
        Binding("escape", "dismiss(None)", "Close", tooltip="Back to the workbench."),
        Binding("q", "dismiss(None)", "Close", show=False),
    ]

    def __init__(self, bench: "Workbench") -> None:
        super().__init__()
        self._bench = bench
        self._of_keys = False

    @property
    def _workbench_app(self) -> "WorkbenchApp":
        return cast("WorkbenchApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("", id="settings-heading")
            yield Fields()
            yield Static("", id="settings-about")
            yield Static("", id="settings-said")
            yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(Fields).focus()
        self._show()
        self._say("\n".join(self._workbench_app.loaded.problems), bad=True)

    @property
    def _fields(self) -> Sequence[Field]:
        app = self._workbench_app
        if self._of_keys:
            return key_fields(app.loaded.settings.keys)
        return setting_fields(
            app.loaded, app.state, sorted(app.library.themes), self._bench.training.watching
        )

    def _show(self) -> None:
        self.query_one(Fields).show(self._fields)
        heading = "Keys: Enter takes another" if self._of_keys else f"Settings, in {self._file()}"
        number = len(conflicts(self._workbench_app.loaded.settings.keys))
        text = Text(heading, no_wrap=True, overflow="ellipsis", end="")
        if number:
            colors = self._workbench_app.looks.colors
            text.append(f"   ⚠ {number} actions share keys", Style(color=colors.warning))
        self.query_one("#settings-heading", Static).update(text)

    @staticmethod
    def _file() -> str:
        return visible_line(str(config_home() / SETTINGS_FILENAME))

    @on(Fields.Highlit)
    def _highlit(self, event: Fields.Highlit) -> None:
        about = event.field.about if event.field is not None else ""
        self.query_one("#settings-about", Static).update(Text(about))

    @on(Fields.Chosen)
    def _chosen(self, event: Fields.Chosen) -> None:
        if event.key == "--watch":
            self._bench.training.switch()
            self._show()
        else:
            self._change(event.key, event.value)

    @on(Fields.Typing)
    def _typing(self, event: Fields.Typing) -> None:
        field = event.field
        if self._of_keys:
            title = f"Another key for “{BY_ID[field.key].title}”"
            ask(self, KeyScreen(title), lambda key: self._take_key(field.key, key))
        elif field.key == KEYS:
            self.action_keys()
        else:
            line = LineScreen(f"{field.label}: {field.about}", field.value)
            ask(self, line, lambda typed: self._change(field.key, typed))

    def action_keys(self) -> None:
        """Show the keys, or the settings again."""
        self._of_keys = not self._of_keys
        self._show()
        self._say("")

    def action_default(self) -> None:
        """Set what is highlighted back to its default."""
        field = self.query_one(Fields).field
        if field is None or field.off or field.key == "--watch":
            self.app.bell()
        elif self._of_keys:
            self._keep_keys({k: v for k, v in self._keys.items() if k != field.key})
        elif field.key == KEYS:
            self._keep_keys({})
        else:
            self._keep(field.key, None)

    @property
    def _keys(self) -> dict[str, str]:
        return dict(self._workbench_app.loaded.settings.keys)

    def _take_key(self, action: str, key: str) -> None:
        keys = {k: v for k, v in self._keys.items() if k != action}
        if key != BY_ID[action].key:
            keys[action] = key
        self._keep_keys(keys)
        if key in RESERVED_KEYS:
            self._say(f"{readable(key)} {RESERVED_KEYS[key]}; it may never arrive", bad=True)
        elif shared := conflicts(self._keys).get(action):
            self._say("; ".join(shared), bad=True)

    def _keep_keys(self, keys: dict[str, str]) -> None:
        self._keep(KEYS, keys or None)

    def _change(self, name: str, text: str) -> None:
        try:
            value = setting_from(name, text)
        except DlmError as error:
            self._say(str(error), bad=True)
        else:
            self._keep(name, value)

    def _keep(self, name: str, value: object) -> None:
        """Put a value into the file, and use it; None: the default."""
        app = self._workbench_app
        try:
            change_setting(name, value)
        except DlmError as error:
            self._say(str(error), bad=True)
            return
        if name == "theme":
            app.choose_theme(str(value or default_of("theme")))
        app.take_settings(load_settings())
        self._show()
        self._say(f"{name} is kept" if value is not None else f"{name} is at its default again")

    def _say(self, sentence: str, *, bad: bool = False) -> None:
        colors = self._workbench_app.looks.colors
        style = Style(color=colors.warning) if bad else Style(bold=True)
        self.query_one("#settings-said", Static).update(Text(visible(sentence), style))
