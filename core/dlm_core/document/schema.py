"""The frontmatter's keys, types, bounds and defaults: one struct per YAML mapping.

The descriptions are for people: `dlm_core.document.keys` lists them for editors and documentation.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field, structs

Auto = Literal["auto"]
AdapterKind = Literal["disel", "lora", "dora", "qlora"]
PositiveInt = Annotated[int, Meta(ge=1)]
Rate = Annotated[float, Meta(gt=0, le=1)]

_Kind = Annotated[
    AdapterKind,
    Meta(description="`disel` has a gate on every rank, `lora` has none; others train as `lora`."),
]
_Rank = Annotated[
    int, Meta(ge=1, le=512, description="Rank-one components per layer: the adapter's capacity.")
]
_Alpha = Annotated[float, Meta(gt=0, le=4096, description="Scale: the adapter counts alpha/rank times.")]
_Dropout = Annotated[float, Meta(ge=0, lt=1, description="Share of inputs dropped while training.")]
_Targets = Annotated[
    Auto | tuple[str, ...],
    Meta(
        description="Layers that get the adapter, by name, or `all-linear`; "
        "`auto`: feed-forward, in the upper half."
    ),
]
_LearningRate = Annotated[Auto | Rate, Meta(description="Step size of the adapter's matrices.")]
_Scope = Annotated[
    Literal["auto", "document", "any"],
    Meta(
        description="What the adapter may answer: `document`, what it was taught; `any`, everything (tone, "
        "style); `auto`: `any` for an adapter without questions of its own."
    ),
]


class AdapterConfig(Struct, frozen=True, kw_only=True):
    """The keys that each entry of `training.adapters` may set; unset ones take the defaults."""

    adapter: _Kind = "disel"
    lora_r: _Rank = 8
    lora_alpha: _Alpha = 16
    lora_dropout: _Dropout = 0.0
    target_modules: _Targets = "auto"
    learning_rate: _LearningRate = "auto"
    scope: _Scope = "auto"


class GateConfig(Struct, frozen=True, kw_only=True):
    """`training.gate`: the learned adapter gate."""

    enabled: Annotated[bool, Meta(description="Train a gate that weighs the adapters by the prompt.")] = False
    hidden_proj_dim: Annotated[int, Meta(ge=1, le=4096, description="Width of the gate's hidden layer.")] = 64
    steps: Annotated[int, Meta(ge=1, le=100_000, description="Training steps of the gate.")] = 200
    lr: Annotated[float, Meta(gt=0, le=1, description="Step size of the gate.")] = 3e-4
    cold_start_floor: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Tagged sections each adapter needs before the gate is trained."),
    ] = 4
    entropy_lambda: Annotated[
        float,
        Meta(ge=0, le=10, description="Reward for spread weights; raise it if one adapter takes everything."),
    ] = 0.01
    embedding: Annotated[
        Literal["auto", "base", "base-mean", "encoder", "both"],
        Meta(
            description="What the gate reads of a prompt: the base's last state, the mean of its states, the "
            "sentence encoder's vector, or state and vector; `auto`: what routes best with sections left out."
        ),
    ] = "auto"


class DiselSettings(Struct, frozen=True, kw_only=True):
    """`training.disel`: the rank gates. `auto` takes the recipe's value."""

    gate_bias_init: Annotated[
        Auto | float, Meta(description="Bias the rank gates begin with; below 0 they begin nearly closed.")
    ] = "auto"
    gate_lr_multiplier: Annotated[
        Auto | Annotated[float, Meta(gt=0, le=1000)],
        Meta(description="Step size of the rank gates, as a multiple of the matrices'."),
    ] = "auto"
    gate_weight_init: Annotated[
        Literal["random", "zero"], Meta(description="How the rank gates' weights begin.")
    ] = "random"
    gate_normalize: Annotated[
        bool, Meta(description="Divide the gates' logits by the root of the input's width.")
    ] = False
    gate_bottleneck_dim: Annotated[
        PositiveInt | None, Meta(description="Width of a bottleneck inside each rank gate; none by default.")
    ] = None


class RehearsalConfig(Struct, frozen=True, kw_only=True):
    """`training.rehearsal`: neutral text on which the adapted model is held to the base (KL)."""

    enabled: Annotated[
        bool, Meta(description="Rehearse the base on neutral text, so that it forgets less.")
    ] = True
    weight: Annotated[
        Auto | Annotated[float, Meta(ge=0, le=100)],
        Meta(description="Weight of the KL term beside the loss."),
    ] = "auto"
    every: Annotated[Auto | PositiveInt, Meta(description="Rehearse at every so many steps.")] = "auto"
    texts: Annotated[
        tuple[str, ...], Meta(description="Texts of your own to rehearse on, beside the bundled ones.")
    ] = ()


class PreferenceHyperparams(Struct, frozen=True, kw_only=True):
    """`training.preference.hyperparams`."""

    beta: Annotated[float, Meta(gt=0, le=100, description="DPO: how closely to stay with the reference.")] = (
        0.1
    )
    alpha: Annotated[
        float,
        Meta(
            ge=0,
            le=100,
            description="ORPO: weight of the odds-ratio term. DPO: weight of the chosen answer's own loss.",
        ),
    ] = 0.1
    learning_rate: Annotated[Auto | Rate, Meta(description="Step size of the preference phase.")] = "auto"
    num_epochs: Annotated[
        Auto | PositiveInt,
        Meta(description="Passes over the preference sections; auto: four, and no more than num_epochs."),
    ] = "auto"


class PreferenceConfig(Struct, frozen=True, kw_only=True):
    """`training.preference`: preference sections, trained after the answers."""

    enabled: Annotated[bool, Meta(description="Train the preference sections.")] = True
    method: Annotated[Literal["dpo", "orpo"], Meta(description="The loss of the preference phase.")] = "dpo"
    hyperparams: Annotated[
        PreferenceHyperparams, Meta(description="Rates and weights of the preference phase.")
    ] = PreferenceHyperparams()
    loss_type: Annotated[
        Literal["sigmoid", "hinge", "ipo"], Meta(description="DPO: the form of the loss.")
    ] = "sigmoid"
    reference: Annotated[
        Literal["base", "adapters", "pre_adapter"],
        Meta(description="DPO: stay close to the adapters as they were (`pre_adapter` too), or to the base."),
    ] = "adapters"


class GroundingConfig(Struct, frozen=True, kw_only=True):
    """`training.grounding`: the document in hand while a reply is written. It changes no training."""

    enabled: Annotated[
        bool, Meta(description="Look prompts up in the document: the right answer, its line, or silence.")
    ] = True


class SourceConfig(Struct, frozen=True, kw_only=True):
    """One entry of `training.sources`: files that are read in as prose."""

    path: Annotated[str, Meta(description="A file or folder; relative paths begin at the document's folder.")]
    include: Annotated[tuple[str, ...], Meta(description="Patterns of the files to read.")] = ("**/*",)
    exclude: Annotated[tuple[str, ...], Meta(description="Patterns of files and folders to leave out.")] = ()
    max_bytes_per_file: Annotated[int, Meta(ge=1, description="Larger files are left out.")] = 262_144
    max_files: Annotated[int, Meta(ge=1, description="Files past this number are left out.")] = 1_000


class TrainingConfig(Struct, frozen=True, kw_only=True):
    """`training`: the recipe. Flat adapter keys describe one adapter, `default`; `adapters` replaces them."""

    adapter: _Kind = "disel"
    lora_r: _Rank = 8
    lora_alpha: _Alpha = 16
    lora_dropout: _Dropout = 0.0
    target_modules: _Targets = "auto"
    sequence_len: Annotated[int, Meta(ge=16, le=131_072, description="Longest row, in tokens.")] = 2048
    micro_batch_size: Annotated[Auto | PositiveInt, Meta(description="Rows in one forward pass.")] = "auto"
    grad_accum: Annotated[Auto | PositiveInt, Meta(description="Forward passes per optimiser step.")] = "auto"
    learning_rate: _LearningRate = "auto"
    scope: _Scope = "auto"
    num_epochs: Annotated[
        Auto | Annotated[int, Meta(ge=1, le=10_000)],
        Meta(description="Passes over the document at most; training stops early once it is learned."),
    ] = "auto"
    min_epochs: Annotated[
        Auto | Annotated[int, Meta(ge=1, le=10_000)],
        Meta(description="Passes over the document before training may stop early."),
    ] = "auto"
    optimizer: Annotated[Literal["adamw_torch"], Meta(description="The optimiser.")] = "adamw_torch"
    lr_scheduler: Annotated[
        Literal["cosine", "linear", "constant"], Meta(description="How the step size falls over the run.")
    ] = "cosine"
    warmup_ratio: Annotated[
        float, Meta(ge=0, le=1, description="Share of the steps in which the step size rises.")
    ] = 0.1
    weight_decay: Annotated[float, Meta(ge=0, le=1, description="Decay of the adapters' matrices.")] = 0.0
    question_wear: Annotated[
        Auto | Annotated[float, Meta(ge=0, le=0.9)],
        Meta(description="Share of a question's words left out or exchanged while training."),
    ] = "auto"
    question_copies: Annotated[
        Auto | Annotated[int, Meta(ge=0, le=16)],
        Meta(description="Other questions beside each row of a step, up to where their answers begin."),
    ] = "auto"
    lead_weight: Annotated[
        Auto | Annotated[float, Meta(ge=1, le=100)],
        Meta(description="How much the first tokens of an answer count beside the others."),
    ] = "auto"
    validation_share: Annotated[
        float,
        Meta(
            ge=0, lt=1, description="Share of the rows kept out of training, to choose the best checkpoint."
        ),
    ] = 0.0
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Meta(description="Number format of the base; `auto` asks the device."),
    ] = "auto"
    seed: Annotated[int, Meta(ge=0, lt=2**32, description="Seed of everything random in a run.")] = 42
    adapters: Annotated[
        dict[str, AdapterConfig],
        Meta(description="The adapters by name; with it, no adapter keys stand beside it."),
    ] = {}
    gate: Annotated[GateConfig, Meta(description="The gate that weighs the adapters by the prompt.")] = (
        GateConfig()
    )
    disel: Annotated[DiselSettings, Meta(description="The rank gates of `disel` adapters.")] = DiselSettings()
    rehearsal: Annotated[
        RehearsalConfig, Meta(description="Holding the model to its base on other text.")
    ] = RehearsalConfig()
    preference: Annotated[PreferenceConfig, Meta(description="The preference phase.")] = PreferenceConfig()
    grounding: Annotated[
        GroundingConfig, Meta(description="Looking prompts up in the document while replying.")
    ] = GroundingConfig()
    sources: Annotated[tuple[SourceConfig, ...], Meta(description="Files to read in as prose.")] = ()
    sources_policy: Annotated[
        Literal["permissive", "strict"],
        Meta(description="`strict` keeps sources inside the document's folder."),
    ] = "permissive"
    cpt: Annotated[dict[str, Any], Meta(description="Known, without effect here.")] = {}
    cache: Annotated[dict[str, Any], Meta(description="Known, without effect here.")] = {}
    audio: Annotated[dict[str, Any], Meta(description="Known, without effect here.")] = {}

    def adapter_configs(self) -> Mapping[str, AdapterConfig]:
        """The adapters by name in declared order; the flat form is one adapter called `default`."""
        if self.adapters:
            return dict(self.adapters)
        shared = {f.name: getattr(self, f.name) for f in structs.fields(AdapterConfig)}
        return {"default": AdapterConfig(**shared)}


class ExportConfig(Struct, frozen=True, kw_only=True):
    """`export`: defaults for exported models."""

    default_quant: Annotated[str, Meta(description="Number format of an exported base.")] = "q4_0"
    default_temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(description="Sampling temperature written into the export."),
    ] = None
    default_top_p: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None, Meta(description="Nucleus share written into the export.")
    ] = None


class Frontmatter(Struct, frozen=True, kw_only=True):
    """The whole frontmatter."""

    dlm_id: Annotated[str, Meta(description="A ULID: the name under which the store keeps what is trained.")]
    base_model: Annotated[
        str, Meta(description="The model under the adapters: a registry name, `hf:org/name`, or `path:…`.")
    ]
    dlm_version: Annotated[int, Meta(description="Version of the document format, 1 to 15.")] = 15
    system_prompt: Annotated[str | None, Meta(description="Said before every conversation.")] = None
    training: Annotated[TrainingConfig, Meta(description="How the document is trained.")] = field(
        default_factory=TrainingConfig
    )
    export: Annotated[ExportConfig, Meta(description="Defaults for exported models.")] = ExportConfig()
