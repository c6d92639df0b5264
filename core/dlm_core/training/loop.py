"""The training loop: epochs of steps by a policy, one event a step, and a state that can be resumed.

A policy is one kind of training: `sft.InFull`, `revision.Revision`, `preference.Preference`. It says what the
epochs take, at what rate, and when it is enough; `step.take_step` does the rest. Devices and gradients go
through `accelerate` alone, so `accelerate launch` spreads the same loop over processes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from dlm_core.adapters.weights import AdapterWeights
from dlm_core.events import TrainEpoch, TrainStep
from dlm_core.training.checkpoint import Phase
from dlm_core.training.processes import agree
from dlm_core.training.progress import Learned, Position
from dlm_core.training.recipe import Recipe
from dlm_core.training.step import Learner, Step, Tools, take_step

EVENT_INTERVAL_S = 0.1

Work = TypeVar("Work")


class Policy(Protocol[Work]):
    """One kind of training. `Work` is what its learner is given as a batch.

    `learned` is what the last epoch came to; `total_steps` counts those so far and those expected to follow;
    `keeps_best` says that the adapters may end as they were after an earlier epoch.
    """

    phase: Phase
    epochs: int
    recipe: Recipe
    optimiser: torch.optim.Optimizer
    progress: Any
    learned: Learned
    keeps_best: bool

    @property
    def adapters(self) -> Sequence[AdapterWeights]: ...
    @property
    def learner(self) -> Learner[Work]: ...
    @property
    def finished(self) -> str:
        """Why the training ends before its last epoch; empty while it goes on."""
        ...

    @property
    def total_steps(self) -> int: ...

    def begin(self) -> None:
        """Called once before the first step, also of a resumed training."""
        ...

    def begin_epoch(self) -> list[Work]:
        """The batches of the epoch, the same in every process; of each batch a process learns its part."""
        ...

    def rate_factor(self) -> float:
        """The factor on the peak rates of the next step."""
        ...

    def end_epoch(self, at_epoch: Callable[[int], Mapping[str, float]]) -> TrainEpoch:
        """Count the epoch. `at_epoch` is called with its number, from 1, and measures forgetting."""
        ...

    def end(self) -> None:
        """Called once after the last epoch, not where the training was stopped."""
        ...

    def extra_tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps beside adapters, optimiser and progress."""
        ...

    def take_extra_tensors(self, tensors: Mapping[str, Tensor]) -> None: ...


class Loop:
    """Trains by a policy. At most ten steps a second are told, the last of an epoch always."""

    def __init__(self, tools: Tools, policy: Policy[Any]) -> None:
        self.tools, self.policy = tools, policy
        self._last_event = -1e9

    def run(
        self,
        stop: Callable[[], bool],
        between_steps: Callable[[], None],
        at_epoch: Callable[[int], Mapping[str, float]] = lambda epoch: {},
        look: Callable[[bool], None] = lambda last: None,
    ) -> str:
        """Train until the policy has enough, its last epoch, or `stop`. Returns why: what the policy says,
        `epochs` or `stopped`.

        `between_steps` may use the bank (it serves requests); the plan is set again after it. `at_epoch`
        measures forgetting; its figures (perplexity, perplexity_base, kl) go into the epoch's event. `look`
        is called before the first step and after every epoch, and told whether that was the last.
        """
        policy, progress = self.policy, self.policy.progress
        policy.begin()
        look(False)
        while progress.epoch < policy.epochs and not policy.finished:
            batches = policy.begin_epoch()
            while progress.batch < len(batches):
                if agree(self.tools.accelerator, stop()):
                    return "stopped"
                group = batches[progress.batch : progress.batch + policy.recipe.grad_accum]
                self._step(group, progress, last=progress.batch + len(group) >= len(batches))
                between_steps()
            self.tools.emit(policy.end_epoch(at_epoch))
            look(bool(policy.finished) or progress.epoch >= policy.epochs)
        policy.end()
        return policy.finished or "epochs"

    def _step(self, group: Sequence[Any], progress: Position, *, last: bool) -> None:
        policy, clock, steps = self.policy, self.tools.clock, self.policy.total_steps
        begun = clock()
        step = take_step(
            policy.learner,
            policy.optimiser,
            self.tools.accelerator,
            group,
            number=progress.step + 1,
            factor=policy.rate_factor(),
            clip_norm=policy.recipe.clip_norm,
            watch=last,
        )
        seconds = max(clock() - begun, 1e-9)
        progress.step += 1
        progress.batch += len(group)
        progress.elapsed_s += seconds
        if last or clock() - self._last_event >= EVENT_INTERVAL_S:
            self._last_event = clock()
            self.tools.emit(self._event(step, progress, steps, seconds))

    def _event(self, step: Step, progress: Position, steps: int, seconds: float) -> TrainStep:
        losses, elapsed = step.losses, progress.elapsed_s
        return TrainStep(
            run_id=self.tools.run_id,
            phase="preference" if self.policy.phase == "preference" else "sft",
            step=progress.step,
            steps=steps,
            epoch=progress.epoch + 1,
            epochs=self.policy.epochs,
            loss=losses.loss,
            losses=dict(losses.losses),
            learning_rate=step.rate,
            grad_norm=step.norm,
            tokens_per_s=losses.tokens / seconds,
            elapsed_s=elapsed,
            eta_s=elapsed / progress.step * (steps - progress.step),
            padding_share=losses.padding_share,
            rehearsal_kl=losses.kl,
            openness=dict(losses.openness),
        )
