"""Whether a trained adapter gate is sound, and what to do where it is not: the one judgement of engine,
`dlm show`, REPL and dashboard. No torch.

The gate's loss is cross-entropy − `entropy_lambda` · entropy: a higher `entropy_lambda` spreads the weights.
"""

import math
from dataclasses import dataclass
from typing import Literal

from dlm_core.events import GateTrained

CODE = "gate_collapse"
"""The code of the warning about it, whatever the fault."""
ONE_ADAPTER_WEIGHT = 0.9
"""One with this mean weight takes nearly everything, if that is `EXCESS` above its share of the questions."""
EXCESS = 0.2
LEVEL = 0.98
"""From this share of ln N on the mean entropy is that of equal weights."""


@dataclass(frozen=True)
class Fault:
    """A trained gate that should not be trusted, in a sentence with its figures.

    `one_adapter`: one takes nearly everything though others have questions. `chance`: the most frequent label
    would do as well. `level`: nearly equal weights whatever the prompt.
    """

    kind: Literal["one_adapter", "chance", "level"]
    sentence: str


def fault_of(gate: GateTrained) -> Fault | None:
    """The gate's fault; None where it is sound, uniform by a cold start, or was not trained."""
    if gate.mode != "trained" or len(gate.mean_weights) < 2:
        return None
    questions = gate.question_counts or gate.sample_counts
    total = sum(questions.values()) or 1
    top, weight = max(gate.mean_weights.items(), key=lambda item: item[1])
    share = questions.get(top, 0) / total
    if weight >= max(ONE_ADAPTER_WEIGHT, share + EXCESS):
        return Fault(
            "one_adapter",
            f"the adapter gate has collapsed onto `{top}`, which takes {weight:.0%} of all weight but has "
            f"{share:.0%} of the questions",
        )
    majority = max(questions.values(), default=0) / total
    if gate.train_accuracy is not None and gate.train_accuracy <= majority + 1e-9 and majority < 1:
        return Fault(
            "chance",
            "the adapter gate cannot tell the adapters apart: it names the right one for "
            f"{gate.train_accuracy:.0%} of its own questions, no better than chance",
        )
    if gate.entropy is not None and gate.entropy > LEVEL * math.log(len(gate.mean_weights)):
        return Fault(
            "level", "the adapter gate gives every adapter nearly the same weight, whatever the prompt"
        )
    return None


def remedy(fault: Fault) -> str:
    """What the user can do about it, as a clause."""
    match fault.kind:
        case "one_adapter":
            return (
                "raise `training.gate.entropy_lambda`, which keeps weights spread, or write more questions "
                "for the other adapters"
            )
        case "chance":
            return "set the adapters' topics further apart, and write more questions for each"
        case "level":
            return (
                "set the adapters' topics further apart, and write more questions for each; an "
                "`training.gate.entropy_lambda` far above its default levels weights as well"
            )
