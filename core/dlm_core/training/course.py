"""The phases of one run, one after the other: taken up where an earlier run was stopped, kept on disk now and
then, measured between epochs.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlm_core.adapters.weights import AdapterWeights
from dlm_core.events import Log
from dlm_core.training import checkpoint
from dlm_core.training.checkpoint import Phase
from dlm_core.training.loop import Loop, Policy
from dlm_core.training.outcome import Preferred
from dlm_core.training.phases import measure
from dlm_core.training.preference import Preference
from dlm_core.training.probing import Probing
from dlm_core.training.progress import Learned
from dlm_core.training.recipe import Recipe
from dlm_core.training.records import merged
from dlm_core.training.step import Tools
from dlm_core.training.workshop import Workshop

METER_INTERVAL_S = 20.0
CHECKPOINT_INTERVAL_S = 60.0
_SAID: dict[Phase, str] = {
    "sft": "in full",
    "revision": "of the revision",
    "preference": "of the preference phase",
}


@dataclass(frozen=True)
class Trained:
    """How the phases of a run ended: what was learned, how far from the base that is, and why they ended.

    `stopped` says that it was asked to stop; `kept` is its checkpoint then, None in a process that does not
    write. `finished` is why the training of answers ended, empty where none were trained; `preferred` is what
    came of pairs.
    """

    learned: Learned
    retention: Mapping[str, float]
    finished: str = ""
    preferred: Preferred | None = None
    stopped: bool = False
    kept: Path | None = None


class Course:
    """Trains adapters phase by phase.

    Args:
        adapters: all that train in the run.
        key: what its checkpoints belong to.
        tokens: those that carry loss, per section.
        system: the document's system prompt, under which the forgetting meter asks.
        probing: asks a few questions between epochs; None where nobody does.
    """

    def __init__(
        self,
        shop: Workshop,
        recipe: Recipe,
        tools: Tools,
        adapters: Sequence[AdapterWeights],
        key: str,
        tokens: Mapping[str, int],
        system: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        probing: Probing | None = None,
    ) -> None:
        self._probing = probing
        self._shop, self._recipe, self._tools, self._clock = shop, recipe, tools, clock
        self._adapters, self._key, self._tokens, self._system = adapters, key, tokens, system
        self._learned = Learned()
        self._measured: tuple[int, Mapping[str, float]] = (-1, {})  # after which step of full training

    def run(
        self,
        phases: Mapping[Phase, Callable[[], Policy[Any]]],
        resume: Path | None,
        begun: Callable[[int], None],
        stop: Callable[[], bool],
        between_steps: Callable[[], None],
    ) -> Trained:
        """Go through the phases, from the one on that the checkpoint `resume` was in.

        Args:
            begun: is told how many steps are expected in full, once before the first.
        """
        at = None if resume is None else checkpoint.standing(resume)
        names = list(phases)
        names = names[names.index(at.phase) if at is not None and at.phase in names else 0 :]
        if not names:
            begun(0)
        finished, preferred, retention = "", None, dict[str, float]()
        for phase in names:
            policy = phases[phase]()
            if phase == names[0]:
                begun(policy.total_steps if phase == "sft" else 0)
            if at is not None and resume is not None and phase == at.phase:
                self._take_up(policy, resume, at.learned)
            before = self._learned
            at_epoch = self._at_epoch(policy, before)
            if self._probing is None:
                ended = Loop(self._tools, policy).run(stop, between_steps, at_epoch)
            else:
                look = self._probing.look(policy)
                ended = Loop(self._tools, policy).run(stop, between_steps, at_epoch, look)
            self._learned = self._with(before, policy)
            if ended == "stopped":
                return Trained(self._learned, {}, stopped=True, kept=self._keep(policy, self._learned))
            if isinstance(policy, Preference):
                preferred = policy.preferred
                if (unmoved := preferred.warning()) is not None:
                    self._tools.emit(unmoved)
            else:
                finished = ended
            retention = self._last_figures(policy) if phase == "sft" else {}
        self._shop.bank.use(None)
        if self._tools.accelerator.is_main_process and not retention:
            retention = dict(measure(self._shop, self._adapters, self._recipe.seed, self._system))
        return Trained(self._learned, retention, finished, preferred)

    def _take_up(self, policy: Policy[Any], folder: Path, learned: Learned) -> None:
        checkpoint.restore(policy, self._adapters, folder)
        step, where = policy.progress.step, _SAID[policy.phase]
        self._tools.emit(Log(level="info", message=f"resumed at step {step}, {where}", code="resumed"))
        self._learned = policy.learned = learned

    def _with(self, before: Learned, policy: Policy[Any]) -> Learned:
        """What the phases before and this one have come to."""
        return merged((before, policy.learned), self._tokens)

    def _last_figures(self, policy: Policy[Any]) -> dict[str, float]:
        """What the last epoch measured, if that was of the weights that are kept."""
        step, figures = self._measured
        return dict(figures) if step == policy.progress.step and not policy.keeps_best else {}

    def _at_epoch(self, policy: Policy[Any], before: Learned) -> Callable[[int], Mapping[str, float]]:
        """What happens between epochs: now and then a checkpoint, and in a training in full a measurement."""
        saved_at = measured_at = self._clock()
        if policy.phase == "sft" and self._tools.accelerator.is_main_process:
            self._shop.meter()  # the base's part, before the clock runs
            self._shop.chat_meter(self._system)

        def at_epoch(epoch: int) -> Mapping[str, float]:
            nonlocal saved_at, measured_at
            now = self._clock()
            if now - saved_at >= CHECKPOINT_INTERVAL_S:
                saved_at = now
                self._keep(policy, self._with(before, policy))
            if policy.phase != "sft" or (now - measured_at < METER_INTERVAL_S and epoch < policy.epochs):
                return {}
            measured_at = now
            if not self._tools.accelerator.is_main_process:
                return {}  # the first process measures and speaks
            figures = measure(self._shop, policy.adapters, epoch, self._system)
            self._measured = (policy.progress.step, figures)
            return figures

        return at_epoch

    def _keep(self, policy: Policy[Any], learned: Learned) -> Path | None:
        """Save a checkpoint; None in a process that does not write."""
        if not self._tools.accelerator.is_main_process:
            return None
        return self._shop.store.checkpoints.save(
            lambda folder: checkpoint.save(policy, policy.phase, self._adapters, learned, folder), self._key
        )
