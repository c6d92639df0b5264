"""The sentence encoder: as transformers computes it, in any order and company, from folders that hold one."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dlm_core.bases.folder import BaseFolder
from dlm_core.errors import BaseModelError, Stopped
from dlm_core.retrieval.encoder import open_encoder
from tests.unit.retrieval.conftest import Counting, tiny_config, tiny_tensors, tiny_tokenizer

TEXTS = ("a", "the queue", "who?", "the ledger", "", "something much longer than all of the others, by far")


def write(folder: Path, **changes: object) -> BaseFolder:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(tiny_config() | changes))
    save_file(tiny_tensors(), folder / "model.safetensors")
    tiny_tokenizer().save(str(folder / "tokenizer.json"))  # type: ignore[attr-defined]
    return BaseFolder("tiny", folder, "path", "f")


def test_vectors_have_unit_length_and_do_not_depend_on_company(encoder: Counting) -> None:
    together = encoder.encode(TEXTS[:4])
    assert together.dtype == torch.float32 and together.shape == (4, encoder.width)
    assert together.norm(dim=-1).tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    for text, vector in zip(TEXTS, together, strict=False):
        assert torch.allclose(encoder.encode([text])[0], vector, atol=1e-5)


def test_no_text_gives_no_vector_and_an_empty_text_a_finite_one(encoder: Counting) -> None:
    assert encoder.encode([]).shape == (0, encoder.width)
    assert bool(torch.isfinite(encoder.encode(TEXTS)).all())


def test_of_a_text_longer_than_the_encoder_reads_the_beginning_counts(encoder: Counting) -> None:
    assert torch.equal(encoder.encode(["a" * 500]), encoder.encode(["a" * 64]))


def test_encoding_ends_when_asked_to(encoder: Counting) -> None:
    with pytest.raises(Stopped):
        encoder.encode(TEXTS, lambda: True)


def test_a_folder_gives_its_encoder(tmp_path: Path, encoder: Counting) -> None:
    opened = open_encoder(write(tmp_path / "e"), "hash")
    assert (opened.name, opened.sha256) == ("tiny", "hash")
    assert torch.allclose(opened.encode(TEXTS[:4]), encoder.encode(TEXTS[:4]), atol=1e-5)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: write(f, model_type="llama"),
        lambda f: write(f, position_embedding_type="relative_key"),
        lambda f: write(f, num_hidden_layers=3),
        lambda f: (f / "tokenizer.json").write_text("{"),
        lambda f: (f / "config.json").write_text("[]"),
        lambda f: (f / "model.safetensors").write_bytes(b"no"),
        lambda f: (f / "model.safetensors").unlink(),
    ],
    ids=["llama", "positions", "layers", "tokenizer", "config", "weights", "no weights"],
)
def test_what_is_no_encoder_is_refused_with_what_to_do(tmp_path: Path, spoil: object) -> None:
    folder = write(tmp_path / "e")
    spoil(folder.path)  # type: ignore[operator]
    with pytest.raises(BaseModelError, match="encoder tiny cannot be read") as refused:
        open_encoder(folder, "hash")
    assert refused.value.hint


@pytest.mark.slow
def test_states_are_those_of_transformers(encoder: Counting) -> None:
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig(**tiny_config()), add_pooling_layer=False).eval()
    model.load_state_dict(tiny_tensors(), strict=False)
    ids = torch.tensor([[3, 17, 42, 5, 60], [8, 8, 21, 33, 2]])
    with torch.no_grad():
        expected = model(input_ids=ids).last_hidden_state
    assert torch.allclose(encoder._bert.states(ids), expected, atol=1e-5)
