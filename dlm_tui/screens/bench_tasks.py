"""The workbench's actions that open a screen for what a command does."""

from typing import TYPE_CHECKING, cast

from msgspec import structs

from dlm_tui.screens.comparing import CompareScreen
from dlm_tui.screens.examining import DoctorScreen
from dlm_tui.screens.exporting import ExportScreen
from dlm_tui.screens.packing import PackScreen
from dlm_tui.screens.setting_rows import changed
from dlm_tui.screens.settings import SettingsScreen
from dlm_tui.settings import Settings
from dlm_tui.widgets.chat_input import ChatInput

if TYPE_CHECKING:
    from dlm_tui.screens.workbench import Workbench


class BenchTasks:
    """Part of the workbench's screen: Textual finds its actions there by name."""

    @property
    def _bench(self) -> "Workbench":
        return cast("Workbench", self)

    def action_export(self) -> None:
        """Write the adapters for other programs."""
        bench = self._bench
        bench.app.push_screen(ExportScreen(bench.session.engine, bench.path, bench.session.adapters))

    def action_doctor(self) -> None:
        """Say what the document needs of this machine."""
        bench = self._bench
        bench.app.push_screen(DoctorScreen(bench.session.engine, bench.path))

    def action_pack(self) -> None:
        """Put the document and its versions into one file."""
        self._bench.app.push_screen(PackScreen(self._bench.path))

    def action_compare(self) -> None:
        """Train methods side by side."""
        bench = self._bench
        bench.app.push_screen(CompareScreen(bench.session, bench.dlm_id))

    def action_settings(self) -> None:
        """Show every setting and key, and change them."""
        self._bench.app.push_screen(SettingsScreen(self._bench))

    def take_settings(self, before: Settings, now: Settings) -> None:
        """Use settings that were changed, from now on."""
        bench, session = self._bench, self._bench.session
        for name in changed(before, now):
            match name:
                case "cursor_blink":
                    bench.editor.area.cursor_blink = now.cursor_blink
                    bench.query_one(ChatInput).cursor_blink = now.cursor_blink
                case "soft_wrap":
                    bench.editor.area.soft_wrap = now.soft_wrap
                case "diagnostics_delay":
                    bench.editor.delay = now.diagnostics_delay
                case "route_delay":
                    session.live.rest_s = now.route_delay
                case "max_tokens" | "temperature":
                    sampling = session.conversation.sampling
                    session.conversation.sampling = structs.replace(sampling, **{name: getattr(now, name)})
                case "keep_asked":
                    bench.keeps_asked = now.keep_asked
                    if not now.keep_asked:
                        session.questions.close()
                    elif bench.dlm_id:
                        session.questions.open(bench.dlm_id)
