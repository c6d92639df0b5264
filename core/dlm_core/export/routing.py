"""From the routing a person asked for to the one routing that an export can hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dlm_core.adapters.bank import NEGLIGIBLE
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.errors import ExportError
from dlm_core.inference.chat import ServingSet
from dlm_core.requests import RoutingChoice
from dlm_core.routing.modes import decide

GateMode = Literal["static_mean", "pin", "mix", "off", "uniform"]


@dataclass(frozen=True)
class StaticRouting:
    """One weight per adapter, for every prompt alike.

    `static_mean` stands for a trained gate by its mean weights over the training prompts; the other modes are
    constant in the engine too (pin, mix, off; uniform: one adapter, no gate, or one in cold start).
    """

    gate_mode: GateMode
    weights: Mapping[str, float]
    reason: str

    def active(self, serving: ServingSet) -> tuple[AdapterWeights, ...]:
        """The adapters that carry weight, in the document's order."""
        return tuple(a for a in serving.adapters if self.weights.get(a.spec.name, 0.0) > NEGLIGIBLE)


def resolve(choice: RoutingChoice, serving: ServingSet) -> StaticRouting:
    """The routing of the export.

    Raises:
        UsageError: an adapter that is not there, or a mix that sums to nothing.
        ExportError: no adapter is trained, so there is nothing to take elsewhere.
    """
    if not serving.adapters:
        raise ExportError("no adapter of this document is trained yet", "`dlm train` it first")
    meta = serving.gate.meta if serving.gate else None

    def mean() -> Mapping[str, float]:
        assert meta is not None
        return meta.mean_weights

    routing = decide(choice, serving.names, meta, mean)
    if routing.mode == "base":
        raise ExportError("with every adapter off there is nothing to export", "choose adapters")
    if routing.mode == "auto":
        reason = "the adapter gate's mean over the training prompts"
        return StaticRouting("static_mean", routing.weights, reason)
    return StaticRouting(routing.mode, routing.weights, routing.reason)
