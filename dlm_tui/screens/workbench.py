"""The main screen: a document's editor, training and chat side by side, and the engine behind them."""

import contextlib
from pathlib import Path

from textual import events, on, work
from textual.app import ComposeResult
from textual.message import Message as TextualMessage

from dlm_core.client import EngineClient
from dlm_core.document import Document
from dlm_core.document.cold_start import sample_counts
from dlm_core.errors import DlmError
from dlm_core.events import BaseProgress, GateTrained, Log, Ready, RunEnded, RunPlanned, TrainStep
from dlm_core.requests import Sampling, Train
from dlm_core.safetext import visible_line
from dlm_tui.panes import dashboard_text
from dlm_tui.panes.chat import ChatPane
from dlm_tui.panes.dashboard import DashboardPane
from dlm_tui.panes.editor import EditorPane
from dlm_tui.panes.frame import PaneFrame
from dlm_tui.panes.pane import Pane
from dlm_tui.screens.bench_training import BenchTraining
from dlm_tui.screens.engine_room import EngineChanged, EngineRoom, EngineSpoke
from dlm_tui.screens.reply_detail import ReplyDetail
from dlm_tui.session.commands import COMMANDS
from dlm_tui.session.conversation import describe
from dlm_tui.session.run_view import cold_start_concern
from dlm_tui.session.store_feed import StoreFeed
from dlm_tui.settings import Settings, State, save_state, state_home
from dlm_tui.widgets.dialogs import Choice, ChoiceScreen
from dlm_tui.widgets.key_line import KeyLine
from dlm_tui.widgets.pane_layout import PaneName
from dlm_tui.widgets.reply_view import ReplyView
from dlm_tui.widgets.title_bar import PaneTabs, TitleBar


class Workbench(BenchTraining):
    """One document and its engine. Panes post messages; this screen joins them."""

    CSS_PATH = "workbench.tcss"

    class Opened(TextualMessage):
        """The document is in the editor, which takes keys from now on."""

    def __init__(
        self, path: Path, client: EngineClient, settings: Settings, state: State, *, watch: bool = False
    ) -> None:
        super().__init__(watch=watch)
        self.path = path
        self.client = client
        self.engine_room = EngineRoom(client, path)
        self.engine_state = "starting"
        self._settings, self._remembered = settings, state
        self._dlm_id = ""
        self._saved_since_check = False
        self._base, self._gate_mode = "", "none"
        self.editor = EditorPane(
            path,
            state_home() / "drafts",
            delay=settings.diagnostics_delay,
            soft_wrap=settings.soft_wrap,
            blink=settings.cursor_blink,
        )
        self.dashboard = DashboardPane()
        self.dashboard.own_pid = lambda: self.client.pid
        self.chat = ChatPane(
            lambda: self.client, route_delay=settings.route_delay, blink=settings.cursor_blink
        )
        self.chat.conversation.sampling = Sampling(
            max_tokens=settings.max_tokens, temperature=settings.temperature
        )
        panes: dict[PaneName, Pane] = {
            "editor": self.editor, "dashboard": self.dashboard, "chat": self.chat
        }  # fmt: skip
        self.frame = PaneFrame(panes, state)

    def compose(self) -> ComposeResult:
        yield TitleBar()
        yield PaneTabs()
        yield self.frame
        yield KeyLine()

    def on_mount(self) -> None:
        self.title_bar.tell(document=self.path.name, on_save=self.watching)
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
            self._offer(draft)
        self.post_message(self.Opened())
        self.client.on_death = self._engine_died
        self._listen()
        self._start_engine()
        self.watch_memory()

    def _offer(self, draft: object) -> None:
        choices = [
            Choice("restore", "bring it back", "what is on disk is one undo away"),
            Choice("forget", "throw it away"),
        ]

        def chosen(answer: str | None) -> None:
            if answer == "restore":
                self.editor.restore(draft)  # type: ignore[arg-type]
            elif answer == "forget":
                self.editor.forget_draft()

        title = "There is unsaved work of an earlier session on this document."
        self.app.push_screen(ChoiceScreen(title, choices), chosen)

    def _engine_died(self, sentence: str) -> None:
        self.post_message(EngineChanged("dead", sentence))

    @work(group="listen", exit_on_error=False)
    async def _listen(self) -> None:
        async for event in self.client.subscribe():
            self.post_message(EngineSpoke(event))

    @work(exclusive=True, group="engine", exit_on_error=False)
    async def _start_engine(self) -> None:
        await self.open_engine(restart=False)

    async def open_engine(self, *, restart: bool) -> None:
        self.post_message(EngineChanged("starting", "engine starting"))
        try:
            await (self.engine_room.restart() if restart else self.engine_room.open())
        except DlmError as error:
            self.post_message(EngineChanged("refused", self._why_refused(error)))

    def _why_refused(self, error: DlmError) -> str:
        """The error; where it lists the document's problems, how many there are: the editor lists them."""
        problems = sum(d.severity == "error" for d in self.editor.diagnostics)
        if not problems:
            return str(error)
        what = "a problem" if problems == 1 else f"{problems} problems"
        return f"The document has {what}: put right and saved, it is opened. F4 goes there."

    async def leave(self) -> None:
        """Put everything in order before the screen goes: unsaved work aside, the engine ended."""
        self.editor.keep_draft()
        await self.chat.history.flush()
        save_state(self._remembered)
        await self.client.close()

    # What the engine says

    @on(EngineSpoke)
    def _engine_spoke(self, message: EngineSpoke) -> None:
        event = message.event
        self.dashboard.take(event)
        match event:
            case BaseProgress():
                self._tell_progress(event)
            case Ready():
                self._take_ready(event)
            case RunPlanned():
                self.set_training(True, f"▶ run {event.run_id}")
            case TrainStep():
                if not self.training_now:
                    self.set_training(True, f"▶ run {event.run_id}")
                self.tell_step(event)
            case RunEnded():
                self.set_training(False)
            case GateTrained():
                self._gate_mode = event.mode
                self._tell_ready()
            case Log() if event.level != "info":
                if event.code != "cold_start":  # the panel of its own says that
                    text = f"{event.message}\n{event.hint}".strip()
                    self.notify(text, severity="error" if event.level == "error" else "warning", markup=False)
            case _:
                pass

    def _tell_progress(self, event: BaseProgress) -> None:
        share = f" {event.done_bytes / event.total_bytes:.0%}" if event.total_bytes else ""
        self.engine_state = "loading"
        base = visible_line(event.base)
        self.title_bar.tell(engine=f"{base}: {event.source} {event.outcome}{share}", engine_bad=False)

    def _take_ready(self, event: Ready) -> None:
        self.engine_state = "ready"
        self._gate_mode, self._base = event.gate_mode, visible_line(event.base)
        self._tell_ready()
        self.app.set_adapters(event.adapters)  # type: ignore[attr-defined]
        self._follow_store(event.dlm_id)
        self.chat.engine_ready()

    def _tell_ready(self) -> None:
        gate = {"trained": "", "uniform": " (uniform)"}.get(self._gate_mode, " (no gate)")
        self.title_bar.tell(engine=f"{self._base}{gate} ready", engine_bad=False)

    @on(EngineChanged)
    async def _engine_changed(self, message: EngineChanged) -> None:
        self.engine_state = message.state
        if message.state == "starting":
            self.chat.engine_starting()
            self.title_bar.tell(engine=message.text, engine_bad=False)
            return
        self.set_training(False)
        self.chat.engine_gone()
        self.dashboard.fail(message.text)
        dead = message.state == "dead"
        words = "engine died: Ctrl+P, Restart the engine" if dead else "document not opened"
        self.title_bar.tell(engine=f"✖ {words}", engine_bad=True)
        text = f"{message.text}\nNothing is lost: /restart starts the engine again." if dead else message.text
        await self.chat.say(text, error=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done now: the footer and the help leave the rest out or dim it."""
        if action == "stop":
            return True if self.training_now or self.chat.busy else None
        if action in ("train", "train_fresh", "train_resume"):
            return None if self.training_now else True
        return True

    # What the panes say

    @on(EditorPane.CheckDone)
    def _checked(self, message: EditorPane.CheckDone) -> None:
        errors = sum(d.severity == "error" for d in message.diagnostics)
        warnings = sum(d.severity == "warning" for d in message.diagnostics)
        self.title_bar.tell(errors=errors, warnings=warnings)
        if message.document is not None:
            self._take_document(message.document)
        self.train_if_saved(errors)
        if self._saved_since_check and not errors and self.engine_state == "refused":
            self._start_engine()
        self._saved_since_check = False

    def _take_document(self, document: Document) -> None:
        self.app.set_adapters(document.adapter_names)  # type: ignore[attr-defined]
        gate = document.frontmatter.training.gate
        counts = sample_counts(document) if gate.enabled else {}
        floor = gate.cold_start_floor
        concerns = [cold_start_concern(name, have, floor) for name, have in counts.items() if have < floor]
        self.dashboard.show_concerns(concerns)
        self.title_bar.tell(concerns=len(concerns))
        self._follow_store(document.dlm_id)

    def _follow_store(self, dlm_id: str) -> None:
        if dlm_id == self._dlm_id:
            return
        try:
            feed = StoreFeed(dlm_id)
        except DlmError:
            return
        self._dlm_id = dlm_id
        self.dashboard.follow(feed)
        self._show_records(feed)
        self._open_history(dlm_id)

    @work(exclusive=True, group="history", exit_on_error=False)
    async def _open_history(self, dlm_id: str) -> None:
        await self.chat.open_history(state_home() / "chats" / f"{dlm_id.upper()}.json")

    @work(thread=True, exclusive=True, group="records", exit_on_error=False)
    def _show_records(self, feed: StoreFeed) -> None:
        snapshot = feed.snapshot()
        if snapshot is not None:
            self.app.call_from_thread(self.editor.show_records, snapshot.sections)

    @on(EditorPane.Dirtied)
    def _dirtied(self, message: EditorPane.Dirtied) -> None:
        self.title_bar.tell(unsaved=message.unsaved)

    @on(EditorPane.Saved)
    def _saved(self, message: EditorPane.Saved) -> None:
        if not message.elsewhere:
            self.notify(f"Saved {visible_line(self.path.name)}.", timeout=2, markup=False)
        self._saved_since_check = True
        self.note_save()
        if self.editor.area.show_loss:
            self._mask()

    @on(EditorPane.MaskWanted)
    def _mask_wanted(self) -> None:
        self._mask()

    @work(exclusive=True, group="mask", exit_on_error=False)
    async def _mask(self) -> None:
        if self.training_now or self.engine_state != "ready":
            busy = "a run is under way" if self.training_now else "the base is not loaded"
            self.editor.show_mask(None, busy)
            return
        try:
            self.editor.show_mask(await self.engine_room.mask())
        except DlmError as error:
            self.editor.show_mask(None, error.message)

    @on(DashboardPane.Remedy)
    def _go_to_remedy(self, message: DashboardPane.Remedy) -> None:
        self.frame.bring_up("editor")
        self.editor.go_to_remedy(message.adapter)

    @on(DashboardPane.RunSeen)
    def _run_seen(self) -> None:
        self._reload()

    @work(exclusive=True, group="engine", exit_on_error=False)
    async def _reload(self) -> None:
        with contextlib.suppress(DlmError):
            await self.engine_room.reload()

    @on(ChatPane.BusyChanged)
    def _busy_changed(self) -> None:
        self.refresh_bindings()

    @on(ChatPane.ChoiceMade)
    def _choice_made(self, message: ChatPane.ChoiceMade) -> None:
        self.title_bar.tell(gate=describe(message.choice).partition(":")[0])

    @on(ChatPane.Command)
    async def _command(self, message: ChatPane.Command) -> None:
        match message.invocation.name:
            case "train":
                request = message.request
                self.train(request if isinstance(request, Train) else Train(request_id=""))
            case "stop":
                await self.action_stop()
            case "edit":
                self.frame.bring_up("editor")
            case "restart":
                self.action_restart_engine()
            case "exit":
                await self.action_quit()
            case "save":
                self._save_chat()
            case "show":
                await self.chat.say(self._show_text())
            case "model":
                await self.chat.say(self.title_bar.situation.engine)
            case "warnings":
                await self.chat.say(
                    dashboard_text.concerns_text(self.dashboard.concerns, self.chat.looks)
                    if self.dashboard.concerns
                    else "there is no warning"
                )
            case name:
                known = ", ".join(f"/{c.name}" for c in COMMANDS)
                await self.chat.say(f"/{name} is for the line REPL; here there are {known}", error=True)

    def _show_text(self) -> str:
        document = self.editor.document
        if document is None:
            return "the document has errors; the editor lists them"
        states = [state.state for state in self.editor.sections]
        base = document.frontmatter.base_model
        return dashboard_text.overview(self.path, base, states, self.dashboard.shown.versions)

    def _save_chat(self) -> None:
        number = 1
        while (path := self.path.with_name(f"{self.path.stem}.chat{number}.md")).exists():
            number += 1
        try:
            self.chat.conversation.save(path)
        except DlmError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"Saved as {visible_line(path.name)}.", markup=False)

    @on(ReplyView.Wanted)
    def _reply_wanted(self, message: ReplyView.Wanted) -> None:
        view = message.view
        match message.what:
            case "copy":
                self.app.copy_to_clipboard(view.text)
                self.notify("The reply is on the clipboard.")
            case "why":
                self._explain(view)
            case _:
                self.app.push_screen(ReplyDetail(view.answer, list(view.pieces), view.text))

    @work(exclusive=True, group="why", exit_on_error=False)
    async def _explain(self, view: ReplyView) -> None:
        try:
            why = await self.engine_room.explain(view.asked, self.chat.conversation.choice)
        except DlmError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        if why is not None:
            self.app.push_screen(ReplyDetail(view.answer, list(view.pieces), view.text, why))

    def refresh_records(self) -> None:
        """What was trained may be another: show the sections' states anew."""
        if self._dlm_id:
            with contextlib.suppress(DlmError):
                self._show_records(StoreFeed(self._dlm_id))

    # Layout

    def on_resize(self, event: events.Resize) -> None:
        self.frame.lay_out()

    @on(PaneFrame.Arranged)
    def _arranged(self, message: PaneFrame.Arranged) -> None:
        self.query_one(PaneTabs).show_layout(message.arrangement, message.here)

    @on(PaneTabs.Chosen)
    def _tab_chosen(self, message: PaneTabs.Chosen) -> None:
        self.frame.bring_up(message.pane)
