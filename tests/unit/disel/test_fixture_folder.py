"""A folder written tensor by tensor from the documented format; logits computed without this package."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dlm_core.disel import from_pretrained

from .conftest import logits, make_base

RANK, ALPHA, BOTTLENECK = 3, 12, 2
TARGETS = ("q_proj", "down_proj")
Delta = Callable[[torch.Tensor], torch.Tensor]


class HandMadeFolder:
    """Random tensors for every q_proj and down_proj, as a folder and as functions of x."""

    def __init__(self, base: nn.Module, bottleneck: bool, normalize: bool, name_part: str) -> None:
        self.bottleneck, self.normalize = bottleneck, normalize
        self.tensors: dict[str, torch.Tensor] = {}
        self.deltas: dict[str, Delta] = {}
        generator = torch.Generator().manual_seed(3)

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(shape, generator=generator) * 0.4

        for path, module in base.named_modules():
            if not isinstance(module, nn.Linear) or path.rpartition(".")[2] not in TARGETS:
                continue
            a, b = random(RANK, module.in_features), random(module.out_features, RANK)
            bias = random(RANK) - 1
            gate: dict[str, torch.Tensor]
            if bottleneck:
                down, up = random(BOTTLENECK, module.in_features), random(RANK, BOTTLENECK)
                gate = {"proj_down.weight": down, "proj_up.weight": up, "proj_up.bias": bias}
                gate_weight = up @ down
            else:
                gate_weight = random(RANK, module.in_features)
                gate = {"linear.weight": gate_weight, "linear.bias": bias}
            prefix = f"base_model.model.{path}"
            self.tensors |= {f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}
            self.tensors |= {f"{prefix}.lora_disel_gate.{name_part}{key}": t for key, t in gate.items()}
            self.deltas[path] = self._delta(a, b, gate_weight, bias)

    def _delta(self, a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> Delta:
        scale = a.shape[1] ** -0.5 if self.normalize else 1.0

        def delta(x: torch.Tensor) -> torch.Tensor:
            openness = 1 / (1 + torch.exp(-scale * (x @ weight.T + bias)))
            return ALPHA / RANK * ((openness * (x @ a.T)) @ b.T)

        return delta

    def write(self, folder: Path) -> None:
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": RANK,
            "lora_alpha": ALPHA,
            "lora_dropout": 0.0,
            "target_modules": list(TARGETS),
            "bias": "none",
            "disel_gate_bias_init": -3.0,
            "disel_gate_normalize": self.normalize,
            "disel_gate_weight_init": "random",
            "disel_gate_bottleneck_dim": BOTTLENECK if self.bottleneck else None,
            "disel_gate_lr_multiplier": 5.0,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config))
        save_file(self.tensors, folder / "adapter_model.safetensors")

    def logits_by_hand(self, base: nn.Module) -> torch.Tensor:
        for path, delta in self.deltas.items():
            base.get_submodule(path).register_forward_hook(
                lambda module, args, out, delta=delta: out + delta(args[0])
            )
        return logits(base)


@pytest.mark.parametrize("bottleneck", [False, True], ids=["rank_gate", "light_rank_gate"])
@pytest.mark.parametrize("normalize", [False, True], ids=["raw", "normalized"])
@pytest.mark.parametrize("name_part", ["default.", "tone.", ""], ids=["default", "another_name", "no_name"])
def test_a_folder_written_by_hand_gives_the_logits_computed_by_hand(
    tmp_path: Path, bottleneck: bool, normalize: bool, name_part: str
) -> None:
    folder = HandMadeFolder(make_base(), bottleneck, normalize, name_part)
    folder.write(tmp_path)
    expected = folder.logits_by_hand(make_base())
    assert not torch.allclose(expected, logits(make_base()), atol=1e-2)
    assert torch.allclose(logits(from_pretrained(make_base(), tmp_path).eval()), expected, atol=1e-5)


def test_a_folder_written_by_hand_is_written_back_tensor_for_tensor(tmp_path: Path) -> None:
    folder = HandMadeFolder(make_base(), bottleneck=False, normalize=True, name_part="default.")
    folder.write(tmp_path)
    from_pretrained(make_base(), tmp_path).save_pretrained(tmp_path / "again")
    first, second = (p / "adapter_model.safetensors" for p in (tmp_path, tmp_path / "again"))
    assert sorted_tensors(first) == sorted_tensors(second)


def sorted_tensors(file: Path) -> list[tuple[str, list[float]]]:
    return sorted((key, tensor.flatten().tolist()) for key, tensor in load_file(file).items())
