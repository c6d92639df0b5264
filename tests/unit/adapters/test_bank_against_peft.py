"""The bank computes what PEFT and the DISeL package compute, on every kind of base; folders go both ways."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from dlm_core import disel
from dlm_core.adapters.bank import Bank, ServingPlan, TrainingPlan
from dlm_core.adapters.folder import is_transposed, load_adapter, save_adapter
from dlm_core.adapters.targets import linear_layers, resolve_targets
from dlm_core.adapters.weights import AdapterWeights
from tests.tiny import TOKENS, every_architecture, logits, make_adapter, make_model, make_spec, slow

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ATTENTION = {"gpt2": ["c_attn"], "opt": ["q_proj", "v_proj"]}


@pytest.fixture(params=every_architecture())
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def attention_of(architecture: str) -> list[str]:
    return ATTENTION.get(architecture, ["q_proj", "v_proj"])


def save(adapter: AdapterWeights, bank: Bank, folder: Path) -> Path:
    save_adapter(adapter, folder, base="tiny", every_layer=bank.layers, transposed=is_transposed(bank.model))
    return folder


def scramble(model: Any, seed: int = 5) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)


def served(model: Any, bank: Bank, adapters: list[AdapterWeights], weights: dict[str, float]) -> torch.Tensor:
    bank.use(ServingPlan(bank, adapters, weights))
    try:
        return logits(model)
    finally:
        bank.use(None)


def test_with_the_bank_off_the_model_is_the_base_bit_for_bit(architecture: str) -> None:
    model = make_model(architecture)
    before = logits(model)
    bank = Bank(model)
    adapter = make_adapter(make_spec("facts", tuple(bank.layers)), bank.features)
    assert torch.equal(logits(model), before)
    assert not torch.allclose(served(model, bank, [adapter], {"facts": 1.0}), before)
    assert torch.equal(logits(model), before)
    bank.detach()
    assert torch.equal(logits(model), before)
    assert set(linear_layers(model)) == set(bank.features)


def test_a_new_adapter_begins_as_the_base(architecture: str) -> None:
    model = make_model(architecture)
    before = logits(model)
    bank = Bank(model)
    adapter = AdapterWeights.initial(make_spec("facts", tuple(bank.layers)), bank.features, 1)
    assert torch.equal(served(model, bank, [adapter], {"facts": 1.0}), before)


def test_lora_adapters_give_the_logits_of_peft(architecture: str, tmp_path: Path) -> None:
    model = make_model(architecture)
    bank = Bank(model)
    every = tuple(bank.layers)
    some = resolve_targets(every, attention_of(architecture))
    adapters = [
        make_adapter(make_spec("wide", every, "lora", rank=3, alpha=12), bank.features, 1),
        make_adapter(make_spec("narrow", some, "lora", rank=5, alpha=5), bank.features, 2),
    ]
    folders = {a.spec.name: save(a, bank, tmp_path / a.spec.name) for a in adapters}
    ours = {n: served(model, bank, adapters, {n: 1.0}) for n in folders}
    mixed = served(model, bank, adapters, {"wide": 0.7, "narrow": 0.3})

    peft = PeftModel.from_pretrained(make_model(architecture), folders["wide"], adapter_name="wide")
    peft.load_adapter(folders["narrow"], "narrow")
    for name in folders:
        peft.set_adapter(name)
        torch.testing.assert_close(ours[name], logits(peft), **CLOSE)
    peft.add_weighted_adapter(["wide", "narrow"], [0.7, 0.3], "mixed", combination_type="cat")
    peft.set_adapter("mixed")
    torch.testing.assert_close(mixed, logits(peft), **CLOSE)


@pytest.mark.parametrize(
    "gate",
    [
        {},
        {"normalize": True},
        {"bottleneck_dim": 3},
        {"bottleneck_dim": 2, "normalize": True},
        {"weight_init": "zero", "bias_init": -1.0},
    ],
    ids=lambda g: "-".join(g) or "plain",
)
@pytest.mark.slow
def test_disel_adapters_give_the_logits_of_the_disel_package(
    architecture: str, gate: dict[str, Any], tmp_path: Path
) -> None:
    model = make_model(architecture)
    bank = Bank(model)
    adapter = make_adapter(make_spec("facts", tuple(bank.layers), **gate), bank.features)
    folder = save(adapter, bank, tmp_path / "facts")
    theirs = disel.from_pretrained(make_model(architecture), folder).eval()
    torch.testing.assert_close(served(model, bank, [adapter], {"facts": 1.0}), logits(theirs), **CLOSE)


@pytest.mark.parametrize("bottleneck", [slow(None), 3])
def test_folders_of_the_disel_package_load_here(
    architecture: str, bottleneck: int | None, tmp_path: Path
) -> None:
    config = disel.DiselConfig(
        r=3,
        lora_alpha=7,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        disel_gate_bottleneck_dim=bottleneck,
        disel_gate_normalize=True,
    )
    theirs = disel.enable_disel(get_peft_model(make_model(architecture), config), config).eval()
    scramble(theirs)
    theirs.save_pretrained(tmp_path)
    bank = Bank(make_model(architecture))
    adapter = load_adapter(tmp_path, "facts", bank.features)
    assert adapter.spec.kind == "disel" and adapter.spec.rank == 3
    torch.testing.assert_close(served(bank.model, bank, [adapter], {"facts": 1.0}), logits(theirs), **CLOSE)


def test_lora_folders_of_peft_load_here(architecture: str, tmp_path: Path) -> None:
    config = LoraConfig(
        r=3, lora_alpha=7, target_modules=attention_of(architecture), fan_in_fan_out=architecture == "gpt2"
    )
    theirs = get_peft_model(make_model(architecture), config).eval()
    scramble(theirs)
    theirs.save_pretrained(tmp_path)
    bank = Bank(make_model(architecture))
    adapter = load_adapter(tmp_path, "facts", bank.features)
    torch.testing.assert_close(served(bank.model, bank, [adapter], {"facts": 1.0}), logits(theirs), **CLOSE)


def test_what_is_saved_comes_back_bit_equal(tmp_path: Path) -> None:
    bank = Bank(make_model())
    for spec in (
        make_spec("plain", tuple(bank.layers), "lora"),
        make_spec("gated", tuple(bank.layers)[3:9], bottleneck_dim=2, normalize=True, dropout=0.25),
    ):
        adapter = make_adapter(spec, bank.features)
        back = load_adapter(save(adapter, bank, tmp_path / spec.name), spec.name, bank.features)
        assert back.spec == spec
        for (m, r, a), (m2, r2, b) in zip(adapter.named_tensors(), back.named_tensors(), strict=True):
            assert (m, r) == (m2, r2) and torch.equal(a, b)


def test_mixed_kinds_add_up_weighted(architecture: str) -> None:
    """Deltas of a layer under one routing are the weighted sum of the adapters' own deltas."""
    bank = Bank(make_model(architecture))
    every = tuple(bank.layers)
    some = resolve_targets(every, attention_of(architecture))
    adapters = [
        make_adapter(make_spec("a", every, rank=2), bank.features, 1),
        make_adapter(make_spec("b", some, "lora", rank=5), bank.features, 2),
        make_adapter(make_spec("c", every, rank=3, bottleneck_dim=2, normalize=True), bank.features, 3),
    ]
    weights = {"a": 0.5, "b": 0.3, "c": 0.2}
    together = ServingPlan(bank, adapters, weights)
    alone = {a.spec.name: ServingPlan(bank, [a], {a.spec.name: 1.0}) for a in adapters}
    for name, (width, _) in bank.features.items():
        x = torch.randn(2, 5, width, generator=torch.Generator().manual_seed(len(name)))
        whole = together.delta(name, x)
        parts = [w * d for n, w in weights.items() if (d := alone[n].delta(name, x)) is not None]
        assert whole is not None
        torch.testing.assert_close(whole, sum(parts), **CLOSE)


def test_serving_and_training_apply_the_same_weights(architecture: str) -> None:
    model = make_model(architecture)
    bank = Bank(model)
    every = tuple(bank.layers)
    some = resolve_targets(every, attention_of(architecture))
    adapters = [
        make_adapter(make_spec("a", some, rank=2), bank.features, 1),
        make_adapter(make_spec("b", every, "lora", rank=5, alpha=3), bank.features, 2),
    ]
    expected = served(model, bank, adapters, {"a": 0.6, "b": 0.4})
    plan = TrainingPlan(bank, adapters)
    plan.set_rows(torch.tensor([[0.6, 0.4]] * len(TOKENS)))
    bank.use(plan)
    torch.testing.assert_close(logits(model), expected, **CLOSE)


def test_every_row_of_a_batch_sees_its_own_adapter(architecture: str) -> None:
    model = make_model(architecture)
    bank = Bank(model)
    every = tuple(bank.layers)
    adapters = [
        make_adapter(make_spec("a", every, rank=2), bank.features, 1),
        make_adapter(make_spec("b", every, "lora"), bank.features, 2),
    ]
    alone = [served(model, bank, adapters, {n: 1.0})[i] for i, n in enumerate(("b", "a"))]
    plan = TrainingPlan(bank, adapters)
    plan.set_rows(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    bank.use(plan)
    torch.testing.assert_close(logits(model), torch.stack(alone), **CLOSE)


def test_an_adapter_without_weight_costs_nothing_and_changes_nothing() -> None:
    model = make_model()
    bank = Bank(model)
    every = tuple(bank.layers)
    a = make_adapter(make_spec("a", every), bank.features, 1)
    b = make_adapter(make_spec("b", every), bank.features, 2)
    plan = ServingPlan(bank, [a, b], {"a": 1.0, "b": 0.0})
    assert [x.spec.name for x in plan.adapters] == ["a"]
    bank.use(plan)
    both = logits(model)
    assert torch.equal(both, served(model, bank, [a], {"a": 1.0}))
