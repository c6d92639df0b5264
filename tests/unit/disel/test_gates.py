"""The gate modules by themselves."""

import math

import pytest
import torch

from dlm_core.disel import LightRankGate, RankGate


def test_a_rank_gate_is_the_sigmoid_of_an_affine_map() -> None:
    gate = RankGate(6, 3)
    x = torch.randn(2, 5, 6)
    assert torch.allclose(gate(x), torch.sigmoid(x @ gate.linear.weight.T + gate.linear.bias))
    assert gate(x).shape == (2, 5, 3)


def test_a_light_gate_goes_through_its_bottleneck() -> None:
    gate = LightRankGate(6, 3, bottleneck_dim=2)
    x = torch.randn(5, 6)
    inner = x @ gate.proj_down.weight.T
    assert inner.shape == (5, 2)
    assert torch.allclose(gate(x), torch.sigmoid(inner @ gate.proj_up.weight.T + gate.proj_up.bias))
    assert gate.proj_down.bias is None


@pytest.mark.parametrize("gate", [RankGate(16, 4), LightRankGate(16, 4)])
def test_gates_start_nearly_closed(gate: torch.nn.Module) -> None:
    openness = gate(torch.zeros(1, 16))
    assert torch.allclose(openness, torch.full((1, 4), 1 / (1 + math.exp(3.0))))


def test_a_random_gate_depends_on_its_input_and_a_zero_gate_does_not_yet() -> None:
    x = torch.randn(8, 16)
    assert RankGate(16, 4)(x).std(dim=0).min() > 0
    assert LightRankGate(16, 4)(x).std(dim=0).min() > 0
    for gate in (RankGate(16, 4, weight_init="zero"), LightRankGate(16, 4, weight_init="zero")):
        assert gate(x).std(dim=0).max() == 0


def test_normalising_scales_the_logits_with_their_bias() -> None:
    plain, scaled = RankGate(16, 4), RankGate(16, 4, normalize=True)
    scaled.load_state_dict(plain.state_dict())
    x = torch.randn(3, 16)
    assert torch.allclose(scaled.logits(x), plain.logits(x) / 4)
    assert torch.allclose(scaled(torch.zeros(16)), torch.sigmoid(torch.full((4,), -3 / 4)))


def test_an_unknown_weight_init_is_refused() -> None:
    with pytest.raises(ValueError, match="ones"):
        RankGate(4, 2, weight_init="ones")  # type: ignore[arg-type]
