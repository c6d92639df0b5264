"""The workbench's actions that open a screen for what a command does."""

from typing import TYPE_CHECKING, cast

from dlm_tui.screens.comparing import CompareScreen
from dlm_tui.screens.examining import DoctorScreen
from dlm_tui.screens.exporting import ExportScreen
from dlm_tui.screens.packing import PackScreen

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
