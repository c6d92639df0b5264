"""Folders made by hand from the documented DISeL format answer through the bank as computed by hand."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.adapters.folder import is_transposed, load_adapter, save_adapter
from dlm_core.errors import AdapterError
from tests.unit.disel.conftest import logits, make_base
from tests.unit.disel.test_fixture_folder import HandMadeFolder


def through_the_bank(folder: Path) -> torch.Tensor:
    base = make_base()
    bank = Bank(base)
    adapter = load_adapter(folder, "tone", bank.features)
    bank.use(ServingPlan(bank, [adapter], {"tone": 1.0}))
    return logits(base)


@pytest.mark.parametrize("bottleneck", [False, True], ids=["rank_gate", "light_rank_gate"])
@pytest.mark.parametrize("normalize", [False, True], ids=["raw", "normalized"])
@pytest.mark.parametrize("name_part", ["default.", "tone.", ""], ids=["default", "another_name", "no_name"])
def test_a_reference_folder_answers_through_the_bank_as_computed_by_hand(
    tmp_path: Path, bottleneck: bool, normalize: bool, name_part: str
) -> None:
    made = HandMadeFolder(make_base(), bottleneck, normalize, name_part)
    made.write(tmp_path)
    expected = made.logits_by_hand(make_base())
    assert not torch.allclose(expected, logits(make_base()), atol=1e-2)
    torch.testing.assert_close(through_the_bank(tmp_path), expected, rtol=1e-4, atol=1e-5)


def test_what_the_bank_writes_of_it_has_the_references_keys_and_numbers(tmp_path: Path) -> None:
    made = HandMadeFolder(make_base(), bottleneck=True, normalize=True, name_part="default.")
    made.write(tmp_path)
    bank = Bank(make_base())
    adapter = load_adapter(tmp_path, "tone", bank.features)
    again = tmp_path / "again"
    save_adapter(adapter, again, base="tiny", every_layer=bank.layers, transposed=is_transposed(bank.model))
    written = load_file(again / "adapter_model.safetensors")
    assert set(written) == set(made.tensors)
    assert all(torch.equal(written[key], tensor) for key, tensor in made.tensors.items())
    config = json.loads((again / "adapter_config.json").read_text("utf-8"))
    first = json.loads((tmp_path / "adapter_config.json").read_text("utf-8"))
    for key in (k for k in first if k.startswith("disel_gate") and k != "disel_gate_lr_multiplier"):
        assert config[key] == first[key]


def test_gates_in_a_file_of_their_own_are_not_silently_left_out(tmp_path: Path) -> None:
    """The reference can keep gates beside the adapter; without them the adapter would answer fully open."""
    made = HandMadeFolder(make_base(), bottleneck=False, normalize=False, name_part="default.")
    made.write(tmp_path)
    expected = made.logits_by_hand(make_base())
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    gates = {k: t for k, t in tensors.items() if "lora_disel_gate" in k}
    save_file({k: t for k, t in tensors.items() if k not in gates}, tmp_path / "adapter_model.safetensors")
    save_file(gates, tmp_path / "gate_weights.safetensors")
    torch.testing.assert_close(through_the_bank(tmp_path), expected, rtol=1e-4, atol=1e-5)
    (tmp_path / "gate_weights.safetensors").unlink()
    with pytest.raises(AdapterError, match="gate_weights"):
        through_the_bank(tmp_path)
