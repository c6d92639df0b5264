"""From what the person chose and what the gate says to the weights of one reply, with the reason in words."""

import math
from collections.abc import Callable, Mapping, Sequence

from dlm_core.errors import UsageError
from dlm_core.events import Routing
from dlm_core.requests import RoutingChoice
from dlm_core.routing.gate import GateMeta
from dlm_core.safetext import visible

_PLACES = 5
"""Of a weight: embeddings that reuse a prefix differ from fresh ones by rounding, and replies must not."""


def cold_start_reason(meta: GateMeta) -> str:
    """Why a uniform gate is uniform, in a few words: `cold start, tone has 2 of 4 sections`."""
    cold = [(n, c) for n, c in meta.sample_counts.items() if c < meta.floor]
    if not cold:
        return meta.reason
    return "cold start, " + ", ".join(f"{name} has {count} of {meta.floor} sections" for name, count in cold)


def decide(
    choice: RoutingChoice,
    adapters: Sequence[str],
    meta: GateMeta | None,
    gate_weights: Callable[[], Mapping[str, float]],
) -> Routing:
    """The routing of one reply.

    Args:
        adapters: the committed adapters, in declared order; empty for a document that was never trained.
        meta: the committed gate's figures, None where the document has none.
        gate_weights: asks the gate; called only in mode auto with a trained gate.

    Raises:
        UsageError: an adapter that is not there, or a mix that sums to nothing.
    """
    if choice.mode == "base":
        return Routing(mode="base", weights=dict.fromkeys(adapters, 0.0), reason="adapters off")
    wanted = [choice.adapter] if choice.mode == "pin" and choice.adapter else list(choice.mix)
    for name in wanted if choice.mode in ("pin", "mix") else ():
        if name not in adapters:
            known = ", ".join(adapters) if adapters else "none is trained yet"
            raise UsageError(f"there is no adapter `{visible(str(name))}`", f"adapters: {known}")
    if not adapters:
        return Routing(mode="base", weights={}, reason="not trained yet: the base answers")
    uniform = dict.fromkeys(adapters, 1 / len(adapters))
    if choice.mode == "pin":
        if choice.adapter is None:
            raise UsageError("pin needs an adapter", f"adapters: {', '.join(adapters)}")
        weights = {name: float(name == choice.adapter) for name in adapters}
        return Routing(mode="pin", weights=weights, reason=f"pinned to {choice.adapter}")
    if choice.mode == "mix":
        total = sum(choice.mix.values())
        if not 0 < total < math.inf or any(w < 0 for w in choice.mix.values()):
            raise UsageError(
                "a mix needs weights of 0 or more that do not sum to 0",
                "write for example tone:0.7,facts:0.3",
            )
        return Routing(
            mode="mix",
            weights={name: choice.mix.get(name, 0.0) / total for name in adapters},
            reason="weights by hand",
        )
    if choice.mode == "off":
        return Routing(mode="off", weights=uniform, reason="gate off: every adapter the same")
    if len(adapters) == 1:
        return Routing(mode="uniform", weights=uniform, reason="only one adapter")
    if meta is None:
        return Routing(
            mode="uniform", weights=uniform, reason="the document has no gate (training.gate.enabled)"
        )
    if meta.mode == "uniform":
        return Routing(mode="uniform", weights=uniform, reason=cold_start_reason(meta))
    chosen = gate_weights()
    weights = {name: round(chosen[name], _PLACES) for name in adapters}
    return Routing(mode="auto", weights=weights, reason="the gate decided")
