"""The written-out forward and backward against transformers' under a TrainingPlan and autograd."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from dlm_core.adapters.bank import Bank
from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.openness import OpennessLayout
from dlm_core.adapters.spec import AdapterSpec, GateShape
from dlm_core.adapters.targets import is_attention
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.placement import Placement
from dlm_core.document.model import SectionKind
from dlm_core.document.model import Turn as Earlier
from dlm_core.llama.packing import pack
from dlm_core.llama.shape import find, fused_weight
from dlm_core.llama.training_forward import LeanForward
from dlm_core.training.batches import Batch, collate
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.passes import LeanPasses, PlanPasses, Turn, choose_passes
from dlm_core.training.processes import accelerator_for
from dlm_core.training.rehearsal import Rehearsal
from tests.tiny import slow

SIZES: dict[str, Any] = {
    "vocab_size": 90,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}


def llama(**changes: Any) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**(SIZES | {"tie_word_embeddings": True} | changes)))


def qwen2() -> nn.Module:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(Qwen2Config(**SIZES))


def qwen3() -> nn.Module:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=16))


def gemma3() -> nn.Module:
    """Its first layer sees the last four tokens, its second one all."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    kinds = ["sliding_attention", "full_attention"]
    model = Gemma3ForCausalLM(
        Gemma3TextConfig(**SIZES, head_dim=12, sliding_window=4, layer_types=kinds, query_pre_attn_scalar=20)
    )
    with torch.no_grad():  # its norms multiply with one and these
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(0, 0.3)
    return model


def mistral() -> nn.Module:
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4))


def llama31() -> nn.Module:
    scaling = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    }
    return llama(rope_parameters=scaling, attention_bias=True, mlp_bias=True)


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=90, n_embd=32, n_layer=2, n_head=4, n_positions=64))


class Letters:
    """An encoder whose tokens are the letters."""

    def encode_row(
        self, question: str, answer: str, system: str | None, before: Sequence[Earlier] = ()
    ) -> tuple[list[int], list[bool]]:
        raise NotImplementedError

    def encode_text(self, text: str) -> list[int]:
        return [ord(c) % 90 for c in text]


def row(length: int, adapter: str, seed: int) -> Row:
    ids = torch.randint(0, 90, (length,), generator=torch.Generator().manual_seed(seed)).tolist()
    loss = tuple(i >= length // 2 for i in range(length))
    return Row(tuple(ids), loss, adapter, f"s{seed}", f"row {seed}", SectionKind.INSTRUCTION)


class Bench:
    """A tiny base with three adapters (two gated ones of different rank, one `lora` on some layers) whose B
    has left zero, a batch of rows for two of them, and a text that the third rehearses. `lowest` is the first
    layer that any of them changes; with `feed_forward` they leave attention alone.
    """

    def __init__(
        self, make: Callable[[], nn.Module], *, lowest: int = 0, feed_forward: bool = False, **gate: Any
    ) -> None:
        torch.manual_seed(0)
        self.model = make().eval().requires_grad_(False)
        self.bank = Bank(self.model)
        self.head = SelectiveHead(self.model)
        frozen = tuple(f".{i}." for i in range(lowest))
        every = tuple(n for n in self.bank.features if not any(layer in n for layer in frozen))
        if feed_forward:
            every = tuple(n for n in every if not is_attention(n))
        some = tuple(n for n in every if n.endswith(("v_proj", "down_proj", "c_attn")))
        specs = [
            AdapterSpec("one", "disel", 4, 8.0, every, gate=GateShape(**gate)),
            AdapterSpec("two", "disel", 3, 3.0, every, gate=GateShape(**gate)),
            AdapterSpec("plain", "lora", 2, 4.0, some, gate=None),
        ]
        self.adapters = [AdapterWeights.initial(s, self.bank.features, 1) for s in specs]
        for adapter in self.adapters:
            for _, role, parameter in adapter.named_tensors():
                if role == "b":
                    nn.init.normal_(parameter, std=0.3)
            adapter.requires_grad_(True)
        self.names = [s.name for s in specs]
        self.flat = FlatAdapters(self.adapters)
        self.accelerator = accelerator_for(Placement("cpu", torch.float32, None, "for a test"))
        self.rehearsal = Rehearsal(self.head, self.bank, Letters(), ["a neutral text, read"], 1, "cpu")
        rows = [row(9, "one", 1), row(14, "two", 2), row(5, "one", 3)]
        self.batch: Batch = collate(rows, self.names, 0)

    def plan(self) -> PlanPasses:
        return PlanPasses(self.bank, self.head, self.adapters, self.flat, self.rehearsal, self.accelerator)

    def lean(self, dtype: torch.dtype = torch.float32) -> LeanPasses:
        shape = find(self.model)
        assert shape is not None
        forward = LeanForward(shape, self.flat, dtype)
        return LeanPasses(forward, self.adapters, self.rehearsal, torch.device("cpu"))

    def gradients(self) -> dict[tuple[str, str, str], torch.Tensor]:
        return {
            (f.adapter.spec.name, module, role): f.gradient(module, role).clone()
            for f in self.flat.each
            for module, role, _ in f.adapter.named_tensors()
        }

    def step(self, passes: Any) -> tuple[Any, dict[tuple[str, str, str], torch.Tensor]]:
        self.flat.begin_step()
        text, _ = self.rehearsal.pick(0, 3)
        columns = {n: (("one", 4), ("two", 3)) for n in self.bank.layers}
        outcome = passes.learn(self.batch, 0.5, Turn(text, 2, 2.0), OpennessLayout(columns))
        return outcome, self.gradients()


@pytest.mark.parametrize("make", [llama, llama31, qwen2, qwen3, gemma3, mistral])
@pytest.mark.parametrize("gate", [slow({}), {"normalize": True}])
def test_losses_gradients_and_openness_are_those_of_transformers(
    make: Callable[[], nn.Module], gate: dict[str, Any]
) -> None:
    bench = Bench(make, **gate)
    wanted, gradients = bench.step(bench.plan())
    found, mine = bench.step(bench.lean())
    torch.testing.assert_close(found.losses, wanted.losses, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.hits, wanted.hits)
    assert found.kl == pytest.approx(wanted.kl, rel=2e-2)
    assert any(g.abs().max() > 0 for key, g in gradients.items() if key[0] == "plain")
    for key, gradient in gradients.items():
        torch.testing.assert_close(
            mine[key], gradient, rtol=2e-3, atol=2e-4, msg=lambda m, k=key: f"{k}: {m}"
        )
    torch.testing.assert_close(found.recorder.flush(), wanted.recorder.flush(), rtol=1e-4, atol=1e-5)


def test_what_losses_say_of_their_own_weight_counts_both_ways_alike() -> None:
    bench = Bench(llama)

    def weigh(losses: torch.Tensor) -> torch.Tensor:
        return losses.sum() - 2 * losses

    def step(passes: Any) -> dict[tuple[str, str, str], torch.Tensor]:
        bench.flat.begin_step()
        text, _ = bench.rehearsal.pick(0, 3)
        passes.learn(bench.batch, 0.5, Turn(text, 2, 2.0), None, weigh)
        return bench.gradients()

    wanted, found = step(bench.plan()), step(bench.lean())
    plain = bench.step(bench.lean())[1]
    for key, gradient in wanted.items():
        torch.testing.assert_close(found[key], gradient, rtol=2e-3, atol=2e-3)
    assert any((found[key] - plain[key]).abs().max() > 0.1 for key in found)


def test_the_bare_base_is_checked_as_it_is_without_adapters() -> None:
    bench = Bench(llama)
    wanted = bench.plan().check(bench.batch, base=True).losses
    assert not torch.allclose(wanted, bench.plan().check(bench.batch).losses)
    torch.testing.assert_close(
        bench.lean().check(bench.batch, base=True).losses, wanted, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("make", [llama, qwen3, gemma3])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_in_half_precision_go_the_same_way(
    make: Callable[[], nn.Module], dtype: torch.dtype
) -> None:
    """Attention's own products too are in that type; what is left is rounding, at most some hundredths."""
    bench = Bench(make)
    first = bench.batch.rows[0]  # the last row shares its beginning, so that shared tokens are summed up too
    beside = replace(row(12, "one", 5), ids=first.ids[:6] + row(12, "one", 5).ids[6:])
    bench.batch = collate([*bench.batch.rows, beside], bench.names, 0)
    wanted, gradients = bench.step(bench.plan())
    found, mine = bench.step(bench.lean(dtype))
    torch.testing.assert_close(found.losses, wanted.losses, rtol=3e-2, atol=3e-2)
    assert found.kl == pytest.approx(wanted.kl, rel=0.1, abs=1e-3)
    for name in bench.names:
        exact, rounded = (
            torch.cat([g.flatten() for key, g in found.items() if key[0] == name])
            for found in (gradients, mine)
        )
        assert (rounded - exact).norm() < 0.06 * exact.norm(), name


@pytest.mark.parametrize("make", [llama, qwen3, gemma3])
@pytest.mark.parametrize(("lowest", "feed_forward"), [(0, False), (1, False), (0, True), (1, True)])
@pytest.mark.parametrize("alike", [slow(6), 9])
def test_what_rows_of_an_adapter_begin_with_is_read_once(
    make: Callable[[], nn.Module], lowest: int, feed_forward: bool, alike: int
) -> None:
    bench = Bench(make, lowest=lowest, feed_forward=feed_forward)
    first = row(9, "one", 1)
    rows = [first, row(14, "two", 2)]
    for length, seed in ((12, 3), (13, 4)):  # with nine alike, what they share carries loss in both
        other = row(length, "one", seed)
        loss = tuple(place >= 3 for place in range(length))
        rows.append(replace(other, ids=first.ids[:alike] + other.ids[alike:], loss=loss))
    rows.append(replace(first, ids=first.ids[:7], loss=first.loss[:7]))
    bench.batch = collate(rows, bench.names, 0)
    packed = pack([r.ids for r in rows], [bench.names.index(r.adapter) for r in rows], "cpu")
    assert packed.real == 9 + 14 + (12 - alike) + (13 - alike) + (7 - 6)
    wanted, gradients = bench.step(bench.plan())
    found, mine = bench.step(bench.lean())
    torch.testing.assert_close(found.losses, wanted.losses, rtol=1e-4, atol=1e-5)
    assert torch.equal(found.hits, wanted.hits)
    for key, gradient in gradients.items():
        torch.testing.assert_close(
            mine[key], gradient, rtol=2e-3, atol=2e-4, msg=lambda m, k=key: f"{k}: {m}"
        )


@pytest.mark.parametrize("room", [1 << 20, 1])
@pytest.mark.parametrize(("lowest", "feed_forward"), [(1, False), (0, True), (1, True)])
def test_what_lies_under_the_lowest_adapter_reads_a_text_once(
    lowest: int, feed_forward: bool, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlm_core.llama.training_forward._REMEMBERED_BYTES", room)
    bench = Bench(llama, lowest=lowest, feed_forward=feed_forward)
    wanted, gradients = bench.step(bench.plan())
    lean = bench.lean()
    read: list[int] = []
    monkeypatch.setattr(
        "dlm_core.llama.training_forward.pack", lambda *a: read.append(sum(map(len, a[0]))) or pack(*a)
    )
    for _ in range(2):
        found, mine = bench.step(lean)
        torch.testing.assert_close(found.losses, wanted.losses, rtol=1e-4, atol=1e-5)
        for key, gradient in gradients.items():
            torch.testing.assert_close(mine[key], gradient, rtol=2e-3, atol=2e-4)
        with torch.no_grad():
            for vector in (v for flat in bench.flat.each for v in flat.vectors.values()):
                vector.mul_(1.5)
        lean.changed()
        plan = bench.plan()
        plan.changed()
        wanted, gradients = bench.step(plan)
    tokens = sum(len(r.ids) for r in bench.batch.rows) + len("a neutral text, read")
    assert read == [tokens] if room > 1 else sum(read) > tokens


@pytest.mark.parametrize(("at_most", "reads"), [(40, [36, 24]), (1000, [60]), (1, [24, 26, 10])])
def test_what_is_expected_is_read_ahead_a_few_rows_at_a_time(
    at_most: int, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlm_core.llama.training_forward._READ_AHEAD", at_most)
    bench = Bench(llama, lowest=1)
    lengths = [[11, 13], [12, 14], [13, 10]]  # the third batch has a row of the first again
    rows = [[row(length, "one", length) for length in batch] for batch in lengths]
    batches = [collate(batch, bench.names, 0) for batch in rows]
    plan, lean = bench.plan(), bench.lean()
    wanted = [plan.check(batch).losses for batch in batches]
    read: list[int] = []
    monkeypatch.setattr(
        "dlm_core.llama.training_forward.pack", lambda *a: read.append(sum(map(len, a[0]))) or pack(*a)
    )
    lean.expect(r for batch in rows for r in batch)
    for batch, losses in zip(batches, wanted, strict=True):
        torch.testing.assert_close(lean.check(batch).losses, losses, rtol=1e-4, atol=1e-5)
    assert read == reads
    lean.expect([])
    unexpected = collate([row(9, "two", 9)], bench.names, 0)
    torch.testing.assert_close(
        lean.check(unexpected).losses, plan.check(unexpected).losses, rtol=1e-4, atol=1e-5
    )


def test_numbers_that_changed_are_stacked_anew() -> None:
    bench = Bench(llama)
    plan, lean = bench.plan(), bench.lean()
    before = lean.check(bench.batch).losses
    with torch.no_grad():
        for vector in (v for flat in bench.flat.each for v in flat.vectors.values()):
            vector.mul_(1.5)
    plan.changed()
    lean.changed()
    after = lean.check(bench.batch).losses
    assert not torch.allclose(after, before)
    torch.testing.assert_close(after, plan.check(bench.batch).losses, rtol=1e-4, atol=1e-5)


def test_an_adapter_without_rows_keeps_its_zero_gradient() -> None:
    bench = Bench(llama)
    bench.flat.begin_step()
    bench.lean().learn(bench.batch, 1.0, None, None)
    assert all(float(g.abs().max()) == 0 for key, g in bench.gradients().items() if key[0] == "plain")
    bench.flat.learn([0, 1])
    bench.flat.end_step()
    assert bench.flat.each[2].vectors["matrices"].grad is None
    assert bench.flat.each[0].vectors["matrices"].grad is not None


def test_only_what_has_the_shape_is_written_out() -> None:
    for make, kind in ((llama, LeanPasses), (gpt2, PlanPasses)):
        bench = Bench(make)
        chosen = choose_passes(
            bench.model, bench.bank, bench.head, bench.adapters, bench.flat, None, bench.accelerator, 14
        )
        assert isinstance(chosen, kind)


def test_a_base_that_says_something_else_than_transformers_is_left_to_transformers() -> None:
    bench = Bench(llama)
    layer: Any = bench.model.model.layers[0]  # type: ignore[union-attr,index]
    layer.self_attn.scaling *= 3  # something that the settings do not tell
    chosen = choose_passes(
        bench.model, bench.bank, bench.head, bench.adapters, bench.flat, None, bench.accelerator, 14
    )
    assert isinstance(chosen, PlanPasses)


def test_fused_weights_are_the_models_own() -> None:
    bench = Bench(llama)
    shape = find(bench.model)
    assert shape is not None
    block = shape.blocks[0]
    parts = [p.weight.clone() for p in (block.q, block.k, block.v)]
    fused = fused_weight((block.q, block.k, block.v))
    assert torch.equal(fused, torch.cat(parts))
    assert (
        fused_weight((block.q, block.k, block.v)).data_ptr() == fused.data_ptr() == block.q.weight.data_ptr()
    )


def test_released_adapters_own_their_numbers() -> None:
    bench = Bench(llama)
    value = bench.flat.each[0].value("model.layers.0.self_attn.q_proj", "b").clone()
    bench.flat.release()
    parameter = bench.adapters[0].layers["model.layers.0.self_attn.q_proj"].b
    assert torch.equal(parameter, value) and parameter.is_contiguous() and parameter.grad is None
    with torch.no_grad():
        bench.flat.each[0].vectors["matrices"].zero_()
    assert torch.equal(parameter, value)


def test_the_base_says_the_same_of_many_neutral_texts_at_once() -> None:
    bench = Bench(llama)
    texts = ["a neutral text, read", "another", "and a third one", "a neutral end"]
    ids = [torch.tensor([Letters().encode_text(text)]) for text in texts]
    together = bench.lean()._say(ids)
    assert [said.shape for said in together] == [(len(text), 90) for text in texts]
    for said, wanted in zip(together, bench.rehearsal._say(ids), strict=True):
        torch.testing.assert_close(said.float(), wanted.float(), atol=1e-3, rtol=1e-3)
