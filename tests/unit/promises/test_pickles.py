"""Pickles in the place of weights: whatever they would do, nothing reads them."""

import os
import pickle
from pathlib import Path

import pytest

from dlm_core.adapters.folder import load_adapter
from dlm_core.bases.folder import BaseFolder
from dlm_core.bases.load import load_base
from dlm_core.bases.placement import choose_placement
from dlm_core.errors import AdapterError, BaseModelError
from tests.tiny import make_base_folder


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._sprung),)


def test_a_base_of_pickled_weights_is_refused_unread(tmp_path: Path) -> None:
    folder, sprung = make_base_folder(tmp_path), tmp_path / "sprung"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(BaseModelError) as refused:
        load_base(BaseFolder("tiny", folder, "path", "f"), choose_placement("fp32", "cpu"), lambda _: None)
    assert refused.value.hint and not sprung.exists()


def test_an_adapter_of_pickled_weights_is_refused_unread(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    (tmp_path / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}'
    )
    (tmp_path / "adapter_model.bin").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(AdapterError):
        load_adapter(tmp_path, "tone", {"model.layers.0.self_attn.q_proj": (8, 8)})
    assert not sprung.exists()
    pickle.loads((tmp_path / "adapter_model.bin").read_bytes())
    assert sprung.exists()  # so that the trap is known to be one
