"""The three groups of the optimiser."""

import pytest
from torch import nn

from dlm_core.disel import build_optimizer

from .conftest import make_gated


def groups(model: nn.Module, **settings: float) -> dict[str, dict[str, object]]:
    return {g["name"]: g for g in build_optimizer(model, base_lr=1e-3, **settings).param_groups}


def test_gates_have_their_own_rate_and_never_decay() -> None:
    found = groups(make_gated(), weight_decay=0.1)
    assert set(found) == {"matrices", "gates"}
    assert (found["matrices"]["lr"], found["matrices"]["weight_decay"]) == (1e-3, 0.1)
    assert (found["gates"]["lr"], found["gates"]["weight_decay"]) == (5e-3, 0.0)


def test_every_trainable_parameter_is_in_one_group() -> None:
    model = make_gated()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or "norm" in name)
    found = groups(model)
    members = [id(p) for g in found.values() for p in g["params"]]
    assert len(members) == len(set(members))
    assert set(members) == {id(p) for p in model.parameters() if p.requires_grad}
    gate_names = {id(p) for n, p in model.named_parameters() if "lora_disel_gate" in n}
    assert {id(p) for p in found["gates"]["params"]} == gate_names
    assert len(found["biases_and_norms"]["params"]) == 5
    assert found["biases_and_norms"]["weight_decay"] == 0.0


def test_biases_do_not_decay() -> None:
    model = make_gated("qwen2", bias="all")
    biases = {id(p) for n, p in model.named_parameters() if n.endswith("bias") and "disel" not in n}
    assert {id(p) for p in groups(model)["biases_and_norms"]["params"]} == biases


def test_the_gate_rate_is_given_outright_or_as_a_multiple() -> None:
    assert groups(make_gated(), gate_lr=0.5)["gates"]["lr"] == 0.5
    assert groups(make_gated(), gate_lr_multiplier=3)["gates"]["lr"] == pytest.approx(3e-3)
    assert groups(make_gated(disel_gate_lr_multiplier=2.0))["gates"]["lr"] == pytest.approx(2e-3)


def test_both_ways_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        groups(make_gated(), gate_lr=0.5, gate_lr_multiplier=3)


def test_a_frozen_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no parameter to train.*is_trainable=True"):
        groups(make_gated().requires_grad_(False))
