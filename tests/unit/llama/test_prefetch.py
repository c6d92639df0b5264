"""Weights packed from their files while the model is still being made are those that the model has."""

import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from dlm_core.bases.placement import Placement
from dlm_core.llama import decode_forward as leaning
from dlm_core.llama import prefetch as packing
from dlm_core.llama.decode_forward import LeanBase, take_over
from dlm_core.llama.packed_linear import Precision, Product
from dlm_core.llama.prefetch import PackedAhead, packed_ahead
from tests.tiny import make_model

PLACEMENT = Placement("cpu", torch.float32, None, "a test")
PROMPT = [3, 17, 42, 5, 60, 1, 99, 8]


def logits(lean: LeanBase | None) -> torch.Tensor:
    assert lean is not None
    return lean.logits(PROMPT, lean.keys_values(), None, len(PROMPT))


def saved(model: Any, folder: Path, **how: Any) -> Path:
    model.save_pretrained(folder, **how)
    return folder


@pytest.fixture
def packs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Product:
        raise AssertionError("it was not packed ahead")

    monkeypatch.setattr(leaning, "product", refuse)


def wait_for(ahead: PackedAhead) -> None:
    for future in ahead._packed.values():
        future.exception()


@pytest.mark.usefixtures("packs_nothing")
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("architecture", ["llama_tied", "llama_untied", "qwen2"])
def test_all_products_are_there_when_the_model_is(
    architecture: str, sharded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = make_model(architecture)
    folder = saved(model, tmp_path, **({"max_shard_size": "20KB"} if sharded else {}))
    assert (folder / packing.INDEX).exists() == sharded
    with packed_ahead(folder, PLACEMENT, "float32") as ahead:
        wait_for(ahead)
        found = logits(take_over(model, "float32", ahead))
    monkeypatch.undo()
    torch.testing.assert_close(found, logits(take_over(model)), atol=0, rtol=0)


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_other_number_formats_and_weights_saved_as_halves(precision: Precision, tmp_path: Path) -> None:
    model: Any = make_model().bfloat16()
    folder = saved(model, tmp_path)
    model = model.float()
    with packed_ahead(folder, PLACEMENT, precision) as ahead:
        wait_for(ahead)
        found = logits(take_over(model, precision, ahead))
    torch.testing.assert_close(found, logits(take_over(model, precision)), atol=0, rtol=0)


def test_a_file_that_says_otherwise_than_the_model_is_not_believed(tmp_path: Path) -> None:
    model: Any = make_model()
    folder = saved(make_model(), tmp_path)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.mul_(1.5)
    with packed_ahead(folder, PLACEMENT, "float32") as ahead:
        wait_for(ahead)
        found = logits(take_over(model, "float32", ahead))
    torch.testing.assert_close(found, logits(take_over(model)), atol=0, rtol=0)


def test_what_is_not_packed_yet_is_packed_by_who_needs_it(tmp_path: Path) -> None:
    model: Any = make_model()
    never: Future[Product] = Future()
    broken: Future[Product] = Future()
    broken.set_exception(OSError("the disk is gone"))
    layers = [("model.layers.0.mlp.down_proj",), ("model.layers.0.self_attn.o_proj",)]
    ahead = PackedAhead(dict(zip(layers, (never, broken), strict=True)))
    found = logits(take_over(model, "float32", ahead))
    torch.testing.assert_close(found, logits(take_over(model)), atol=0, rtol=0)
    assert never.cancelled()


@pytest.mark.parametrize("what", ["cut", "no index", "no config", "not json", "nothing"])
def test_files_that_cannot_be_read_are_left_to_who_loads_them(what: str, tmp_path: Path) -> None:
    folder = saved(make_model(), tmp_path)
    weights, config = folder / packing.WHOLE, folder / "config.json"
    if what == "cut":
        weights.write_bytes(weights.read_bytes()[:3000])
    elif what == "no index":
        (folder / packing.INDEX).write_text('{"weight_map": 7}')
    elif what == "not json":
        config.write_text("{")
    else:
        (config if what == "no config" else weights).unlink()
    with packed_ahead(folder, PLACEMENT, "float32") as ahead:
        wait_for(ahead)
        assert ahead.take(["model.layers.0.mlp.down_proj"]) is None


def test_only_what_may_be_taken_over_is_packed(tmp_path: Path) -> None:
    placements = [
        replace(PLACEMENT, device="cuda:0"),
        replace(PLACEMENT, weights_dtype=torch.bfloat16),
    ]
    llama, gpt2 = saved(make_model(), tmp_path / "llama"), saved(make_model("gpt2"), tmp_path / "gpt2")
    for folder, placement in [*((llama, p) for p in placements), (gpt2, PLACEMENT)]:
        with packed_ahead(folder, placement, "float32") as ahead:
            assert not ahead._packed
    with packed_ahead(llama, PLACEMENT, "float32") as ahead:
        assert len(ahead._packed) == 2 * 4 + 1


def test_the_interpreter_changes_hands_as_before_even_after_a_failure(tmp_path: Path) -> None:
    before, folder = sys.getswitchinterval(), saved(make_model(), tmp_path)
    with pytest.raises(KeyError), packed_ahead(folder, PLACEMENT, "float32"):
        assert sys.getswitchinterval() < before
        raise KeyError
    assert sys.getswitchinterval() == pytest.approx(before)


def test_what_nobody_took_does_not_go_on_being_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[Any] = []

    def slowly(tensors: Any, precision: Precision) -> Product:
        packed.append(tensors)
        return cast(Product, None)

    folder = saved(make_model(), tmp_path)
    monkeypatch.setattr(packing, "_pack", slowly)
    with packed_ahead(folder, PLACEMENT, "float32") as ahead:
        for future in ahead._packed.values():
            future.cancel()
    assert len(packed) <= 1
