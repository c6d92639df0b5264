"""Comparing methods on one document: each is trained on a fresh base, on the same rows, at several rates, and
measured by what it learned and what the base kept.

One model is in memory at a time. Every trial is written down as it ends, so that a comparison that was
interrupted goes on where it stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dlm_core.bases.placement import choose_placement
from dlm_core.bases.registry import parse_base_name
from dlm_core.bases.sources import find_base
from dlm_core.document.model import Document
from dlm_core.engine_protocol import CompareOptions
from dlm_core.errors import StoreError, TrainingError, UsageError
from dlm_core.evaluation import verdict
from dlm_core.evaluation.laboratory import BaseFigures, Laboratory
from dlm_core.evaluation.methods import RATES
from dlm_core.evaluation.probes import all_probes
from dlm_core.events import Event, Log
from dlm_core.reports import Comparison, Method, Trial
from dlm_core.safetext import visible_line
from dlm_core.store import atomic
from dlm_core.store.store import Store


def compare(
    document: Document,
    home: Path,
    device: str | None,
    options: CompareOptions,
    emit: Callable[[Event], None],
    stop: Callable[[], bool],
) -> Comparison:
    """Train and measure every method; keep the report in the document's store. Nothing else there changes.

    Trials that the store's report has under the same conditions are taken from there, unless
    `options.fresh`.

    Raises:
        DlmError: nothing to learn, a bad probe file, a base that is not to be had.
        Stopped: `stop` became true; the trials done so far are kept.
    """
    unknown = [m for m in options.methods if m not in RATES]
    if unknown or not options.methods:
        raise UsageError(
            f"there is no method `{visible_line(unknown[0])}`" if unknown else "no method is named",
            f"methods: {', '.join(RATES)}",
        )
    probes = all_probes(document, options.probes)
    reference = parse_base_name(document.frontmatter.base_model, document.path.parent)
    folder = find_base(reference, home=home, report=emit)
    placement = choose_placement(document.frontmatter.training.precision, device)
    laboratory = Laboratory(document, folder, placement, probes, options.epochs, emit, stop)
    store = Store.open(document.dlm_id, home, create=True)
    return _Search(laboratory, Report(store, laboratory, fresh=options.fresh), options).run()


class Report:
    """The comparison's report in the document's store, with the trials that may be taken from it."""

    def __init__(self, store: Store, laboratory: Laboratory, *, fresh: bool) -> None:
        self._store, self._laboratory = store, laboratory
        known = None if fresh else self._earlier()
        self.trials: list[Trial] = list(known.trials) if known else []
        if known is not None:
            self.base = BaseFigures(known.neutral_tokens, known.perplexity_base, known.learned_base)
        else:
            self.base = laboratory.measure_base()
            self.write(self.comparison({}))

    def _earlier(self) -> Comparison | None:
        """The report there is, if it was made under the same conditions."""
        try:
            content = atomic.read_bytes(self._store.paths.comparison)
            known = msgspec.json.decode(content, type=Comparison)
        except (StoreError, msgspec.MsgspecError, UnicodeDecodeError):
            return None  # none yet, or of another form; it will be replaced
        return known if known.key == self._laboratory.key else None

    def find(self, method: Method, rate: float, rehearsal: bool) -> Trial | None:
        """The trial of these three, if it was made before."""
        for trial in self.trials:
            if (trial.method, trial.rehearsal) == (method, rehearsal) and _same(trial.learning_rate, rate):
                return trial
        return None

    def add(self, trial: Trial) -> None:
        """Keep a trial, in the store as well."""
        self.trials.append(trial)
        self.write(self.comparison({}))

    def comparison(self, chosen: dict[tuple[Method, bool], float]) -> Comparison:
        """Everything known, with the rates that stand for their methods marked."""
        lab = self._laboratory
        trials = tuple(
            msgspec.structs.replace(
                t, chosen=_same(chosen.get((t.method, t.rehearsal), -1.0), t.learning_rate)
            )
            for t in self.trials
        )
        found = Comparison(
            document=lab.document.path.name,
            base=lab.base_name,
            key=lab.key,
            device=lab.device,
            settings=lab.settings(),
            rows=len(lab.rows),
            tokens=sum(len(r.ids) for r in lab.rows),
            questions=len(lab.questions),
            probes=len(lab.probes),
            neutral_tokens=self.base.neutral_tokens,
            perplexity_base=self.base.perplexity,
            learned_base=self.base.learned,
            trials=trials,
        )
        return msgspec.structs.replace(found, notes=verdict.notes(found))

    def write(self, comparison: Comparison) -> None:
        """Put the report into the store; where that fails, say so and go on."""
        try:
            atomic.write_json(self._store.paths.comparison, comparison)
        except StoreError as error:
            self._laboratory.emit(
                Log(level="warning", message=f"the report is not kept: {error.message}", hint=error.hint)
            )


@dataclass(frozen=True)
class _Search:
    """Goes through methods and rates, and decides which rate stands for each method."""

    laboratory: Laboratory
    report: Report
    options: CompareOptions

    def run(self) -> Comparison:
        settings = {"off": (False,), "on": (True,), "both": (False, True)}[self.options.rehearsal]
        chosen: dict[tuple[Method, bool], float] = {}
        for number, method in enumerate(self.options.methods, 1):
            place = f"{number} of {len(self.options.methods)}"
            best = self._best_rate(method, settings[0], place)
            chosen[method, settings[0]] = best
            for rehearsal in settings[1:]:
                self._trial(method, best, rehearsal, place)
                chosen[method, rehearsal] = best
        found = self.report.comparison(chosen)
        self.report.write(found)
        return found

    def _best_rate(self, method: Method, rehearsal: bool, place: str) -> float:
        """The rate at which a method is compared; see `verdict.best`."""
        given = self.options.rates.get(method)
        if given is not None:
            return self._trial(method, given, rehearsal, place).learning_rate
        tried: dict[float, Trial] = {}
        for rate in RATES[method]:
            self._try(tried, method, rate, rehearsal, place)
        if not tried:
            raise TrainingError(
                f"{method} trained at none of the rates {', '.join(f'{r:g}' for r in RATES[method])}",
                f"name one with `--rate {method}=RATE`, or leave the method out",
            )
        best = verdict.best(list(tried.values())).learning_rate
        beyond = {min(tried): min(tried) / 2, max(tried): max(tried) * 2}.get(best)
        if beyond is not None:
            self._try(tried, method, beyond, rehearsal, place)
        return verdict.best(list(tried.values())).learning_rate

    def _try(
        self, tried: dict[float, Trial], method: Method, rate: float, rehearsal: bool, place: str
    ) -> None:
        """Add a trial to those of a method, unless its loss runs away at that rate."""
        try:
            tried[rate] = self._trial(method, rate, rehearsal, place)
        except TrainingError as error:
            message = f"{method} at {rate:g} is left out: {error.message}"
            self.laboratory.emit(Log(level="warning", message=message, code="rate_left_out"))

    def _trial(self, method: Method, rate: float, rehearsal: bool, place: str) -> Trial:
        known = self.report.find(method, rate, rehearsal)
        if known is not None:
            return known
        trial = self.laboratory.trial(method, rate, rehearsal, place)
        self.report.add(trial)
        return trial


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))
