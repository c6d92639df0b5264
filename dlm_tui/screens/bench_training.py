"""Runs of the document on screen: begun by a key, the palette, a click or a save; followed; stopped."""

import contextlib
from typing import Literal

import psutil
from textual import work
from textual.notifications import SeverityLevel

from dlm_core.errors import DlmError
from dlm_core.events import TrainStep
from dlm_core.requests import Train
from dlm_tui.panes import dashboard_text
from dlm_tui.screens.bench_actions import BenchActions

MEMORY_S = 2.0
"""How often the engine's memory is looked at while it trains."""
STEP_S = 0.3
"""How often the title tells the step, at most."""

Due = Literal["no", "checking", "waiting"]
"""Whether a save is to be trained: no, once it is checked, or once the run that is under way has ended."""


class BenchTraining(BenchActions):
    """The part of the workbench that trains. `watching`: every save of the document is followed by a run."""

    engine_state: str

    def __init__(self, *, watch: bool = False) -> None:
        super().__init__()
        self.watching = watch
        self.training_now = False
        self._due: Due = "no"
        self._last_step: TrainStep | None = None

    def refresh_records(self) -> None:
        """What was trained may be another: show the sections' states anew."""
        raise NotImplementedError

    def train(self, wanted: Train) -> None:
        """Save, then train the document."""
        if self.training_now:
            self.notify("A run is under way; F8 stops it.")
            return
        self._train(wanted, save=True)

    @work(exclusive=True, group="train", exit_on_error=False)
    async def _train(self, wanted: Train, *, save: bool) -> None:
        if save and self.editor.unsaved and not await self.editor.save():
            return
        if self._has_errors(sum(d.severity == "error" for d in self.editor.diagnostics)):
            return
        if self.engine_state not in ("ready",):
            self.notify("The base is still loading; training starts once it is there.")
        self.set_training(True, "▶ planning")
        try:
            ended = await self.engine_room.train(wanted)
            if ended is not None:
                severity: SeverityLevel = "error" if ended.status == "failed" else "information"
                text = dashboard_text.end_sentence(ended)
                self.notify(text, severity=severity, markup=False, timeout=8)
        except DlmError as error:
            self.dashboard.fail(error.message, error.hint)
            self.notify(str(error), severity="error", markup=False, timeout=12)
        finally:
            self.set_training(False)
        self.refresh_records()
        if self._due == "waiting":
            self.call_later(self._train_saved)

    async def action_stop(self) -> None:
        """Stop whatever runs; a save that waited for its turn waits no more."""
        self._due = "no"
        await self.client.stop()

    # Runs that a save begins

    def action_watch(self) -> None:
        """Train on every save, or no more."""
        self.watching = not self.watching
        if not self.watching:
            self._due = "no"
        self.title_bar.tell(on_save=self.watching)
        self.notify("Every save trains what changed." if self.watching else "Saves train nothing.", timeout=3)

    def note_save(self) -> None:
        """The text on disk is another; whether it can be trained, its check will tell."""
        if self.watching:
            self._due = "checking"

    def train_if_saved(self, errors: int) -> None:
        """The text was checked: train what was saved, now or after the run that is under way.

        A run takes the document as it stands on disk when it begins, so of several saves the newest counts.
        """
        if self._due != "checking":
            return
        if self._has_errors(errors):
            self._due = "no"
        elif self.training_now:
            self._due = "waiting"
            self.notify("A run is under way; what was saved is trained after it.", timeout=3)
        else:
            self._train_saved()

    def _has_errors(self, errors: int) -> bool:
        if errors:
            problems = "a problem" if errors == 1 else f"{errors} problems"
            self.notify(f"Not trained: {problems} to put right first; F4 goes there.", severity="warning")
        return errors > 0

    def _train_saved(self) -> None:
        self._due = "no"
        self._train(Train(request_id=""), save=False)

    # What is told of a run

    def watch_memory(self) -> None:
        """Look at what the engine holds while it trains, from now on."""
        self.set_interval(MEMORY_S, self._measure_memory)

    def _measure_memory(self) -> None:
        pid = self.client.pid
        if pid is None or not self.training_now:
            return
        with contextlib.suppress(psutil.Error):
            self.dashboard.shown.memory = psutil.Process(pid).memory_info().rss

    def tell_step(self, event: TrainStep) -> None:
        """Put the step into the title, a few times a second at most, the last one always."""
        waits = self._last_step is not None
        self._last_step = event
        if not waits:
            self.set_timer(STEP_S, self._tell_last_step)

    def _tell_last_step(self) -> None:
        event, self._last_step = self._last_step, None
        if event is not None and self.training_now:
            eta = dashboard_text.duration(event.eta_s)
            self.set_training(True, f"▶ {event.step}/{event.steps} ETA {eta}")

    def set_training(self, training: bool, words: str = "") -> None:
        """A run is under way, told in `words`, or none is."""
        self.title_bar.tell(training=words if training else "")
        if training != self.training_now:
            self.training_now = training
            self.refresh_bindings()  # the footer is composed anew: not at every step
