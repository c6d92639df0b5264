"""Runs of the document in the workbench: begun by a key, the palette, a click, a save; told in the title."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Literal

import psutil

from dlm_core.events import RunEnded
from dlm_core.requests import Train
from dlm_tui.panes import dashboard_text
from dlm_tui.panes.dashboard import DashboardPane
from dlm_tui.panes.editor import EditorPane
from dlm_tui.session.session import Session
from dlm_tui.session.wording import duration
from dlm_tui.widgets.title_bar import TitleBar

STEP_S = 0.3
"""How often the title tells the step, at most."""

Due = Literal["no", "checking", "waiting"]
"""Whether a save is to be trained: no, once it is checked, or once the run that is under way has ended."""


class TrainingControl:
    """What the workbench does about runs. `watching`: every save of the document is followed by one."""

    def __init__(
        self,
        session: Session,
        editor: EditorPane,
        dashboard: DashboardPane,
        title_bar: Callable[[], TitleBar],
        *,
        watch: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.watching = watch
        self.due: Due = "no"
        self._session = session
        self._editor = editor
        self._dashboard = dashboard
        self._title_bar = title_bar
        self._clock = clock
        self._told_at = 0.0
        self._telling: asyncio.TimerHandle | None = None
        self._was_training = False
        self._taught = False

    @property
    def under_way(self) -> bool:
        """Whether a run goes on or waits to."""
        return self._session.runs.under_way

    def train(self, wanted: Train) -> None:
        """Save, then train the document; one run at a time."""
        if self.under_way:
            self._editor.notify("A run is under way; F8 stops it.")
        else:
            self._session.train(wanted)

    async def save_first(self) -> bool:
        """Save what a run is to see. False where there is something to put right first."""
        if self._editor.unsaved and not await self._editor.save():
            return False
        if self._has_errors(sum(d.severity == "error" for d in self._editor.diagnostics)):
            return False
        if self._session.engine.state != "ready":
            self._editor.notify("The base is still loading; training starts once it is there.")
        return True

    def switch(self) -> None:
        """Train on every save, or no more."""
        self.watching = not self.watching
        if not self.watching:
            self.due = "no"
        self._title_bar().tell(on_save=self.watching)
        said = "Every save trains what changed." if self.watching else "Saves train nothing."
        self._editor.notify(said, timeout=3)

    def saved(self) -> None:
        """The text on disk is another; whether it can be trained, its check will tell."""
        taught, self._taught = self._taught, False
        if self.watching and not taught:
            self.due = "checking"

    def taught(self) -> None:
        """The next save is that of a correction, which sees to its own run."""
        self._taught = True

    def checked(self, errors: int) -> None:
        """The text was checked: train what was saved, now or after the run that is under way.

        A run takes the document as it stands on disk when it begins, so of several saves the newest counts.
        """
        if self.due != "checking":
            return
        if self._has_errors(errors):
            self.due = "no"
        elif self.under_way:
            self.due = "waiting"
            self._editor.notify("A run is under way; what was saved is trained after it.", timeout=3)
        else:
            self._train_saved()

    def stop(self) -> None:
        """A save that waited for its turn waits no more."""
        self.due = "no"

    def ended(self, event: RunEnded) -> None:
        """A run is over: say how. Where it was stopped, a save that waited for it waits no more."""
        if event.status == "stopped":
            self.stop()
        severity: Literal["error", "information"] = "error" if event.status == "failed" else "information"
        text = dashboard_text.end_sentence(event)
        self._editor.notify(text, severity=severity, markup=False, timeout=8)

    def follow(self) -> bool:
        """Tell in the title how the run stands; answers whether one began or ended since the last call."""
        under_way, now = self.under_way, self._clock()
        turned = under_way != self._was_training
        self._was_training = under_way
        if turned or now - self._told_at >= STEP_S:
            self._tell_title()
        elif under_way and self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(STEP_S, self._tell_title)
        if turned and not under_way and self.due == "waiting":
            self._train_saved()
        return turned

    def _tell_title(self) -> None:
        self._telling, self._told_at = None, self._clock()
        self._title_bar().tell(training=self._words() if self.under_way else "")

    def _words(self) -> str:
        run = self._session.runs.view
        if run is None:
            return "▶ planning"
        if run.last is None:
            return f"▶ run {run.run_id}"
        eta = duration(run.last.eta_s)
        return f"▶ {run.last.step}/{run.last.steps} ETA {eta}"

    def measure_memory(self) -> None:
        """Look at what the engine holds, while it trains."""
        pid = self._session.engine.pid
        if pid is None or not self.under_way:
            return
        with contextlib.suppress(psutil.Error):
            self._dashboard.shown.memory = psutil.Process(pid).memory_info().rss

    def _has_errors(self, errors: int) -> bool:
        if errors:
            problems = "a problem" if errors == 1 else f"{errors} problems"
            text = f"Not trained: {problems} to put right first; F4 goes there."
            self._editor.notify(text, severity="warning")
        return errors > 0

    def _train_saved(self) -> None:
        self.due = "no"
        self._session.train(Train(request_id=""), save=False)
