"""What one adapter is, apart from its weights: kind, rank, scale, targets and the shape of its rank gates."""

import math
from dataclasses import dataclass, field
from typing import Literal

from dlm_core.document.schema import AdapterConfig, DiselSettings
from dlm_core.errors import UsageError

Kind = Literal["disel", "lora"]


@dataclass(frozen=True)
class GateShape:
    """The rank gates of a `disel` adapter, named as in the reference's `DiselConfig`."""

    bias_init: float = -3.0
    weight_init: Literal["random", "zero"] = "random"
    normalize: bool = False
    bottleneck_dim: int | None = None

    def logit_scale(self, in_features: int) -> float:
        """The factor on the gate's logits, bias included: 1/sqrt(d_in) when normalised, else 1."""
        return 1.0 / math.sqrt(in_features) if self.normalize else 1.0


@dataclass(frozen=True)
class AdapterSpec:
    """One adapter of a document.

    `modules` are the full names of the base's linear layers it sits on, in model order. `gate` is None for
    `lora`.
    """

    name: str
    kind: Kind
    rank: int
    alpha: float
    modules: tuple[str, ...]
    dropout: float = 0.0
    gate: GateShape | None = field(default_factory=GateShape)

    def __post_init__(self) -> None:
        if (self.kind == "disel") != (self.gate is not None):
            raise UsageError(
                f"adapter `{self.name}`: kind {self.kind} and its gate shape contradict each other"
            )

    @property
    def scale(self) -> float:
        """alpha / r, the factor on the adapter's output (LoRA, arXiv 2106.09685, section 4.1)."""
        return self.alpha / self.rank


def spec_from_config(
    name: str, config: AdapterConfig, disel: DiselSettings, modules: tuple[str, ...], *, bias_init: float
) -> AdapterSpec:
    """The spec a document's frontmatter asks for; `bias_init` is what `disel.gate_bias_init: auto` resolved
    to.

    `dora` and `qlora` train as `lora` here; the document's diagnostics have said so.
    """
    gate = None
    if config.adapter == "disel":
        gate = GateShape(bias_init, disel.gate_weight_init, disel.gate_normalize, disel.gate_bottleneck_dim)
    return AdapterSpec(
        name=name,
        kind="disel" if gate else "lora",
        rank=config.lora_r,
        alpha=float(config.lora_alpha),
        modules=modules,
        dropout=config.lora_dropout,
        gate=gate,
    )
