"""The workbench as an application: its first frame, themes, settings, which screen is shown, an orderly end.

What the first frame does not need is imported after it: it stands half a second earlier for it.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.driver import Driver

from dlm_core.errors import DlmError
from dlm_core.safetext import visible_line
from dlm_tui import sweeping
from dlm_tui.actions import keymap, readable
from dlm_tui.screens.curtain import Curtain
from dlm_tui.session.file_watch import changes, stamp_of
from dlm_tui.settings import (
    Loaded,
    State,
    load_settings,
    load_state,
    remember_document,
    save_state,
    state_home,
)
from dlm_tui.themes import Library, WorkbenchTheme, load_first, load_library, theme_paths
from dlm_tui.widgets.looks import Looks

if TYPE_CHECKING:
    from dlm_core.client import EngineClient
    from dlm_tui.screens.start import StartScreen
    from dlm_tui.screens.workbench import Workbench

SETTLE_S = 2.0
"""After the workbench is shown, when it counts as standing (see `sweeping`)."""
FAREWELL_S = 40.0
"""After a signal to end, when the process ends whatever it waits for; the engine has its time before that."""
_FAREWELL_SIGNALS = ("SIGTERM", "SIGHUP")

ClientFactory = Callable[[], "EngineClient"]


def _actions() -> type[Provider]:
    from dlm_tui.screens.palette import ActionProvider

    return ActionProvider


class WorkbenchApp(App[int]):
    """`dlm FILE`. `looks` and `workbench_theme` are what every widget paints with."""

    TITLE = "dlm"
    CSS = """
    ToastRack { dock: top; align: right top; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []
    COMMANDS = {_actions}  # noqa: RUF012  (Textual declares it so)
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(
        self,
        path: Path | None = None,
        *,
        engine: str | None = None,
        client: ClientFactory | None = None,
        loaded: Loaded | None = None,
        state: State | None = None,
        watch: bool = False,
    ) -> None:
        self.loaded = loaded or load_settings()
        self.state = state or load_state()
        name = self.state.theme or self.loaded.settings.theme
        first = load_first(name)
        self.library = Library({first.name: first}) if first is not None else load_library()
        self.workbench_theme: WorkbenchTheme = first or self.library.get(name)
        self.looks = Looks((), self.workbench_theme)
        self._engine, self._client_factory = engine, client
        self._path, self._watch = path, watch
        self._bench: Workbench | None = None
        super().__init__()
        self.animation_level = "none"
        self.typed_at = 0.0
        """When the last key was pressed (`time.monotonic`): what can wait, waits for a pause."""
        self.broken_by: BaseException | None = None
        """The error that nobody foresaw and that ended the app."""

    def get_driver_class(self) -> type[Driver]:
        """Textual's driver, but for terminals: those may send anything."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from dlm_tui.driver import TolerantDriver

        return TolerantDriver

    async def action_quit(self) -> None:
        """Textual's Ctrl+Q would leave without asking; it is a terminal's flow control. F10 leaves."""

    def action_command_palette(self) -> None:
        """Show the palette."""
        from dlm_tui.screens.palette import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())  # without an id: the one before may not be gone yet

    def get_default_screen(self) -> Curtain:
        """The first frame, below everything that comes after it."""
        return Curtain(self._path)

    def on_mount(self) -> None:
        self._register_themes()
        self._handle_signals()
        self.call_after_refresh(self._rise)

    def _rise(self) -> None:
        """The first frame stands: bring up what it is the curtain of."""
        keys, problems = keymap(self.loaded.settings.keys)
        self.set_keymap(keys)
        if self._path is None:
            self.action_start()
        else:
            self.open_document(self._path)
        self.library = load_library()
        self._register_themes()
        problems = [*self.loaded.problems, *problems, *self.library.problems]
        if problems:
            self.notify("\n".join(problems), title="Settings", severity="warning", timeout=20, markup=False)
        self._watch_themes()
        self.set_timer(SETTLE_S, sweeping.settle)
        self.set_interval(sweeping.EVERY_S, lambda: sweeping.sweep(time.monotonic() - self.typed_at))

    async def on_event(self, event: events.Event) -> None:
        """Remember when a key was pressed; the rest is Textual's.

        A terminal's Alt with a letter comes with that letter as its text, which a text field would put in.
        """
        if isinstance(event, events.Key):
            self.typed_at = time.monotonic()
            if event.key.startswith("alt+"):
                event.character = None
        await super().on_event(event)

    def on_workbench_opened(self) -> None:
        """The document is on screen: what was typed before it goes into it."""
        curtain = self.screen_stack[0]
        if isinstance(curtain, Curtain):
            early, curtain.keys = curtain.keys, []
            for key in early:
                self.post_message(events.Key(key.key, key.character))

    def get_key_display(self, binding: Binding) -> str:
        """A key as the footer shows it."""
        return readable(binding.key).replace("Ctrl+", "^")

    def take_settings(self, loaded: Loaded) -> None:
        """Use settings that were read anew, the theme among them."""
        before, self.loaded = self.loaded, loaded
        keys, _ = keymap(loaded.settings.keys)
        self.set_keymap(keys)
        if loaded.settings.theme != before.settings.theme:
            self.choose_theme(loaded.settings.theme)
        if self._bench is not None:
            self._bench.tasks.take_settings(before.settings, loaded.settings)

    # Documents

    def open_document(self, path: Path, *, tour: bool = False) -> None:
        """Show the workbench on `path`, with an engine of its own; `tour` shows the loop there."""
        from dlm_tui.screens.workbench import Workbench

        if not tour:
            remember_document(self.state, path)
        save_state(self.state)
        settings, watch = self.loaded.settings, self._watch and not tour
        self._bench = Workbench(path, self.new_client(), settings, self.state, watch=watch)
        self._bench.tasks.touring = tour
        self._show(self._bench)

    @work(exclusive=True, group="tour", exit_on_error=False)
    async def start_tour(self) -> None:
        """Show the loop on a document of its own, in place of the one that is open."""
        from dlm_tui.session.tour import begin

        try:
            path = begin(state_home() / "tour")
        except DlmError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        await self._close_bench()
        self.open_document(path, tour=True)

    def tour_ended(self, finished: bool) -> None:
        """Remember that the tour was finished or skipped: it is not offered again."""
        self.state.tour = "done" if finished else self.state.tour or "skipped"
        save_state(self.state)
        said = "Open your own with Alt+O." if finished else "Ctrl+P, Tour shows it again."
        self.notify(said, title="Tour", timeout=6)

    def new_client(self) -> "EngineClient":
        """A client for an engine process that is not started yet."""
        if self._client_factory is not None:
            return self._client_factory()
        from dlm_core.client import EngineClient

        return EngineClient(engine=self._engine)

    def action_start(self) -> None:
        """Show the list of documents."""
        from dlm_tui.screens.start import StartScreen

        self.call_later(self._close_bench)
        self._show(StartScreen(self.state.recent, tour=not self.state.tour))

    def _show(self, screen: "Workbench | StartScreen") -> None:
        while len(self.screen_stack) > 2:  # a dialog or the palette, opened since this was asked for
            self.pop_screen()
        if len(self.screen_stack) > 1:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    async def _close_bench(self) -> None:
        bench, self._bench = self._bench, None
        if bench is not None:
            await bench.leave()

    def on_start_screen_chosen(self, message: "StartScreen.Chosen") -> None:
        """A document was chosen on the start screen."""
        self.open_document(message.path)

    def set_adapters(self, names: tuple[str, ...]) -> None:
        """The document's adapters, in declared order: all panes show them alike from now on."""
        if names != self.looks.names:
            self.looks = Looks(names, self.workbench_theme)
            self._looks_changed()

    def _looks_changed(self) -> None:
        if self._bench is not None and self._bench.is_mounted and self._bench in self.screen_stack:
            for pane in (self._bench.editor, self._bench.dashboard, self._bench.chat):
                pane.adapters_changed()
            self._bench.title_bar.refresh()

    # Themes

    def _register_themes(self) -> None:
        for theme in self.library.themes.values():
            self.register_theme(theme.to_textual())
        self.theme = self.workbench_theme.name

    def choose_theme(self, name: str) -> None:
        """Use a theme from now on."""
        self.workbench_theme = self.library.get(name)
        self.looks = Looks(self.looks.names, self.workbench_theme)
        self.theme = self.workbench_theme.name
        self.state.theme = self.workbench_theme.name
        self._looks_changed()

    def action_next_theme(self) -> None:
        """Use the next theme by name."""
        names = sorted(self.library.themes)
        self.choose_theme(names[(names.index(self.workbench_theme.name) + 1) % len(names)])
        spec = self.workbench_theme.spec
        self.notify(f"{spec.name}: {spec.description}", timeout=2, markup=False)

    @work(exit_on_error=False)
    async def _watch_themes(self) -> None:
        async for _ in changes(theme_paths, {path: stamp_of(path) for path in theme_paths()}):
            self._take_themes()

    def _take_themes(self) -> None:
        library = load_library()
        if library.problems:
            self.notify("\n".join(library.problems), title="Themes", severity="warning", markup=False)
        self.library = library
        self._register_themes()
        self.choose_theme(self.workbench_theme.name)
        self.refresh_css(animate=False)

    # The end

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in _FAREWELL_SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, self._farewell, int(number))

    def _farewell(self, number: int) -> None:
        """A signal asked the process to end: unsaved work is kept aside, and the terminal put in order.

        Writing to a terminal that is gone may block for ever; nobody is there to end the process once more.
        """
        last_resort = threading.Timer(FAREWELL_S, os._exit, (128 + number,))
        last_resort.daemon = True
        last_resort.start()
        self.call_later(self.action_leave, 128 + number)

    async def on_exit_app(self) -> None:
        """The driver asked for the end: the browser's page was closed."""
        if self.return_code is None:
            await self.action_leave()

    async def action_leave(self, code: int = 0) -> None:
        """End: the engine first, so that it can save what may be resumed."""
        if self._bench is not None:
            self._bench.editor.keep_draft()
        self.exit(code)

    def _fatal_error(self) -> None:
        """An error that nobody foresaw: unsaved work is kept aside, and `run_app` hands the error on. Textual
        would print a traceback.
        """
        self.broken_by = self.broken_by or sys.exception()
        with contextlib.suppress(Exception):
            if self._bench is not None:
                self._bench.editor.keep_draft()
        self.panic()

    async def on_unmount(self) -> None:
        await self._close_bench()
        save_state(self.state)


def run_app(path: Path | None, *, engine: str | None = None, watch: bool = False) -> int:
    """Run the workbench on `path`, or on the list of documents, and answer the process's exit code.

    Args:
        engine: `module:function` of the engine the host loads, for tests; None is the real one.
        watch: train after every save of the document.

    Raises what ended the app, if that was an error; the terminal is in order by then.
    """
    if path is not None and path.is_dir():
        print(f"{visible_line(str(path))} is a folder; give a .dlm file")
        return 2
    with sweeping.held_off():
        app = WorkbenchApp(path, engine=engine, watch=watch)
        code = app.run()
    if app.broken_by is not None:
        raise app.broken_by
    if app.return_code is None:
        raise RuntimeError("the workbench ended though nothing had asked it to")
    return code or app.return_code or 0
