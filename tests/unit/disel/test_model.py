"""Gated adapters on a model: where they start, what they compute, how they live with other adapters."""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import LoraLayer

from dlm_core.disel import DiselConfig, RankGate, enable_disel, record_openness
from dlm_core.disel.attach import named_gates

from .conftest import TOKENS, logits, make_base, make_config, make_gated, scramble


def test_a_fresh_adapter_is_exactly_the_base(architecture: str, bottleneck: int | None) -> None:
    base = logits(make_base(architecture))
    model = make_gated(architecture, disel_gate_bottleneck_dim=bottleneck)
    assert torch.equal(logits(model), base)


def test_every_linear_layer_of_the_blocks_is_gated(architecture: str) -> None:
    layers = {path for path, _, _ in named_gates(make_gated(architecture))}
    assert len(layers) == {"llama": 14, "qwen2": 14, "gpt2": 8}[architecture]


def test_target_modules_may_be_a_list() -> None:
    layers = {path.rpartition(".")[2] for path, _, _ in named_gates(make_gated(target_modules=["v_proj"]))}
    assert layers == {"v_proj"}


def test_a_layer_adds_the_gated_low_rank_product_to_its_base(bottleneck: int | None) -> None:
    model = make_gated(disel_gate_bottleneck_dim=bottleneck, disel_gate_normalize=True)
    scramble(model)
    layer = model.get_submodule("base_model.model.model.layers.1.mlp.up_proj")
    x = torch.randn(2, 3, 32)
    gate = layer.lora_disel_gate["default"](x)
    low_rank = gate * (x @ layer.lora_A["default"].weight.T)
    expected = layer.base_layer(x) + low_rank @ layer.lora_B["default"].weight.T * (8 / 4)
    assert torch.allclose(layer(x), expected, atol=1e-5)


def test_a_conv1d_layer_is_gated_over_its_inputs() -> None:
    layer = make_gated("gpt2").get_submodule("base_model.model.transformer.h.0.mlp.c_proj")
    assert layer.lora_disel_gate["default"].linear.weight.shape == (4, 128)


def test_gate_and_a_read_the_same_dropped_out_input() -> None:
    model = make_gated(lora_dropout=0.5).train()
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    seen: dict[str, torch.Tensor] = {}
    layer.lora_A["default"].register_forward_hook(lambda m, args, out: seen.update(a=args[0]))
    layer.lora_disel_gate["default"].register_forward_hook(lambda m, args, out: seen.update(gate=args[0]))
    layer(torch.ones(4, 32))
    assert torch.equal(seen["a"], seen["gate"])
    assert (seen["a"] == 0).any()


def test_closed_gates_silence_a_trained_adapter() -> None:
    base = logits(make_base())
    model = make_gated()
    scramble(model)
    assert not torch.allclose(logits(model), base, atol=1e-3)
    for _, _, gate in named_gates(model):
        assert isinstance(gate, RankGate)
        torch.nn.init.zeros_(gate.linear.weight)
        torch.nn.init.constant_(gate.linear.bias, -200.0)
    assert torch.equal(logits(model), base)


def test_disabling_the_adapter_gives_the_base_exactly(architecture: str) -> None:
    base = logits(make_base(architecture))
    model = make_gated(architecture)
    scramble(model)
    with model.disable_adapter():
        assert torch.equal(logits(model), base)
    assert not torch.equal(logits(model), base)


def test_gradients_reach_the_gates_once_b_has_moved(bottleneck: int | None) -> None:
    model = make_gated(disel_gate_bottleneck_dim=bottleneck).train()

    def gate_gradients() -> list[float]:
        model.zero_grad()
        model(TOKENS, labels=TOKENS).loss.backward()
        return [p.grad.abs().sum().item() for n, p in model.named_parameters() if "lora_disel_gate" in n]

    assert set(gate_gradients()) == {0.0}
    scramble(model, "lora_B")
    assert min(gate_gradients()) > 0


def test_merging_is_refused_with_the_reason() -> None:
    model = make_gated()
    for merge in (model.merge_and_unload, model.merge_adapter):
        with pytest.raises(NotImplementedError, match="depend on the input"):
            merge()
    with pytest.raises(NotImplementedError, match="depend on the input"):
        model.merge_and_unload(safe_merge=True)


def test_enabling_twice_changes_nothing() -> None:
    model = make_gated()
    scramble(model)
    before, gates = logits(model), [gate for _, _, gate in named_gates(model)]
    enable_disel(model, make_config())
    assert [gate for _, _, gate in named_gates(model)] == gates
    assert torch.equal(logits(model), before)


def test_layers_built_from_a_plain_config_get_their_gates_from_enable_disel() -> None:
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(make_base(), lora)
    assert not list(named_gates(model))
    enable_disel(model, make_config(disel_gate_bias_init=-5.0))
    assert len(list(named_gates(model))) == 14
    stored = model.peft_config["default"]
    assert isinstance(stored, DiselConfig)
    assert stored.disel_gate_bias_init == -5.0
    assert stored.lora_alpha == 8


def test_gates_follow_the_dtype_of_a_and_train_with_it() -> None:
    base = make_base().to(torch.bfloat16)
    config = make_config()
    model = get_peft_model(base, config, autocast_adapter_dtype=False)
    enable_disel(model, config)
    assert {p.dtype for _, _, g in named_gates(model) for p in g.parameters()} == {torch.bfloat16}
    assert logits(model).dtype == torch.bfloat16

    upcast = enable_disel(get_peft_model(make_base().to(torch.bfloat16), make_config()), make_config())
    assert {p.dtype for _, _, g in named_gates(upcast) for p in g.parameters()} == {torch.float32}
    assert logits(upcast).dtype == torch.bfloat16


def two_adapters() -> PeftModel:
    model = make_gated(r=4)
    second = make_config(r=2, target_modules=["q_proj", "down_proj"], disel_gate_bottleneck_dim=3)
    model.add_adapter("tone", second)
    return enable_disel(model, second, adapter_name="tone").eval()


def test_adapters_differ_in_rank_targets_and_gate_and_answer_one_at_a_time() -> None:
    model = two_adapters()
    scramble(model)
    first = logits(model)
    model.set_adapter("tone")
    second = logits(model)
    assert not torch.allclose(first, second, atol=1e-3)
    assert len(list(named_gates(model, "tone"))) == 4
    model.set_adapter("default")
    assert torch.equal(logits(model), first)


def test_only_the_active_adapters_gates_train() -> None:
    model = two_adapters()

    def training(adapter: str) -> set[bool]:
        return {p.requires_grad for _, _, g in named_gates(model, adapter) for p in g.parameters()}

    assert (training("default"), training("tone")) == ({True}, {False})
    model.set_adapter("tone")
    assert (training("default"), training("tone")) == ({False}, {True})


def test_deleting_an_adapter_takes_its_gates_along() -> None:
    model = two_adapters()
    model.delete_adapter("tone")
    assert {adapter for _, adapter, _ in named_gates(model)} == {"default"}


def test_a_plain_lora_adapter_beside_a_gated_one_stays_plain() -> None:
    model = make_gated()
    model.add_adapter("plain", LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.set_adapter("plain")
    scramble(model)
    with record_openness(model) as recorder:
        logits(model)
    assert recorder.mean("plain") is None
    model.merge_adapter()  # a plain adapter merges as ever


def test_rows_of_one_batch_may_ask_for_different_adapters() -> None:
    model = two_adapters()
    scramble(model)
    with torch.no_grad():
        mixed = model(TOKENS, adapter_names=["tone", "__base__"]).logits
    with model.disable_adapter():
        assert torch.allclose(mixed[1], logits(model)[1], atol=1e-5)
    model.set_adapter("tone")
    assert torch.allclose(mixed[0], logits(model)[0], atol=1e-5)


def test_a_wrong_config_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="LoraConfig"):
        enable_disel(make_gated(), LoraConfig())  # type: ignore[arg-type]


def test_an_adapter_nobody_carries_is_a_runtime_error() -> None:
    with pytest.raises(RuntimeError, match="'tone'"):
        enable_disel(make_gated(), make_config(), adapter_name="tone")


def test_gates_of_another_shape_are_not_replaced_in_silence() -> None:
    with pytest.raises(ValueError, match="bottleneck"):
        enable_disel(make_gated(), make_config(disel_gate_bottleneck_dim=3))


def test_an_embedding_is_refused_by_name() -> None:
    config = make_config(target_modules=["embed_tokens", "q_proj"])
    model = get_peft_model(make_base(), config)
    with pytest.raises(TypeError, match=r"embed_tokens.*Embedding"):
        enable_disel(model, config)


def test_another_lora_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="use_dora"):
        make_config(use_dora=True)
    dora = LoraConfig(use_dora=True, r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    with pytest.raises(ValueError, match="DoraLinearVariant"):
        enable_disel(get_peft_model(make_base(), dora), make_config())


@pytest.mark.parametrize(
    "setting",
    [
        {"disel_gate_weight_init": "ones"},
        {"disel_gate_bottleneck_dim": 0},
        {"disel_gate_lr_multiplier": 0.0},
        {"disel_gate_bias_init": float("nan")},
    ],
)
def test_a_gate_setting_out_of_range_is_named(setting: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        make_config(**setting)


def test_recording_openness_changes_no_output_and_counts_every_position() -> None:
    model = make_gated()
    scramble(model)
    before = logits(model)
    values: list[torch.Tensor] = []
    layer = model.get_submodule("base_model.model.model.layers.0.self_attn.q_proj")
    assert isinstance(layer, LoraLayer)
    with record_openness(model) as recorder:
        handle = layer.lora_disel_gate["default"].register_forward_hook(lambda m, a, out: values.append(out))
        assert torch.equal(logits(model), before)
        logits(model)
        handle.remove()
    per_layer = recorder.per_layer()
    assert len(per_layer) == 14
    expected = torch.cat(values).reshape(-1, 4).mean(dim=0)
    assert torch.allclose(per_layer["base_model.model.model.layers.0.self_attn.q_proj"], expected)
    assert recorder.mean() == pytest.approx(torch.stack(list(per_layer.values())).mean().item())
    logits(model)
    assert torch.equal(
        recorder.per_layer()["base_model.model.model.layers.0.mlp.up_proj"],
        per_layer["base_model.model.model.layers.0.mlp.up_proj"],
    )
