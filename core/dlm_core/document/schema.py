"""The frontmatter's keys, types, bounds and defaults. One struct per YAML mapping."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field, structs

Auto = Literal["auto"]
AdapterKind = Literal["disel", "lora", "dora", "qlora"]
PositiveInt = Annotated[int, Meta(ge=1)]
Rate = Annotated[float, Meta(gt=0, le=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class AdapterConfig(Struct, frozen=True, kw_only=True):
    """The keys that each entry of `training.adapters` may set; unset ones take the defaults."""

    adapter: AdapterKind = "disel"
    lora_r: Annotated[int, Meta(ge=1, le=512)] = 8
    lora_alpha: Annotated[float, Meta(gt=0, le=4096)] = 16
    lora_dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    target_modules: Auto | tuple[str, ...] = "auto"
    learning_rate: Auto | Rate = "auto"


class GateConfig(Struct, frozen=True, kw_only=True):
    """`training.gate`: the learned adapter gate."""

    enabled: bool = False
    hidden_proj_dim: Annotated[int, Meta(ge=1, le=4096)] = 64
    steps: Annotated[int, Meta(ge=1, le=100_000)] = 200
    lr: Rate = 3e-4
    cold_start_floor: Annotated[int, Meta(ge=1, le=10_000)] = 4
    entropy_lambda: Annotated[float, Meta(ge=0, le=10)] = 0.01


class DiselSettings(Struct, frozen=True, kw_only=True):
    """`training.disel`: the rank gates. `auto` takes the recipe's value."""

    gate_bias_init: Auto | float = "auto"
    gate_lr_multiplier: Auto | Annotated[float, Meta(gt=0, le=1000)] = "auto"
    gate_weight_init: Literal["random", "zero"] = "random"
    gate_normalize: bool = False
    gate_bottleneck_dim: PositiveInt | None = None


class RehearsalConfig(Struct, frozen=True, kw_only=True):
    """`training.rehearsal`: neutral text on which the adapted model is held to the base (KL)."""

    enabled: bool = True
    weight: Auto | Annotated[float, Meta(ge=0, le=100)] = "auto"
    every: Auto | PositiveInt = "auto"
    texts: tuple[str, ...] = ()


class PreferenceHyperparams(Struct, frozen=True, kw_only=True):
    """`training.preference.hyperparams`."""

    beta: Annotated[float, Meta(gt=0, le=100)] = 0.1
    alpha: Annotated[float, Meta(ge=0, le=100)] = 0.1
    learning_rate: Auto | Rate = "auto"
    num_epochs: Auto | PositiveInt = "auto"


class PreferenceConfig(Struct, frozen=True, kw_only=True):
    """`training.preference`: preference sections, trained after the answers."""

    enabled: bool = True
    method: Literal["dpo", "orpo"] = "dpo"
    hyperparams: PreferenceHyperparams = PreferenceHyperparams()
    loss_type: Literal["sigmoid", "hinge", "ipo"] = "sigmoid"
    reference: Literal["base", "adapters", "pre_adapter"] = "adapters"


class SourceConfig(Struct, frozen=True, kw_only=True):
    """One entry of `training.sources`: files that are read in as prose."""

    path: str
    include: tuple[str, ...] = ("**/*",)
    exclude: tuple[str, ...] = ()
    max_bytes_per_file: PositiveInt = 262_144
    max_files: PositiveInt = 1_000


class TrainingConfig(Struct, frozen=True, kw_only=True):
    """`training`: the recipe. Flat adapter keys describe one adapter, `default`; `adapters` replaces them."""

    adapter: AdapterKind = "disel"
    lora_r: Annotated[int, Meta(ge=1, le=512)] = 8
    lora_alpha: Annotated[float, Meta(gt=0, le=4096)] = 16
    lora_dropout: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    target_modules: Auto | tuple[str, ...] = "auto"
    sequence_len: Annotated[int, Meta(ge=16, le=131_072)] = 2048
    micro_batch_size: Auto | PositiveInt = "auto"
    grad_accum: Auto | PositiveInt = "auto"
    learning_rate: Auto | Rate = "auto"
    num_epochs: Auto | Annotated[int, Meta(ge=1, le=10_000)] = "auto"
    optimizer: Literal["adamw_torch"] = "adamw_torch"
    lr_scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: Fraction = 0.1
    weight_decay: Annotated[float, Meta(ge=0, le=1)] = 0.0
    validation_share: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 42
    adapters: dict[str, AdapterConfig] = {}
    gate: GateConfig = GateConfig()
    disel: DiselSettings = DiselSettings()
    rehearsal: RehearsalConfig = RehearsalConfig()
    preference: PreferenceConfig = PreferenceConfig()
    sources: tuple[SourceConfig, ...] = ()
    sources_policy: Literal["permissive", "strict"] = "permissive"
    cpt: dict[str, Any] = {}
    cache: dict[str, Any] = {}
    audio: dict[str, Any] = {}

    def adapter_configs(self) -> Mapping[str, AdapterConfig]:
        """The adapters by name in declared order; the flat form is one adapter called `default`."""
        if self.adapters:
            return dict(self.adapters)
        shared = {f.name: getattr(self, f.name) for f in structs.fields(AdapterConfig)}
        return {"default": AdapterConfig(**shared)}


class ExportConfig(Struct, frozen=True, kw_only=True):
    """`export`: defaults for exported models."""

    default_quant: str = "q4_0"
    default_temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    default_top_p: Annotated[float, Meta(gt=0, le=1)] | None = None


class Frontmatter(Struct, frozen=True, kw_only=True):
    """The whole frontmatter."""

    dlm_id: str
    base_model: str
    dlm_version: int = 15
    system_prompt: str | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    export: ExportConfig = ExportConfig()
