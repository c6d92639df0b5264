"""The lean forward against transformers' own with the bank in it: every kind of adapter, every routing."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.adapters.openness import OpennessRecorder
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.errors import UsageError
from dlm_core.inference.decoders import Decoders
from dlm_core.inference.generate import KeyValueCache, generate
from dlm_core.inference.sampling import Sampler
from dlm_core.llama import decode_forward as leaning
from dlm_core.llama.decode_forward import LeanBase, PromptStates, take_over
from dlm_core.llama.packed_linear import chosen_precision, product
from dlm_core.requests import Sampling
from tests.tiny import make_adapter, make_model, make_spec

PROMPT = [3, 17, 42, 5, 60, 1, 99, 8, 21, 33]
TOLERANCE = 2e-4  # of logits that spread over about 6
KINDS: dict[str, list[dict[str, Any]]] = {
    "disel": [{}, {}],
    "lora": [{"kind": "lora"}, {"kind": "lora"}],
    "mixed kinds and ranks": [{"rank": 3, "kind": "lora"}, {"rank": 5}, {"rank": 2, "alpha": 3.0}],
    "bottleneck and normalised": [{"bottleneck_dim": 2}, {"normalize": True}],
    "some layers only": [{"only": ("q_proj", "down_proj")}, {"only": ("v_proj", "up_proj", "o_proj")}],
}
ROUTINGS = {
    "pin": (0.0, 1.0, 0.0),
    "mix": (0.7, 0.2, 0.1),
    "off": (1 / 3, 1 / 3, 1 / 3),
    "base": (0.0, 0.0, 0.0),
}


class Stand:
    """A model with adapters on it, and both ways to run it."""

    def __init__(self, architecture: str, kinds: Sequence[dict[str, Any]]) -> None:
        self.model: Any = make_model(architecture)
        self.bank = Bank(self.model)
        lean = take_over(self.model)
        assert lean is not None
        self.lean: LeanBase = lean
        self.adapters: list[AdapterWeights] = []
        for number, kind in enumerate(kinds):
            only = kind.get("only")
            modules = [m for m in self.bank.layers if only is None or m.rsplit(".", 1)[-1] in only]
            spec = make_spec(f"a{number}", modules, **{k: v for k, v in kind.items() if k != "only"})
            self.adapters.append(make_adapter(spec, self.bank.features, seed=number))

    def weights(self, routing: str) -> dict[str, float]:
        return {a.spec.name: w for a, w in zip(self.adapters, ROUTINGS[routing], strict=False)}

    def reference(self, routing: str, ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
        weights = self.weights(routing)
        plan = ServingPlan(self.bank, self.adapters, weights) if any(weights.values()) else None
        if plan is not None:
            plan.recorder = OpennessRecorder(plan.layout)
        self.bank.use(plan)
        with torch.no_grad():
            logits = self.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]
        self.bank.use(None)
        gates = plan.recorder.flush() if plan is not None and plan.recorder is not None else None
        return logits, gates


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("kinds", KINDS)
def test_logits_and_openness_are_those_of_the_bank(kinds: str, routing: str) -> None:
    stand = Stand("llama_tied", KINDS[kinds])
    wanted, gates = stand.reference(routing, PROMPT)
    decoder = Decoders(stand.model, stand.bank, stand.lean, stand.adapters).under(stand.weights(routing))
    whole = decoder.forward(PROMPT, len(PROMPT)).clone()
    torch.testing.assert_close(whole, wanted, atol=TOLERANCE, rtol=0)
    if gates is not None and gates.numel():
        assert decoder.layout is not None
        torch.testing.assert_close(decoder.openness(0, len(PROMPT)), gates, atol=1e-5, rtol=0)
    else:
        assert decoder.layout is None
    decoder.past = None
    by_one = torch.cat([decoder.forward([i], 1) for i in PROMPT])
    torch.testing.assert_close(by_one, wanted, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param("llama_tied", marks=pytest.mark.slow),
        pytest.param("llama_untied", marks=pytest.mark.slow),
        pytest.param("qwen2", marks=pytest.mark.slow),
        pytest.param("gemma3", marks=pytest.mark.slow),
    ],
)
def test_greedy_tokens_are_those_of_transformers(architecture: str) -> None:
    stand = Stand(architecture, KINDS["disel"])
    weights = stand.weights("mix")
    said: list[list[int]] = []
    for lean in (None, stand.lean):
        decoder = Decoders(stand.model, stand.bank, lean, stand.adapters).under(weights)
        steps = generate(
            decoder,
            PROMPT,
            Sampler(Sampling()),
            limit=300,  # keys and values outgrow their first room
            end_tokens=frozenset(),
            cache=KeyValueCache(),
            key=None,
            stop=lambda: False,
        )
        said.append([s.token for s in steps if s.token is not None])
        decoder.close()
    assert said[0] == said[1] and len(said[0]) == 300


@pytest.mark.parametrize("at_a_time", [1, 3, 12])
def test_layers_that_see_a_window_read_no_more_however_a_text_comes(at_a_time: int) -> None:
    stand = Stand("gemma3", KINDS["disel"])
    assert {sight.window for sight in stand.lean.shape.sights} == {8, None}
    ids = (PROMPT * 3)[:24]
    wanted, _ = stand.reference("mix", ids)
    decoder = Decoders(stand.model, stand.bank, stand.lean, stand.adapters).under(stand.weights("mix"))
    parts = [ids[i : i + at_a_time] for i in range(0, len(ids), at_a_time)]
    found = torch.cat([decoder.forward(part, len(part)).clone() for part in parts])
    torch.testing.assert_close(found, wanted, atol=TOLERANCE, rtol=0)


def test_rows_of_other_lengths_see_their_own_windows() -> None:
    model: Any = make_model("gemma3")
    lean = take_over(model)
    assert lean is not None
    rows = lean.rows(2)
    texts = [(PROMPT * 2)[:17], PROMPT[:5]]
    for text in texts:
        one = lean.keys_values()
        lean.logits(text, one, None, 1)
        rows.join(one)
    found = lean.next_logits([21, 33], rows, None)
    for place, (text, last) in enumerate(zip(texts, (21, 33), strict=True)):
        with torch.no_grad():
            wanted = model(input_ids=torch.tensor([[*text, last]])).logits[0, -1]
        torch.testing.assert_close(found[place], wanted, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("architecture", ["gpt2", "opt"])
def test_other_shapes_are_left_to_transformers(architecture: str) -> None:
    assert take_over(make_model(architecture)) is None


def test_a_forward_that_disagrees_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    class OneSided(nn.Module):
        def forward(self, h: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            return h * weight

    monkeypatch.setattr(leaning.LeanBase, "_norm", lambda self, h, weight: h * weight)
    assert take_over(make_model()) is None


def test_other_number_formats_are_left_to_transformers() -> None:
    assert take_over(make_model().bfloat16()) is None


def test_states_of_prompts_typed_letter_by_letter_are_those_of_whole_prompts() -> None:
    model: Any = make_model()
    lean = take_over(model)
    assert lean is not None
    states = PromptStates(lean)
    for end in (6, 7, 10, 4):
        ids = [*PROMPT[:end], 1, 99]
        with torch.no_grad():
            wanted = model.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
        torch.testing.assert_close(states(ids), wanted, atol=1e-4, rtol=0)


def test_float16_weights_say_what_float32_says() -> None:
    model: Any = make_model()
    lean, exact = take_over(model, "float16"), take_over(model)
    assert lean is not None and exact is not None
    near = lean.logits(PROMPT, lean.keys_values(), None, 4)
    wanted = exact.logits(PROMPT, exact.keys_values(), None, 4)
    torch.testing.assert_close(near, wanted, atol=5e-3, rtol=0)
    memory = lean.keys_values()
    by_one = torch.cat([lean.logits([i], memory, None, 1) for i in PROMPT])[-4:]
    torch.testing.assert_close(by_one, near, atol=lean.lead, rtol=0)  # however many rows a draft adds


def test_float16_holds_what_came_in_bfloat16_without_loss() -> None:
    came = torch.randn(48, 64).bfloat16().float()
    rows = torch.randn(3, 64)
    torch.testing.assert_close(product([came], [None], "float16")(rows), rows @ came.t(), atol=1e-4, rtol=0)


def test_weights_beyond_float16_stay_in_float32() -> None:
    wide = torch.randn(48, 64)
    wide[3, 5] = 1e6
    rows = torch.randn(2, 64)
    torch.testing.assert_close(product([wide], [None], "float16")(rows), rows @ wide.t())


def test_int8_weights_stay_near() -> None:
    model: Any = make_model()
    lean, exact = take_over(model, "int8"), take_over(model)
    assert lean is not None and exact is not None
    near = lean.logits(PROMPT, lean.keys_values(), None, 4)
    wanted = exact.logits(PROMPT, exact.keys_values(), None, 4)
    assert 1e-4 < float((near - wanted).abs().max() / wanted.std()) < 0.2


def test_the_number_format_is_asked_for_by_name() -> None:
    assert chosen_precision({}) == "float16" and chosen_precision({"DLM_WEIGHTS": " INT8 "}) == "int8"
    assert chosen_precision({"DLM_WEIGHTS": "float32"}) == "float32"
    with pytest.raises(UsageError) as caught:
        chosen_precision({"DLM_WEIGHTS": "int4"})
    assert "int8" in caught.value.hint
