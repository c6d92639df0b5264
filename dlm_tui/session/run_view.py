"""One run as the dashboard shows it: events folded into series, epochs, maps and warnings. No widgets."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dlm_core import gate_health
from dlm_core.document.cold_start import cold_start_words
from dlm_core.events import (
    Event,
    GateStep,
    GateTrained,
    Log,
    OpennessMap,
    ProbeAnswer,
    ProbesAsked,
    RunEnded,
    RunPlanned,
    TrainEpoch,
    TrainStep,
)

MAX_LOG_LINES = 500
MAX_POINTS = 4000
"""Points of a curve from which on it is thinned: far more than any plot has columns."""
SMOOTHING = 0.85
"""Share of the average that a new loss leaves standing."""


@dataclass
class Series:
    """A curve in the making: steps and values, steps never falling, and the values smoothed.

    `smooth` is the exponential moving average without the bias of its start (as Adam corrects its moments).
    A long curve is thinned as it grows: of every four points the least and the greatest stay.
    """

    xs: list[float] = field(default_factory=list)
    ys: list[float] = field(default_factory=list)
    smooth: list[float] = field(default_factory=list)
    _average: float = 0.0
    _scale: float = 1.0

    def add(self, x: float, y: float) -> None:
        """Append a point; a step that is not newer than the last one is a repetition and dropped."""
        if self.xs and x <= self.xs[-1]:
            return
        self.xs.append(x)
        self.ys.append(y)
        if math.isfinite(y):
            self._average = SMOOTHING * self._average + (1 - SMOOTHING) * y
            self._scale *= SMOOTHING
        self.smooth.append(self._average / (1 - self._scale) if self._scale < 1 else y)
        if len(self.xs) > MAX_POINTS:
            self._thin()

    def _thin(self) -> None:
        last = len(self.xs) - 1
        kept = {0, last}
        for start in range(0, last, 4):
            four = range(start, min(start + 4, last + 1))
            kept |= {min(four, key=self.ys.__getitem__), max(four, key=self.ys.__getitem__)}
        order = sorted(kept)
        self.xs = [self.xs[i] for i in order]
        self.ys = [self.ys[i] for i in order]
        self.smooth = [self.smooth[i] for i in order]

    def place(self, x: float) -> int:
        """The place of the point that is nearest to a step; there has to be one."""
        after = bisect_left(self.xs, x)
        near = [place for place in (after - 1, after) if 0 <= place < len(self.xs)]
        return min(near, key=lambda place: abs(self.xs[place] - x))

    def __len__(self) -> int:
        return len(self.xs)

    @property
    def last(self) -> float | None:
        return self.ys[-1] if self.ys else None


@dataclass(frozen=True)
class Concern:
    """An entry of the dashboard's warnings panel.

    Args:
        kind: what it is about.
        adapter: whose it is; "" where it is the gate's.
        have: samples there are, for a cold start.
        floor: samples there should be, for a cold start.
        message: the sentence; `remedy` what to do about it.
    """

    kind: Literal["cold_start", "collapse", "gate_failed", "run_failed"]
    message: str
    remedy: str
    adapter: str = ""
    have: int = 0
    floor: int = 0


@dataclass
class Forming:
    """A question asked again while a run trains: the newest answer, and its probability over the epochs."""

    latest: ProbeAnswer
    probabilities: list[float] = field(default_factory=list)


@dataclass
class RunView:
    """Everything known of one run. `take` folds one event in."""

    run_id: int
    planned: RunPlanned | None = None
    last: TrainStep | None = None
    ended: RunEnded | None = None
    gate: GateTrained | None = None
    gate_last: GateStep | None = None
    failure: str = ""
    loss: Series = field(default_factory=Series)
    losses: dict[str, Series] = field(default_factory=dict)
    openness: dict[str, Series] = field(default_factory=dict)
    gate_entropy: Series = field(default_factory=Series)
    epochs: list[TrainEpoch] = field(default_factory=list)
    preferred: TrainEpoch | None = None
    maps: dict[tuple[str, str], OpennessMap] = field(default_factory=dict)
    log: list[Log] = field(default_factory=list)
    forming: dict[str, Forming] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return self.ended is None and not self.failure and (self.planned is not None or self.last is not None)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Adapters that appear anywhere in the run, in the order they were met."""
        names = dict.fromkeys(self.planned.adapters if self.planned else ())
        names.update(dict.fromkeys(self.losses))
        names.update(dict.fromkeys(adapter for adapter, _ in self.maps))
        return tuple(names)

    @property
    def modules(self) -> tuple[str, ...]:
        """Module types that have an openness map."""
        return tuple(dict.fromkeys(module for _, module in self.maps))

    @property
    def progress(self) -> float:
        """Share of the planned steps that is done, 0..1."""
        if self.last is None or not self.last.steps:
            return 1.0 if self.ended and self.ended.status == "done" else 0.0
        return min(1.0, self.last.step / self.last.steps)

    def take(self, event: Event) -> bool:
        """Fold `event` in; False if it is none of this run's."""
        if isinstance(event, Log):
            self.log.append(event)
            del self.log[:-MAX_LOG_LINES]
            return True
        if getattr(event, "run_id", None) != self.run_id:
            return False
        match event:
            case RunPlanned():
                self.planned = event
            case TrainStep():
                self._take_step(event)
            case OpennessMap():
                self.maps[event.adapter, event.module] = event
            case TrainEpoch(phase="preference"):
                self.preferred = event
            case TrainEpoch():
                if not self.epochs or event.epoch > self.epochs[-1].epoch:
                    self.epochs.append(event)
            case ProbesAsked():
                self._take_probes(event)
            case GateStep():
                self.gate_last = event
                self.gate_entropy.add(event.step, event.entropy)
            case GateTrained():
                self.gate = event
            case RunEnded():
                self.ended = event
            case _:
                return False
        return True

    def _take_step(self, event: TrainStep) -> None:
        self.last = event
        self.loss.add(event.step, event.loss)
        for name, value in event.losses.items():
            self.losses.setdefault(name, Series()).add(event.step, value)
        for name, value in event.openness.items():
            self.openness.setdefault(name, Series()).add(event.step, value)

    def _take_probes(self, event: ProbesAsked) -> None:
        for probe in event.probes:
            known = self.forming.setdefault(probe.question, Forming(probe))
            known.latest = probe
            known.probabilities.append(probe.probability)
            del known.probabilities[:-MAX_POINTS]

    def concerns(self) -> list[Concern]:
        """What the warnings panel has to say about this run."""
        found: list[Concern] = []
        if self.gate is not None:
            found.extend(_gate_concerns(self.gate))
        if self.ended is not None and self.ended.status == "failed":
            found.append(Concern("run_failed", f"The run failed: {self.ended.reason}", "See the log below."))
        elif self.failure:
            found.append(Concern("run_failed", self.failure, "See the log below."))
        return found


def _gate_concerns(gate: GateTrained) -> Iterable[Concern]:
    if gate.mode == "failed":
        remedy = (
            "The adapters that were trained stay; every adapter gets the same weight until the gate trains."
        )
        yield Concern("gate_failed", f"The gate could not be trained: {gate.reason}", remedy)
    for name, have in gate.sample_counts.items():
        if have < gate.floor:
            yield cold_start_concern(name, have, gate.floor)
    if fault := gate_health.fault_of(gate):
        yield Concern("collapse", _sentence(fault.sentence), _sentence(gate_health.remedy(fault)))


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def cold_start_concern(adapter: str, have: int, floor: int) -> Concern:
    """The warning for an adapter with `have` tagged sections where the gate wants `floor`."""
    message, remedy = cold_start_words(adapter, have, floor)
    return Concern("cold_start", message, remedy, adapter=adapter, have=have, floor=floor)


def downsampled(xs: Sequence[float], ys: Sequence[float], columns: int) -> tuple[list[float], list[float]]:
    """At most two points per column, its least and its greatest, in their order; both ends stay."""
    count = len(xs)
    if count <= 2 * columns or columns < 1:
        return list(xs), list(ys)
    kept: list[int] = [0]
    for column in range(columns):
        low, high = column * count // columns, (column + 1) * count // columns
        if low == high:
            continue
        least = min(range(low, high), key=ys.__getitem__)
        greatest = max(range(low, high), key=ys.__getitem__)
        kept.extend(sorted({least, greatest}))
    kept.append(count - 1)
    ordered = sorted(set(kept))
    return [xs[i] for i in ordered], [ys[i] for i in ordered]
