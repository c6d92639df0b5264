"""DiselConfig: a LoraConfig with the gate's settings, stored in the same adapter_config.json."""

import math
import warnings
from dataclasses import dataclass, field, fields
from typing import Any, Self

from peft import LoraConfig
from torch import nn
from transformers.pytorch_utils import Conv1D

from dlm_core.disel.gates import Gate, LightRankGate, RankGate, WeightInit


@dataclass
class DiselConfig(LoraConfig):
    """LoRA settings and, with them, the gate's.

    Layers that PEFT builds from this config (`get_peft_model`, `add_adapter`) have gates from the start where
    the base layer is a plain `nn.Linear` or `Conv1D`. `enable_disel` adds them to all others: to quantised
    layers, and to layers that were built from a plain LoraConfig first. Calling it is right in any case.

    Args:
        disel_gate_bias_init: start of the gate's bias; the lower, the more firmly closed.
        disel_gate_normalize: scale logits, bias included, by 1/sqrt(d_in).
        disel_gate_weight_init: "random", or "zero" for gates that start without regard to the input.
        disel_gate_bottleneck_dim: None for `RankGate`, or k for `LightRankGate` through k dimensions.
        disel_gate_lr_multiplier: gate learning rate over base learning rate; read by `build_optimizer`.

    Raises:
        ValueError: a gate setting out of range, or another LoRA variant (DoRA and the like) asked for too.
    """

    disel_gate_bias_init: float = field(
        default=-3.0, metadata={"help": "Start of the gates' bias; sigmoid(-3) is about 0.05."}
    )
    disel_gate_normalize: bool = field(
        default=False, metadata={"help": "Scale gate logits, bias included, by 1/sqrt(d_in)."}
    )
    disel_gate_weight_init: WeightInit = field(
        default="random", metadata={"help": "Start of the gates' weight: 'random' or 'zero'."}
    )
    disel_gate_bottleneck_dim: int | None = field(
        default=None, metadata={"help": "Width of the gates' bottleneck; None for a full projection."}
    )
    disel_gate_lr_multiplier: float = field(
        default=5.0, metadata={"help": "Learning rate of the gates over that of the LoRA matrices."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        if not math.isfinite(self.disel_gate_bias_init):
            raise ValueError(f"disel_gate_bias_init is a finite number, not {self.disel_gate_bias_init!r}")
        if self.disel_gate_weight_init not in ("random", "zero"):
            raise ValueError(
                f"disel_gate_weight_init is 'random' or 'zero', not {self.disel_gate_weight_init!r}"
            )
        k = self.disel_gate_bottleneck_dim
        if k is not None and (not isinstance(k, int) or isinstance(k, bool) or k < 1):
            raise ValueError(f"disel_gate_bottleneck_dim is a positive integer or None, not {k!r}")
        if not (math.isfinite(self.disel_gate_lr_multiplier) and self.disel_gate_lr_multiplier > 0):
            raise ValueError(
                f"disel_gate_lr_multiplier is a positive number, not {self.disel_gate_lr_multiplier!r}"
            )
        others = [f.name for f in fields(self) if f.metadata.get("is_lora_variant") and getattr(self, f.name)]
        if others:
            raise ValueError(f"DISeL cannot be combined with another LoRA variant; unset {', '.join(others)}")

        from dlm_core.disel.layer import gated_linear  # the layer reads this config's type

        hook: Any = gated_linear  # PEFT types it as a class, and calls it as a function
        self._register_custom_module({nn.Linear: hook, Conv1D: hook})

    @classmethod
    def from_peft_type(cls, **kwargs: Any) -> Self:
        """Build the config from the keys of an adapter_config.json, keeping the gate's.

        PEFT picks the class by `peft_type`, which is "LORA" here, and would return a LoraConfig. Keys that
        this version does not know are named in a warning and left out, as PEFT does.

        Raises:
            ValueError: the folder holds another kind of adapter than LoRA.
        """
        peft_type = kwargs.get("peft_type", "LORA")
        if peft_type != "LORA":
            raise ValueError(f"DISeL adapters are of peft_type LORA, this one is {peft_type!r}")
        known = {f.name for f in fields(cls) if f.init}
        unknown = sorted(kwargs.keys() - known)
        if unknown:
            warnings.warn(f"keys of adapter_config.json left out as unknown: {unknown}", stacklevel=2)
        return cls(**{key: value for key, value in kwargs.items() if key in known})

    @classmethod
    def from_lora(cls, lora: LoraConfig, gate: "DiselConfig") -> Self:
        """The LoRA settings of `lora` with the gate settings of `gate`."""
        gate_settings = {name: getattr(gate, name) for name in GATE_FIELDS}
        return cls(**_lora_settings(lora), **gate_settings)

    def without_gates(self) -> LoraConfig:
        """The same LoRA settings as a plain LoraConfig."""
        return LoraConfig(**_lora_settings(self))

    def build_gate(self, in_features: int, rank: int) -> Gate:
        """A fresh gate as this config asks for it."""
        if self.disel_gate_bottleneck_dim is None:
            return RankGate(
                in_features,
                rank,
                bias_init=self.disel_gate_bias_init,
                normalize=self.disel_gate_normalize,
                weight_init=self.disel_gate_weight_init,
            )
        return LightRankGate(
            in_features,
            rank,
            bottleneck_dim=self.disel_gate_bottleneck_dim,
            bias_init=self.disel_gate_bias_init,
            normalize=self.disel_gate_normalize,
            weight_init=self.disel_gate_weight_init,
        )


GATE_FIELDS = tuple(f.name for f in fields(DiselConfig) if f.name.startswith("disel_gate_"))


def _lora_settings(config: LoraConfig) -> dict[str, Any]:
    return {f.name: getattr(config, f.name) for f in fields(LoraConfig) if f.init}
