"""Screens over the workbench for what a command does: export, doctor, pack, compare, settings, tour."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import structs

from dlm_tui.screens.comparing import CompareScreen
from dlm_tui.screens.examining import DoctorScreen
from dlm_tui.screens.exporting import ExportScreen
from dlm_tui.screens.packing import PackScreen
from dlm_tui.screens.setting_rows import changed
from dlm_tui.screens.settings import SettingsScreen
from dlm_tui.screens.unsaved import unless_unsaved
from dlm_tui.session.tour import Progress
from dlm_tui.settings import Settings
from dlm_tui.widgets.chat_input import ChatInput
from dlm_tui.widgets.tour_panel import TourPanel

if TYPE_CHECKING:
    from dlm_tui.screens.workbench import Workbench


class BenchTasks:
    """Opens these screens over a workbench; the screen's actions hand on to it.

    `touring`: the tour is on, in the document that was opened for it.
    """

    def __init__(self, bench: "Workbench") -> None:
        self._bench = bench
        self.touring = False

    def export(self) -> None:
        """Write the adapters for other programs."""
        bench = self._bench
        bench.app.push_screen(ExportScreen(bench.session.engine, bench.path, bench.session.adapters))

    def doctor(self) -> None:
        """Say what the document needs of this machine."""
        bench = self._bench
        bench.app.push_screen(DoctorScreen(bench.session.engine, bench.path))

    def pack(self) -> None:
        """Put the document and its versions into one file."""
        bench = self._bench
        bench.app.push_screen(PackScreen(bench.path, unsaved=bench.editor.unsaved))

    def compare(self) -> None:
        """Train methods side by side."""
        bench = self._bench
        bench.app.push_screen(CompareScreen(bench.session, bench.dlm_id))

    def settings(self) -> None:
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

    def tour_panel(self) -> Iterator[TourPanel]:
        """The tour's panel, where the tour is on."""
        bench = self._bench
        if self.touring:
            yield TourPanel(
                Progress(bench.path),
                bench.session.engine.subscribe(),
                lambda: bench.session.corrections.under_way,
                lambda: bench.app.loaded.settings.keys,  # type: ignore[attr-defined]
            )

    def tour(self) -> None:
        """Begin the tour on a sample of its own, or end it."""
        bench = self._bench
        if self.touring:
            bench.query_one(TourPanel).end()
        else:
            unless_unsaved(bench.editor, bench.app.start_tour)  # type: ignore[attr-defined]

    async def end_tour(self, *, finished: bool) -> None:
        """The tour was finished or skipped."""
        self.touring = False
        self._bench.app.tour_ended(finished)  # type: ignore[attr-defined]
        await self._bench.query_one(TourPanel).remove()
