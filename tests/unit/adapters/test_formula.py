"""Every form of the bank's formula gives what the formula gives, and the gradients it has."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dlm_core import disel
from dlm_core.adapters.bank import Bank, ServingPlan, TrainingPlan
from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.folder import save_adapter
from dlm_core.adapters.formula import delta
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.llama.decode_adapters import PARTS, Part, Stacks
from dlm_core.llama.shape import Block, Projection, find
from dlm_core.llama.training_groups import Gradients, Group
from tests.tiny import make_adapter, make_model, make_spec

CLOSE: dict[str, float] = {"rtol": 1e-4, "atol": 1e-5}
WEIGHTS = {"gated": 0.5, "plain": 0.3, "part": 0.2}
GATES: list[dict[str, Any]] = [{}, {"normalize": True}, {"bottleneck_dim": 3}]
ROUTINGS = [WEIGHTS, {"plain": 1.0}, {"gated": -0.7, "part": 2.0}]


def adapters_on(bank: Bank, **gate: Any) -> list[AdapterWeights]:
    """A gated one and a plain one on all layers, and another gated one on some."""
    every = tuple(bank.layers)
    some = tuple(n for n in every if "gate_proj" in n or "down_proj" in n or "k_proj" in n)
    return [
        make_adapter(make_spec("gated", every, rank=3, **gate), bank.features, 1),
        make_adapter(make_spec("plain", every, "lora", rank=2, alpha=5), bank.features, 2),
        make_adapter(make_spec("part", some, rank=4, alpha=2, **gate), bank.features, 3),
    ]


def inputs(width: int, rows: int = 3, tokens: int = 4) -> Tensor:
    return torch.randn(rows, tokens, width, generator=torch.Generator().manual_seed(width))


def of_part(block: Block) -> dict[Part, tuple[Projection, ...]]:
    return {
        "qkv": (block.q, block.k, block.v),
        "o": (block.o,),
        "gate_up": (block.gate, block.up),
        "down": (block.down,),
    }


@pytest.mark.parametrize("gate", GATES, ids=lambda g: "-".join(g) or "plain")
@pytest.mark.parametrize("architecture", ["llama_tied", "gpt2"])
def test_the_bank_in_service_and_in_training(architecture: str, gate: dict[str, Any]) -> None:
    bank = Bank(make_model(architecture))
    adapters = adapters_on(bank, **gate)
    serving, training = ServingPlan(bank, adapters, WEIGHTS), TrainingPlan(bank, adapters)
    training.set_rows(torch.tensor([[r.get(a.spec.name, 0.0) for a in adapters] for r in ROUTINGS]))
    for name, (width, _) in bank.features.items():
        x = inputs(width)
        torch.testing.assert_close(serving.delta(name, x), delta(adapters, WEIGHTS, name, x), **CLOSE)
        wanted = torch.stack(
            [torch.as_tensor(delta(adapters, r, name, x[i])) for i, r in enumerate(ROUTINGS)]
        )
        torch.testing.assert_close(training.delta(name, x), wanted, **CLOSE)


@pytest.mark.parametrize("gate", GATES, ids=lambda g: "-".join(g) or "plain")
def test_the_stacks_of_a_reply_with_a_routing_for_each_row(gate: dict[str, Any]) -> None:
    model = make_model("llama_untied")
    bank = Bank(model)
    adapters = adapters_on(bank, **gate)
    shape = find(model)
    assert shape is not None
    routed = Stacks(shape, adapters, "float32").routed(*ROUTINGS)
    with torch.inference_mode():
        for number, block in enumerate(shape.blocks):
            for part in PARTS:
                members = of_part(block)[part]
                x = inputs(members[0].weight.shape[1], tokens=1)[:, 0]
                y = torch.zeros(len(x), sum(p.weight.shape[0] for p in members))
                getattr(routed, part)(number, x, y)
                wanted = [
                    torch.cat([torch.as_tensor(delta(adapters, r, p.name, x[i])) for p in members])
                    for i, r in enumerate(ROUTINGS)
                ]
                torch.testing.assert_close(y, torch.stack(wanted), **CLOSE)


@pytest.mark.parametrize("gate", GATES[:2], ids=lambda g: "-".join(g) or "plain")
def test_the_groups_of_a_training_step_and_their_backward(gate: dict[str, Any]) -> None:
    model = make_model("llama_untied")
    bank = Bank(model)
    adapters = adapters_on(bank, **gate)
    shape = find(model)
    assert shape is not None
    wanted = [adapter.clone().requires_grad_(True) for adapter in adapters]
    flat = FlatAdapters(adapters)
    owners = [0, 0, 1, 2, 1, 2, 2]  # one adapter for each token, at weight 1
    for members in of_part(shape.blocks[1]).values():
        group = Group(members, torch.float32)
        group.lay_out(flat, [0, 1, 2])
        for stack, source in zip(group.stacks, group.sources, strict=True):
            stack.copy_(source)
        x = inputs(members[0].weight.shape[1], 1, len(owners))[0].requires_grad_(True)
        whose = torch.tensor([a for a, _ in group.columns])
        scales = torch.tensor([s for _, s in group.columns])
        weights = (torch.tensor(owners)[:, None] == whose) * scales
        with torch.no_grad():
            y, kept = group.forward(x, weights, None)
        said = torch.stack(
            [
                torch.cat(
                    [
                        p.weight @ t + delta([wanted[o]], {wanted[o].spec.name: 1.0}, p.name, t)
                        for p in members
                    ]
                )
                for t, o in zip(x, owners, strict=True)
            ]
        )
        torch.testing.assert_close(y, said.detach(), **CLOSE)
        dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(9))
        said.backward(dy)
        gradients = Gradients()
        with torch.no_grad():
            dx = group.backward(dy, kept, weights, gradients)
            gradients.flush()
        torch.testing.assert_close(dx, x.grad, **CLOSE)
        for place, adapter in enumerate(wanted):
            for module, role, parameter in adapter.named_tensors():
                if module in group.names:
                    ours = flat.each[place].gradient(module, role)
                    torch.testing.assert_close(ours, parameter.grad, **CLOSE)


@pytest.mark.parametrize("gate", GATES, ids=lambda g: "-".join(g) or "plain")
def test_the_layers_of_peft(gate: dict[str, Any], tmp_path: Path) -> None:
    bank = Bank(make_model())
    adapter = make_adapter(make_spec("facts", tuple(bank.layers), **gate), bank.features)
    save_adapter(adapter, tmp_path, base="tiny", every_layer=bank.layers, transposed=False)
    theirs = disel.from_pretrained(make_model(), tmp_path).eval()
    with torch.no_grad():
        for name, (width, _) in bank.features.items():
            layer: Any = theirs.base_model.model.get_submodule(name)
            x = inputs(width)
            found = layer(x) - layer.base_layer(x)
            torch.testing.assert_close(found, delta([adapter], {"facts": 1.0}, name, x), **CLOSE)
