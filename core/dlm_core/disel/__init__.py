"""DISeL on PEFT: LoRA whose every rank-one component has its own input-dependent sigmoid switch.

For a linear layer W with a gated adapter of rank r:

    y = W x + scaling · B ( g(x) ⊙ A x ),    g(x) = sigmoid(W_g x + b_g) ∈ (0, 1)^r

("Learning When to Adapt", arXiv 2605.19028). The names and meanings here are those of the method's
reference package, so folders go back and forth between the two.

Folder layout
    adapter_config.json          peft_type "LORA", every LoraConfig key, and the five disel_gate_* keys
    adapter_model.safetensors    LoRA matrices and gates together
    gate_weights.safetensors     gates alone, same keys; only read where the file above has none

Keys in adapter_model.safetensors, where LAYER is the module's path under the PEFT model, as in
"base_model.model.model.layers.0.self_attn.q_proj", and NAME the adapter's name when it was saved:

    LAYER.lora_A.weight                               [r, d_in]
    LAYER.lora_B.weight                               [d_out, r]
    LAYER.lora_disel_gate.NAME.linear.weight          [r, d_in]    RankGate
    LAYER.lora_disel_gate.NAME.linear.bias            [r]
    LAYER.lora_disel_gate.NAME.proj_down.weight       [k, d_in]    LightRankGate, k = bottleneck
    LAYER.lora_disel_gate.NAME.proj_up.weight         [r, k]
    LAYER.lora_disel_gate.NAME.proj_up.bias           [r]

PEFT drops the adapter's name from keys where it is the last but one part, so LoRA matrices lose it and
gates keep it. The reference loads only gates whose NAME is the name it loads under ("default" unless told);
a writer that wants its folders read there with no further argument therefore writes NAME = "default".
Here any NAME, or none, is accepted: one folder holds one adapter. `split_gate_key` takes such keys apart.
"""

from dlm_core.disel.attach import enable_disel
from dlm_core.disel.config import DiselConfig
from dlm_core.disel.gates import GATE_PARAM_KEY, LightRankGate, RankGate
from dlm_core.disel.openness import OpennessRecorder, record_openness
from dlm_core.disel.optimizer import build_optimizer
from dlm_core.disel.storage import (
    GATE_FILENAME,
    GateKey,
    GatesNotFoundError,
    StrayGatesError,
    from_pretrained,
    load_gate_state_dict,
    save_gate_state_dict,
    split_gate_key,
)
from dlm_core.disel.variant import DiselLinearVariant, UnloadedGatesWarning
from dlm_core.errors import AdapterError

__all__ = [
    "GATE_FILENAME",
    "GATE_PARAM_KEY",
    "AdapterError",
    "DiselConfig",
    "DiselLinearVariant",
    "GateKey",
    "GatesNotFoundError",
    "LightRankGate",
    "OpennessRecorder",
    "RankGate",
    "StrayGatesError",
    "UnloadedGatesWarning",
    "build_optimizer",
    "enable_disel",
    "from_pretrained",
    "load_gate_state_dict",
    "record_openness",
    "save_gate_state_dict",
    "split_gate_key",
]
