"""Two processes train one gated adapter under DistributedDataParallel."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.children import free_port, learn_in_parallel, start

from .conftest import TOKENS, make_gated, scramble


@pytest.mark.slow
def test_two_processes_learn_what_one_does_from_all_rows(tmp_path: Path) -> None:
    port = free_port()
    children = [start(learn_in_parallel, tmp_path, rank, port) for rank in range(2)]
    model = make_gated().train()
    scramble(model)
    model(input_ids=TOKENS, labels=TOKENS).loss.backward()
    for child in children:
        child.join(120)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert first.keys() == second.keys() == expected.keys()
    assert any("lora_disel_gate" in name for name in first)
    for name, gradient in expected.items():
        assert gradient is not None and torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], gradient, atol=1e-5, rtol=1e-3)
