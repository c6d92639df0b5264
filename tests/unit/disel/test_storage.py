"""Gated adapters to disk and back."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from dlm_core.disel import (
    GATE_FILENAME,
    DiselConfig,
    GateKey,
    GatesNotFoundError,
    StrayGatesError,
    UnloadedGatesWarning,
    enable_disel,
    from_pretrained,
    load_gate_state_dict,
    save_gate_state_dict,
    split_gate_key,
)
from dlm_core.errors import AdapterError

from .conftest import logits, make_base, make_config, make_gated, scramble


def trained(architecture: str = "llama", **settings: object) -> PeftModel:
    model = make_gated(architecture, **settings)
    scramble(model)
    return model


def lora_tensors(model: PeftModel) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if "lora_" in name}


def assert_equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> None:
    assert left.keys() == right.keys()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


def test_tensors_and_logits_come_back_equal(
    tmp_path: Path, architecture: str, bottleneck: int | None
) -> None:
    model = trained(architecture, disel_gate_bottleneck_dim=bottleneck, disel_gate_normalize=True)
    model.save_pretrained(tmp_path)
    again = from_pretrained(make_base(architecture), tmp_path).eval()
    assert_equal(lora_tensors(again), lora_tensors(model))
    assert torch.equal(logits(again), logits(model))


def test_the_config_comes_back_with_its_gate_settings(tmp_path: Path) -> None:
    settings: dict[str, object] = {
        "disel_gate_bias_init": -5.0,
        "disel_gate_normalize": True,
        "disel_gate_weight_init": "zero",
        "disel_gate_bottleneck_dim": 3,
        "disel_gate_lr_multiplier": 2.5,
    }
    trained(**settings).save_pretrained(tmp_path)
    raw = json.loads((tmp_path / "adapter_config.json").read_text())
    assert raw["peft_type"] == "LORA"
    assert {key: raw[key] for key in settings} == settings
    config = DiselConfig.from_pretrained(str(tmp_path))
    assert type(config) is DiselConfig
    assert {key: getattr(config, key) for key in settings} == settings
    assert (config.r, config.lora_alpha) == (4, 8)
    loaded = from_pretrained(make_base(), tmp_path).peft_config["default"]
    assert isinstance(loaded, DiselConfig)
    assert loaded.disel_gate_bias_init == -5.0


def test_keys_on_disk_are_the_documented_ones(tmp_path: Path) -> None:
    trained(target_modules=["q_proj"]).save_pretrained(tmp_path)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    first = {
        k: list(v.shape)
        for k, v in load_file(tmp_path / "adapter_model.safetensors").items()
        if "layers.0" in k
    }
    assert first == {
        f"{layer}.lora_A.weight": [4, 32],
        f"{layer}.lora_B.weight": [32, 4],
        f"{layer}.lora_disel_gate.default.linear.weight": [4, 32],
        f"{layer}.lora_disel_gate.default.linear.bias": [4],
    }


def test_keys_of_a_light_gate_on_disk_are_the_documented_ones(tmp_path: Path) -> None:
    trained(target_modules=["q_proj"], disel_gate_bottleneck_dim=3).save_pretrained(tmp_path)
    gates = "base_model.model.model.layers.1.self_attn.q_proj.lora_disel_gate.default."
    stored = load_file(tmp_path / "adapter_model.safetensors")
    assert {k.removeprefix(gates): list(v.shape) for k, v in stored.items() if k.startswith(gates)} == {
        "proj_down.weight": [3, 32],
        "proj_up.weight": [4, 3],
        "proj_up.bias": [4],
    }


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("a.b.lora_disel_gate.tone.linear.weight", GateKey("a.b", "tone", "linear.weight")),
        ("a.b.lora_disel_gate.linear.weight", GateKey("a.b", None, "linear.weight")),
        ("a.b.lora_disel_gate.linear.linear.bias", GateKey("a.b", "linear", "linear.bias")),
        ("a.lora_disel_gate.x.proj_down.weight", GateKey("a", "x", "proj_down.weight")),
        ("a.b.lora_A.weight", None),
        ("a.b.lora_disel_gate.tone.linear.scale", None),
    ],
)
def test_gate_keys_come_apart(key: str, parts: GateKey | None) -> None:
    assert split_gate_key(key) == parts


def test_an_adapter_is_saved_without_the_others_gates_and_loads_under_any_name(tmp_path: Path) -> None:
    model = make_gated()
    second = make_config(target_modules=["q_proj", "v_proj"])
    model.add_adapter("tone", second)
    enable_disel(model, second, "tone")
    scramble(model)
    model.save_pretrained(tmp_path, selected_adapters=["tone"])
    stored = load_file(tmp_path / "tone" / "adapter_model.safetensors")
    parts = [split for key in stored if (split := split_gate_key(key))]
    assert {split.adapter for split in parts} == {"tone"}
    assert len(parts) == 8

    model.set_adapter("tone")
    for name in ("default", "voice"):
        again = from_pretrained(make_base(), tmp_path / "tone", adapter_name=name).eval()
        assert torch.equal(logits(again), logits(model))


def test_a_second_folder_loads_beside_the_first(tmp_path: Path) -> None:
    trained(r=2).save_pretrained(tmp_path / "a")
    other = make_gated(r=4, disel_gate_bottleneck_dim=3)
    scramble(other, seed=5)
    other.save_pretrained(tmp_path / "b")
    model = from_pretrained(make_base(), tmp_path / "a", adapter_name="a")
    from_pretrained(model, tmp_path / "b", adapter_name="b").eval()
    model.set_adapter("b")
    assert torch.equal(logits(model), logits(other))


def test_a_loaded_adapter_is_frozen_unless_it_is_to_train(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    frozen = from_pretrained(make_base(), tmp_path)
    assert not any(p.requires_grad for p in frozen.parameters())
    training = from_pretrained(make_base(), tmp_path, is_trainable=True)
    assert all(p.requires_grad for name, p in training.named_parameters() if "lora_" in name)


def test_plain_peft_warns_about_the_gates_it_does_not_know_and_loads_the_rest(tmp_path: Path) -> None:
    model = trained()
    model.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="disel_gate_bias_init"):
        plain = PeftModel.from_pretrained(make_base(), tmp_path)
    assert type(plain.peft_config["default"]) is LoraConfig
    expected = {name: t for name, t in lora_tensors(model).items() if "disel" not in name}
    assert_equal(lora_tensors(plain), expected)


def plainly_loaded(folder: Path) -> PeftModel:
    with pytest.warns(UserWarning, match="disel_gate"):
        model = PeftModel.from_pretrained(make_base(), folder)
    return enable_disel(model, DiselConfig.from_pretrained(str(folder)))


def test_running_a_trained_adapter_on_gates_never_loaded_is_warned_about(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    model = plainly_loaded(tmp_path)
    with pytest.warns(UnloadedGatesWarning, match="'default' was trained"):
        logits(model)


def test_the_three_steps_of_loading_by_hand_are_not_warned_about(tmp_path: Path) -> None:
    model = trained()
    model.save_pretrained(tmp_path)
    by_hand = load_gate_state_dict(plainly_loaded(tmp_path), tmp_path).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnloadedGatesWarning)
        assert torch.equal(logits(by_hand), logits(model))


def test_peft_loads_the_gates_itself_when_given_the_whole_config(tmp_path: Path) -> None:
    model = trained()
    model.save_pretrained(tmp_path)
    config = DiselConfig.from_pretrained(str(tmp_path))
    again = PeftModel.from_pretrained(make_base(), tmp_path, config=config).eval()
    assert torch.equal(logits(again), logits(model))


def test_fresh_gates_on_a_fresh_adapter_are_not_warned_about() -> None:
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnloadedGatesWarning)
        logits(enable_disel(get_peft_model(make_base(), lora), make_config()))


def test_gates_move_by_themselves_in_their_own_file(tmp_path: Path) -> None:
    model = trained()
    assert save_gate_state_dict(model, tmp_path) == tmp_path / GATE_FILENAME
    other = make_gated()
    load_gate_state_dict(other, tmp_path)
    expected = {name: t for name, t in lora_tensors(model).items() if "disel" in name}
    assert_equal({n: t for n, t in lora_tensors(other).items() if "disel" in n}, expected)


def test_the_bundled_file_wins_over_the_gates_own(tmp_path: Path) -> None:
    model = trained()
    model.save_pretrained(tmp_path)
    other = make_gated()
    scramble(other, seed=5)
    save_gate_state_dict(other, tmp_path)
    assert torch.equal(logits(from_pretrained(make_base(), tmp_path).eval()), logits(model))


def test_saving_gates_that_are_not_there_is_refused(tmp_path: Path) -> None:
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    with pytest.raises(RuntimeError, match="enable_disel"):
        save_gate_state_dict(get_peft_model(make_base(), lora), tmp_path)


def test_a_folder_without_gates_is_a_value_error(tmp_path: Path) -> None:
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(make_base(), lora).save_pretrained(tmp_path)
    with pytest.raises(GatesNotFoundError, match="no gates") as caught:
        from_pretrained(make_base(), tmp_path)
    assert isinstance(caught.value, ValueError | AdapterError)


def test_gates_without_a_destination_are_a_runtime_error(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="no destination") as caught:
        load_gate_state_dict(make_gated(target_modules=["q_proj"]), tmp_path)
    assert isinstance(caught.value, StrayGatesError)


def test_gates_of_another_shape_are_refused_before_any_changes(tmp_path: Path) -> None:
    trained(r=2).save_pretrained(tmp_path)
    model = make_gated(r=4)
    before = lora_tensors(model)
    with pytest.raises(StrayGatesError, match="its destination"):
        load_gate_state_dict(model, tmp_path)
    assert_equal(lora_tensors(model), before)


def test_half_a_gate_is_refused(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    del tensors["base_model.model.model.layers.0.mlp.up_proj.lora_disel_gate.default.linear.bias"]
    save_file(tensors, file)
    with pytest.raises(StrayGatesError, match=r"up_proj comes without linear\.bias"):
        from_pretrained(make_base(), tmp_path)


def test_layers_left_without_stored_gates_are_named(tmp_path: Path) -> None:
    trained(target_modules=["q_proj"]).save_pretrained(tmp_path)
    with pytest.warns(UnloadedGatesWarning, match=r"no gates for 2 layers.*v_proj"):
        load_gate_state_dict(make_gated(target_modules=["q_proj", "v_proj"]), tmp_path)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    torch.save(load_file(file), tmp_path / "adapter_model.bin")
    file.unlink()
    with pytest.raises(AdapterError, match=r"no adapter_model\.safetensors"):
        from_pretrained(make_base(), tmp_path)
    with pytest.raises(ValueError, match="pickle"):
        load_gate_state_dict(make_gated(), tmp_path)


def test_a_folder_that_is_not_there_is_not_taken_for_one_without_weights(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"no such folder[\s\S]*hf download"):
        from_pretrained(make_base("llama"), tmp_path / "org" / "name")


def test_a_torn_file_is_an_adapter_error_with_its_place(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors"):
        load_gate_state_dict(make_gated(), tmp_path)


def test_a_wrong_config_is_a_type_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="LoraConfig"):
        from_pretrained(make_base(), tmp_path, config=LoraConfig())  # type: ignore[arg-type]


def test_keys_of_a_newer_config_are_named_and_left_out(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"disel_gate_future": 1}))
    with pytest.warns(UserWarning, match="disel_gate_future"):
        DiselConfig.from_pretrained(str(tmp_path))


def test_another_kind_of_peft_adapter_is_refused(tmp_path: Path) -> None:
    trained().save_pretrained(tmp_path)
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"peft_type": "ADALORA"}))
    with pytest.raises(AdapterError, match="ADALORA"):
        from_pretrained(make_base(), tmp_path)
