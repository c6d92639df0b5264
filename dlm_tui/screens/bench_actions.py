"""What the keys of the workbench do: the actions of the screen's scope, one method for each."""

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import BindingType
from textual.screen import Screen

from dlm_core.client import EngineClient
from dlm_core.requests import Train
from dlm_tui.actions import bindings
from dlm_tui.panes.chat import ChatPane
from dlm_tui.panes.dashboard import DashboardPane
from dlm_tui.panes.editor import EditorPane
from dlm_tui.panes.frame import PaneFrame
from dlm_tui.screens.engine_room import EngineRoom
from dlm_tui.screens.help import HelpScreen
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen
from dlm_tui.widgets.title_bar import TitleBar


class BenchActions(Screen[None]):
    """Three panes, an engine, and what is done to them by key, palette or click."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("workbench")
    client: EngineClient
    editor: EditorPane
    dashboard: DashboardPane
    chat: ChatPane
    frame: PaneFrame
    engine_room: EngineRoom

    @property
    def title_bar(self) -> TitleBar:
        """The line on top."""
        return self.query_one(TitleBar)

    def train(self, wanted: Train) -> None:
        """Save, then train the document."""
        raise NotImplementedError

    async def open_engine(self, *, restart: bool) -> None:
        """Start the engine, or start it again, and open the document in it."""
        raise NotImplementedError

    def action_help(self) -> None:
        """Show what can be done here and now."""
        self.app.push_screen(HelpScreen(self.frame.here, self.active_bindings))

    async def action_save(self) -> None:
        """Write the document to disk."""
        await self.editor.save()

    def action_train(self) -> None:
        """Save and train."""
        self.train(Train(request_id=""))

    def action_train_fresh(self) -> None:
        """Train from new adapters."""
        self.train(Train(request_id="", fresh=True))

    def action_train_resume(self) -> None:
        """Go on from a checkpoint."""
        self.train(Train(request_id="", resume=True))

    def action_toggle_gate(self) -> None:
        """Gate auto or off."""
        self.chat.toggle_gate()

    def action_next_pane(self) -> None:
        """Move to the pane on the right."""
        self.frame.step(1)

    def action_previous_pane(self) -> None:
        """Move to the pane on the left."""
        self.frame.step(-1)

    def action_zoom(self) -> None:
        """Give the whole screen to this pane, or back."""
        self.frame.zoom()

    def action_next_problem(self) -> None:
        """Go to the next problem."""
        self.frame.bring_up("editor")
        self.editor.next_problem()

    def action_focus_editor(self) -> None:
        """Move to the document."""
        self.frame.bring_up("editor")

    def action_focus_dashboard(self) -> None:
        """Move to the training."""
        self.frame.bring_up("dashboard")

    def action_focus_chat(self) -> None:
        """Move to the chat's line."""
        self.frame.bring_up("chat")

    def action_hide_pane(self) -> None:
        """Take this pane off the screen."""
        if not self.frame.hide():
            self.notify("The last pane stays.")

    def action_show_panes(self) -> None:
        """Bring hidden panes back."""
        self.frame.show_all()

    def action_grow(self) -> None:
        """Make this pane wider."""
        self.frame.resize_pane(wider=True)

    def action_shrink(self) -> None:
        """Make this pane narrower."""
        self.frame.resize_pane(wider=False)

    @work(exclusive=True, group="engine", exit_on_error=False)
    async def action_restart_engine(self) -> None:
        """Start the engine process again and open the document in it."""
        await self.open_engine(restart=True)

    def action_open_document(self) -> None:
        """Choose another document."""
        self._unless_unsaved(self.app.action_start)  # type: ignore[attr-defined]

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        self.app.action_next_theme()  # type: ignore[attr-defined]

    async def action_quit(self) -> None:
        """Leave; asks when there is unsaved work."""
        self._unless_unsaved(self.app.action_leave)  # type: ignore[attr-defined]

    def _unless_unsaved(self, leave: Callable[[], object]) -> None:
        if not self.editor.unsaved:
            self.call_later(leave)
            return
        choices = [
            Choice("save", "save, then leave"),
            Choice("discard", "leave without saving", "the changes are lost"),
            Choice("keep", "leave, and be asked about it next time", "the changes are kept aside"),
        ]

        async def chosen(answer: str | None) -> None:
            if answer is None or (answer == "save" and not await self.editor.save()):
                return
            if answer == "discard":
                self.editor.discard()
            self.call_later(leave)

        self.app.push_screen(ChoiceScreen("There is unsaved work.", choices), chosen)
