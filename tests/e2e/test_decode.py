"""The lean forward on the real base: greedy tokens and logits are those of transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dlm_core.bases.load import load_base
from dlm_core.bases.placement import choose_placement
from dlm_core.bases.registry import parse_base_name
from dlm_core.bases.sources import find_base
from dlm_core.llama.decode_forward import take_over
from dlm_core.llama.packed_linear import Precision

PROMPTS = (
    "The capital of France is",
    "Once upon a time, in a village by the sea,",
    "To reset a password, first",
)
TOLERANCE = {"float32": 1e-3, "float16": 0.1}  # of logits that spread over about 40


@pytest.fixture(scope="module")
def base(home: Path) -> Any:
    folder = find_base(parse_base_name("smollm2-135m", Path()), home=home, report=lambda _: None)
    return load_base(folder, choose_placement("fp32", "cpu"), lambda _: None)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_greedy_tokens_and_logits_are_those_of_transformers(base: Any, precision: Precision) -> None:
    lean = take_over(base.model, precision)
    assert lean is not None
    for text in PROMPTS:
        ids = base.tokenizer(text)["input_ids"]
        memory = lean.keys_values()
        logits, said = lean.logits(ids, memory, None, 1), []
        for _ in range(24):
            said.append(int(logits[-1].argmax()))
            logits = lean.logits(said[-1:], memory, None, 1)
        with torch.no_grad():
            wanted = base.model(input_ids=torch.tensor([ids + said]), use_cache=False).logits[0]
        assert wanted[len(ids) - 1 : -1].argmax(-1).tolist() == said
        found = lean.logits(ids + said, lean.keys_values(), None, len(ids) + 24)
        torch.testing.assert_close(found, wanted, atol=TOLERANCE[precision], rtol=0)
