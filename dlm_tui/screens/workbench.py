"""The main screen: a document's editor, training and chat side by side, and the session behind them."""

import asyncio
import contextlib
from collections.abc import Awaitable
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message as TextualMessage
from textual.screen import Screen

from dlm_core.client import EngineClient
from dlm_core.document import Document
from dlm_core.document.cold_start import sample_counts
from dlm_core.errors import DlmError
from dlm_core.requests import Sampling, Train
from dlm_core.safetext import visible_line
from dlm_core.store.asked import Verdict
from dlm_tui.actions import bindings
from dlm_tui.panes.chat import ChatPane
from dlm_tui.panes.dashboard import DashboardPane
from dlm_tui.panes.editor import EditorPane
from dlm_tui.panes.frame import PaneFrame
from dlm_tui.panes.pane import Pane
from dlm_tui.screens.bench_front import BenchFront, SessionChanged
from dlm_tui.screens.bench_tasks import BenchTasks
from dlm_tui.screens.evaluating import EvaluateScreen, Wish
from dlm_tui.screens.help import HelpScreen
from dlm_tui.screens.importing import Importing, first_change, is_on_hub
from dlm_tui.screens.reply_detail import ReplyDetail
from dlm_tui.screens.section_work import SectionWork
from dlm_tui.screens.training_control import TrainingControl
from dlm_tui.screens.unsaved import offer_draft, unless_unsaved
from dlm_tui.screens.versions import show_versions
from dlm_tui.session.commands import Invocation, find
from dlm_tui.session.conversation import Conversation, describe
from dlm_tui.session.dispatch import carry_out
from dlm_tui.session.document_state import DocumentState
from dlm_tui.session.dropped import dropped_path
from dlm_tui.session.handlers.replies import show_why, take_other
from dlm_tui.session.handlers.teaching import correct, reply_of
from dlm_tui.session.handlers.verdicts import judge
from dlm_tui.session.run_view import cold_start_concern
from dlm_tui.session.session import Session
from dlm_tui.session.store_feed import StoreFeed
from dlm_tui.settings import Settings, State, save_state, state_home
from dlm_tui.widgets.dialogs import LineScreen, ask
from dlm_tui.widgets.key_line import KeyLine
from dlm_tui.widgets.pane_layout import PaneName
from dlm_tui.widgets.reply_view import ReplyView
from dlm_tui.widgets.title_bar import PaneTabs, TitleBar
from dlm_tui.widgets.tour_panel import TourPanel

if TYPE_CHECKING:
    from dlm_core.data.importing import Import

MEMORY_S = 2.0
"""How often the engine's memory is looked at while it trains."""


class Workbench(Screen[None]):
    """One document and its session. Panes post messages; this screen joins them."""

    CSS_PATH = "workbench.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("workbench")

    class Opened(TextualMessage):
        """The document is in the editor, which takes keys from now on."""

    def __init__(
        self, path: Path, client: EngineClient, settings: Settings, state: State, *, watch: bool = False
    ) -> None:
        super().__init__()
        self.path = path
        self._remembered = state
        self.keeps_asked = settings.keep_asked
        self.dlm_id = ""
        """The document's id, as far as it is known."""
        self._engine_told = ""
        self._was_busy = False
        sampling = Sampling(max_tokens=settings.max_tokens, temperature=settings.temperature)
        self.session = Session(
            path,
            client,
            Conversation(sampling=sampling),
            DocumentState(path, None),
            route_delay=settings.route_delay,
        )
        self.editor = EditorPane(
            path,
            state_home() / "drafts",
            delay=settings.diagnostics_delay,
            soft_wrap=settings.soft_wrap,
            blink=settings.cursor_blink,
        )
        self.dashboard = DashboardPane(own_pid=lambda: self.session.engine.pid)
        self.chat = ChatPane(self.session, blink=settings.cursor_blink)
        panes: dict[PaneName, Pane] = {
            "editor": self.editor, "dashboard": self.dashboard, "chat": self.chat
        }  # fmt: skip
        self.frame = PaneFrame(panes, state)
        self.training = TrainingControl(
            self.session, self.editor, self.dashboard, lambda: self.title_bar, watch=watch
        )
        self.tasks = BenchTasks(self)
        self.section_work = SectionWork(self, self.editor, state)
        self.session.attach(
            BenchFront(
                self, self.frame, self.editor, self.dashboard, self.chat, self.training, self.action_quit
            )
        )

    def compose(self) -> ComposeResult:
        yield TitleBar()
        yield PaneTabs()
        yield self.frame
        yield from self.tasks.tour_panel()
        yield KeyLine()

    @property
    def title_bar(self) -> TitleBar:
        """The line on top."""
        return self.query_one(TitleBar)

    def on_mount(self) -> None:
        self.title_bar.tell(document=self.path.name, on_save=self.training.watching)
        self.frame.lay_out()
        self.editor.area.focus()
        self.call_after_refresh(self._begin)

    # Start and end

    async def _begin(self) -> None:
        try:
            draft = self.editor.open()
        except DlmError as error:
            self.notify(str(error), severity="error", markup=False, timeout=30)
            self.title_bar.tell(engine="document cannot be read", engine_bad=True)
            return
        if draft is not None:
            offer_draft(self.editor, draft)
        self.post_message(self.Opened())
        self.session.spawn(self.session.start())
        self.set_interval(MEMORY_S, self.training.measure_memory)

    async def leave(self) -> None:
        """Put everything in order before the screen goes: unsaved work aside, the engine ended."""
        self.editor.keep_draft()
        save_state(self._remembered)
        await self.session.close()

    # What the session says

    @on(SessionChanged)
    def _session_changed(self) -> None:
        turned = self.training.follow()
        self._tell_engine()
        choice = self.session.conversation.choice
        self.title_bar.tell(gate=describe(choice).partition(":")[0])
        self.chat.show_standing()
        if turned:
            self._show_records()
        if turned or self.chat.busy != self._was_busy:
            self._was_busy = self.chat.busy
            self.refresh_bindings()  # the footer is composed anew: not at every step

    def _tell_engine(self) -> None:
        engine = self.session.engine
        match engine.state:
            case "starting":
                words = "engine starting"
            case "loading":
                words = f"loading {visible_line(engine.detail)}".rstrip()
            case "comparing":
                words = "comparing methods"
            case "ready" if engine.ready is not None:
                run = self.dashboard.run_view
                mode = run.gate.mode if run is not None and run.gate is not None else engine.ready.gate_mode
                gate = {"trained": "", "uniform": " (uniform)"}.get(mode, " (no gate)")
                words = f"{visible_line(engine.ready.base)}{gate} ready"
            case "dead":
                words = "✖ engine died: Ctrl+P, Restart the engine"
            case _:
                words = "✖ document not opened"
        self.title_bar.tell(engine=words, engine_bad=engine.state in ("dead", "refused"))
        if engine.state == "ready" and self._engine_told != "ready" and engine.ready is not None:
            self._take_names(engine.ready.adapters, engine.ready.dlm_id)
        self._engine_told = engine.state

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done now: the footer and the help leave the rest out or dim it."""
        if action == "stop":
            return True if self.training.under_way or self.chat.busy else None
        if action in ("train", "train_fresh", "train_resume"):
            return None if self.training.under_way else True
        return True

    # What the panes say

    @on(EditorPane.CheckDone)
    def _checked(self, message: EditorPane.CheckDone) -> None:
        errors = sum(d.severity == "error" for d in message.diagnostics)
        warnings = sum(d.severity == "warning" for d in message.diagnostics)
        self.title_bar.tell(errors=errors, warnings=warnings)
        if message.document is not None:
            self._take_document(message.document)
        self.training.checked(errors)

    def _take_document(self, document: Document) -> None:
        gate = document.frontmatter.training.gate
        counts = sample_counts(document) if gate.enabled else {}
        floor = gate.cold_start_floor
        concerns = [cold_start_concern(name, have, floor) for name, have in counts.items() if have < floor]
        self.dashboard.show_concerns(concerns)
        self.title_bar.tell(concerns=len(concerns))
        self._take_names(document.adapter_names, document.dlm_id)

    def _take_names(self, adapters: tuple[str, ...], dlm_id: str) -> None:
        self.app.set_adapters(adapters)  # type: ignore[attr-defined]
        if dlm_id == self.dlm_id:
            return
        try:
            feed = StoreFeed(dlm_id)
        except DlmError:
            return
        self.dlm_id = dlm_id
        if self.keeps_asked:
            self.session.questions.open(dlm_id)
        self.dashboard.follow(feed)
        self._show_records()
        self._open_history(dlm_id)

    @work(exclusive=True, group="history", exit_on_error=False)
    async def _open_history(self, dlm_id: str) -> None:
        """Bring back what was said about this document, and keep it there from now on."""
        try:
            path = state_home() / "chats" / f"{dlm_id.upper()}.json"
            await self.session.history.open(path, self.session.conversation)
        except DlmError as error:
            self.session.fail(error)
        self.chat.show_turns()
        self.chat.remember_questions()
        self.session.choice_changed()

    @work(thread=True, exclusive=True, group="records", exit_on_error=False)
    def _show_records(self) -> None:
        """What was trained may be another: show the sections' states anew."""
        with contextlib.suppress(DlmError):
            snapshot = StoreFeed(self.dlm_id).snapshot() if self.dlm_id else None
            if snapshot is not None:
                self.app.call_from_thread(self.editor.show_records, snapshot.sections)

    @on(EditorPane.Dirtied)
    def _dirtied(self, message: EditorPane.Dirtied) -> None:
        self.title_bar.tell(unsaved=message.unsaved)

    @on(EditorPane.Saved)
    def _saved(self, message: EditorPane.Saved) -> None:
        if not message.elsewhere:
            self.notify(f"Saved {visible_line(self.path.name)}.", timeout=2, markup=False)
        self.training.saved()
        if self.editor.area.show_loss:
            self._mask()

    @on(EditorPane.MaskWanted)
    @work(exclusive=True, group="mask", exit_on_error=False)
    async def _mask(self) -> None:
        if self.training.under_way or self.session.engine.state != "ready":
            busy = "a run is under way" if self.training.under_way else "the base is not loaded"
            self.editor.show_mask(None, busy)
            return
        try:
            self.editor.show_mask(await self.session.engine.mask())
        except DlmError as error:
            self.editor.show_mask(None, error.message)

    @on(EditorPane.RewordWanted)
    def _reword(self, message: EditorPane.RewordWanted) -> None:
        self.section_work.reword(message.line)

    @on(EditorPane.ComparisonWanted)
    def _compare_section(self, message: EditorPane.ComparisonWanted) -> None:
        self._spawn(self.section_work.compare(message.state, self.dlm_id))

    @on(DashboardPane.Remedy)
    def _go_to_remedy(self, message: DashboardPane.Remedy) -> None:
        self.frame.bring_up("editor")
        self.editor.go_to_remedy(message.adapter)

    @on(DashboardPane.RunSeen)
    def _run_seen(self) -> None:
        self.session.engine.reopen()

    @on(ReplyView.Wanted)
    def _reply_wanted(self, message: ReplyView.Wanted) -> None:
        view = message.view
        match message.what:
            case "copy":
                self.app.copy_to_clipboard(view.text)
                self.notify("The reply is on the clipboard.")
            case "source":
                cited = view.answer.citation if view.answer is not None else None
                if cited is None or cited.line is None:
                    self.notify("No section of the document stands behind this reply.")
                else:
                    self.frame.bring_up("editor")
                    self.editor.go_to(cited.line - 1)
            case "teach" if view.answer is not None:
                self._spawn(correct(self.session, view.asked, view.answer))
            case "other" if view.answer is not None:
                self._spawn(take_other(self.session, view.asked, view.answer))
            case "prefer" if view.answer is not None:
                self.chat.prefer(view)
            case "right" | "wrong" if view.answer is not None:
                verdict: Verdict = "right" if message.what == "right" else "wrong"
                self._spawn(judge(self.session, view.asked, view.answer, verdict))
            case "teach" | "other" | "prefer" | "right" | "wrong":
                self.notify("The reply is not complete yet.")
            case "why" if view.answer is not None:
                self._spawn(show_why(self.session, view.asked, view.answer))
            case _:
                self.app.push_screen(ReplyDetail(view.answer, list(view.pieces), view.text))

    def _spawn(self, work: Awaitable[object]) -> None:
        """Do what a command does beside the rest; what goes wrong is shown."""
        self.session.spawn(work, "command")

    # Layout

    def on_resize(self, event: events.Resize) -> None:
        self.frame.lay_out()

    @on(PaneFrame.Arranged)
    def _arranged(self, message: PaneFrame.Arranged) -> None:
        self.query_one(PaneTabs).show_layout(message.arrangement, message.here)

    @on(PaneTabs.Chosen)
    def _tab_chosen(self, message: PaneTabs.Chosen) -> None:
        self.frame.bring_up(message.pane)

    # What the keys do

    def action_help(self) -> None:
        """Show what can be done here and now."""
        if not isinstance(self.app.screen, HelpScreen):
            self.app.push_screen(HelpScreen(self.frame.here, self.active_bindings))

    async def action_save(self) -> None:
        """Write the document to disk."""
        await self.editor.save()

    def action_train(self, *, fresh: bool = False, resume: bool = False) -> None:
        """Save and train: what changed, from new adapters, or on from a checkpoint."""
        self.training.train(Train(request_id="", fresh=fresh, resume=resume))

    action_train_fresh = partialmethod(action_train, fresh=True)
    action_train_resume = partialmethod(action_train, resume=True)

    def action_watch(self) -> None:
        """Train on every save, or no more."""
        self.training.switch()

    def action_stop(self) -> None:
        """Stop whatever runs; a save that waited for its turn waits no more."""
        self.training.stop()
        carry_out(self.session, Invocation(find("stop")))

    def action_toggle_gate(self) -> None:
        """Gate auto or off."""
        self.session.toggle_gate()

    def action_restart_engine(self) -> None:
        """Start the engine process again and open the document in it."""
        carry_out(self.session, Invocation(find("restart")))

    def _step(self, by: int) -> None:
        self.frame.step(by)

    action_next_pane = partialmethod(_step, 1)
    action_previous_pane = partialmethod(_step, -1)

    def action_zoom(self) -> None:
        """Give the whole screen to this pane, or back."""
        self.frame.zoom()

    def action_next_problem(self) -> None:
        """Go to the next problem."""
        self.frame.bring_up("editor")
        self.editor.next_problem()

    def _go_to(self, pane: PaneName) -> None:
        self.frame.bring_up(pane)

    action_focus_editor = partialmethod(_go_to, "editor")
    action_focus_dashboard = partialmethod(_go_to, "dashboard")
    action_focus_chat = partialmethod(_go_to, "chat")

    def action_hide_pane(self) -> None:
        """Take this pane off the screen."""
        if not self.frame.hide():
            self.notify("The last pane stays.")

    def action_show_panes(self) -> None:
        """Bring hidden panes back."""
        self.frame.show_all()

    def _resize_pane(self, *, wider: bool) -> None:
        self.frame.resize_pane(wider=wider)

    action_grow = partialmethod(_resize_pane, wider=True)
    action_shrink = partialmethod(_resize_pane, wider=False)

    def action_open_document(self) -> None:
        """Choose another document."""
        unless_unsaved(self.editor, self.app.action_start)  # type: ignore[attr-defined]

    def action_import_data(self) -> None:
        """Bring data into the document; what it changes is shown first, and is one undo away."""

        def chosen(answer: str) -> None:
            if (path := dropped_path(answer)) is not None:
                self.run_worker(self._importing().bring(answer if is_on_hub(answer) else str(path)))

        title = "Import which file or folder? Rows of other formats become sections."
        ask(self, LineScreen(title, placeholder="a path, or hf:org/name"), chosen)

    def _importing(self) -> Importing:
        area = self.editor.area
        document = self.editor.document
        adapters = document.adapter_names if document is not None else ()

        def take(done: "Import") -> None:
            area.history.checkpoint()
            area.replace_all(done.text)
            area.move_cursor((first_change(done), 0), center=True)
            self.notify("It is in the document now: save it, or undo.", markup=False)

        def text() -> str | None:
            return area.text if area.text.strip() else None

        return Importing(self, self.path, text, adapters, take, self.session.engine.vectors)

    def action_evaluate(self) -> None:
        """Show what was measured last, measure anew, ask and teach from there."""
        self._spawn(self._show_evaluation())

    async def _show_evaluation(self) -> None:
        record = await asyncio.to_thread(StoreFeed(self.dlm_id).evaluation) if self.dlm_id else None

        def wished(wish: Wish) -> None:
            if wish.what == "ask":
                self.frame.bring_up("chat")
                self.session.replies.ask(wish.reply.question)
            else:
                self._spawn(correct(self.session, *reply_of(wish.reply)))

        found = record.evaluated.evaluation if record is not None else None
        ask(self, EvaluateScreen(found, self.session.engine.evaluate), wished)

    def action_versions(self) -> None:
        """Show the versions that runs ended in, and go back to one."""
        self._spawn(show_versions(self, self.session, self.dlm_id))

    def action_export(self) -> None:
        self.tasks.export()

    def action_doctor(self) -> None:
        self.tasks.doctor()

    def action_pack(self) -> None:
        self.tasks.pack()

    def action_compare(self) -> None:
        self.tasks.compare()

    def action_settings(self) -> None:
        self.tasks.settings()

    def action_tour(self) -> None:
        self.tasks.tour()

    async def on_tour_panel_ended(self, message: TourPanel.Ended) -> None:
        await self.tasks.end_tour(finished=message.finished)

    def action_next_theme(self) -> None:
        """Change to the next theme."""
        self.app.action_next_theme()  # type: ignore[attr-defined]

    def action_quit(self) -> None:
        """Leave; asks when there is unsaved work."""
        unless_unsaved(self.editor, self.app.action_leave)  # type: ignore[attr-defined]
