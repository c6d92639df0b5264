"""What stands for the gates: means, least squares and fits, each measured against the engine."""

from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.errors import ExportError, Stopped, UsageError
from dlm_core.export.choose import choose
from dlm_core.export.constants import Constants, Moments, exact
from dlm_core.export.fold import Weights, delta, stacked
from dlm_core.export.reference import Observer, Sample
from dlm_core.export.routing import resolve
from dlm_core.inference.chat import Chat, ServingSet
from dlm_core.requests import RoutingChoice
from tests.tiny import Desk, logits, make_adapter, make_model, make_spec

PIN = RoutingChoice(mode="pin", adapter="facts")


def chat_of(desk: Desk) -> Chat:
    chat = desk.engine._chat
    assert chat is not None
    return chat


def observer_of(desk: Desk, choice: RoutingChoice, stop: bool = False) -> Observer:
    workshop = desk.engine._workshop
    assert workshop is not None
    return Observer(chat_of(desk), workshop.head, choice, lambda: stop)


def served(bank: Bank, adapters: Sequence[AdapterWeights], weights: dict[str, float]) -> torch.Tensor:
    bank.use(ServingPlan(bank, adapters, weights))
    try:
        return logits(bank.model)
    finally:
        bank.use(None)


def test_least_squares_is_nearer_to_the_gated_layer_than_the_mean() -> None:
    bank = Bank(make_model())
    module = "model.layers.0.mlp.up_proj"
    adapters = [
        make_adapter(make_spec("a", (module,), rank=3), bank.features, 1),
        make_adapter(make_spec("b", (module,), rank=2, bottleneck_dim=2, normalize=True), bank.features, 2),
    ]
    weights = {"a": 0.6, "b": 0.4}
    moments = Moments(adapters, weights)
    x = torch.randn(1, 200, bank.features[module][0], generator=torch.Generator().manual_seed(1))
    moments.add(module, x, weights, of_document=True)
    wanted = ServingPlan(bank, adapters, weights).delta(module, x)
    assert wanted is not None

    def distance(constants: Constants) -> float:
        got = ServingPlan(bank, [constants.static(a) for a in adapters], weights).delta(module, x)
        assert got is not None
        return float(functional.mse_loss(got, wanted).detach())

    best = distance(moments.least_squares())
    assert best < distance(moments.mean())
    for scale in (0.9, 1.1):
        moved = {n: {m: c * scale for m, c in by.items()} for n, by in moments.least_squares().values.items()}
        assert best < distance(Constants("least_squares", moved))


def test_the_mean_is_taken_where_each_adapter_is_routed_to() -> None:
    bank = Bank(make_model())
    module = "model.layers.0.mlp.up_proj"
    adapter = make_adapter(make_spec("a", (module,), rank=3), bank.features)
    one, other = (torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    moments, alone = Moments([adapter], {"a": 0.5}), Moments([adapter], {"a": 0.5})
    moments.add(module, one, {"a": 1.0}, of_document=True)
    moments.add(module, other, {"a": 0.0}, of_document=True)
    moments.add(module, other, {"a": 1.0}, of_document=False)
    alone.add(module, one, {"a": 1.0}, of_document=True)
    layer = adapter.layers[module]
    assert layer.gate_weight is not None and layer.gate_bias is not None
    by_hand = torch.sigmoid(one[0] @ layer.gate_weight.T + layer.gate_bias).mean(0)
    torch.testing.assert_close(moments.mean().values["a"][module], by_hand)
    torch.testing.assert_close(alone.mean().values["a"][module], by_hand)


def test_one_lora_says_what_several_adapters_say_together() -> None:
    model = make_model()
    bank = Bank(model)
    every = tuple(bank.layers)
    adapters = [
        make_adapter(make_spec("a", every, "lora", rank=2), bank.features, 1),
        make_adapter(make_spec("b", every[:5], "lora", rank=5, alpha=3), bank.features, 2),
    ]
    weights = {"a": 0.7, "b": 0.3}
    one = stacked("mixture", adapters, weights, every)
    assert {layer.a.shape[0] for layer in one.layers.values()} == {7} and one.spec.scale == 1.0
    expected = served(bank, adapters, weights)
    torch.testing.assert_close(served(bank, [one], {"mixture": 1.0}), expected, rtol=1e-4, atol=1e-5)
    merged = Weights(model, bank, one, transposed=False)
    plain = Weights(model, bank, None, transposed=False)
    for name in merged.names():
        added = delta(one, name.removesuffix(".weight"))
        expected_weight = plain.get(name) if added is None else plain.get(name) + added
        torch.testing.assert_close(merged.get(name), expected_weight)


@pytest.mark.slow
def test_the_gate_is_replaced_by_its_mean_over_the_training_prompts(trained: Desk) -> None:
    serving = chat_of(trained).serving
    routing = resolve(RoutingChoice(), serving)
    assert serving.gate is not None
    assert routing.gate_mode == "static_mean"
    assert dict(routing.weights) == pytest.approx(dict(serving.gate.meta.mean_weights), abs=1e-5)
    assert resolve(PIN, serving).weights == {"facts": 1.0, "tone": 0.0}
    assert [a.spec.name for a in resolve(PIN, serving).active(serving)] == ["facts"]
    mixed = resolve(RoutingChoice(mode="mix", mix={"facts": 3, "tone": 1}), serving)
    assert (mixed.gate_mode, mixed.weights) == ("mix", {"facts": 0.75, "tone": 0.25})
    with pytest.raises(UsageError, match="nobody"):
        resolve(RoutingChoice(mode="pin", adapter="nobody"), serving)
    with pytest.raises(ExportError, match="trained"):
        resolve(RoutingChoice(), ServingSet((), None, "g0"))


@pytest.mark.slow
def test_the_engine_is_observed_under_its_own_routing(trained: Desk) -> None:
    document = trained.engine._document
    assert document is not None
    found = observer_of(trained, RoutingChoice()).observe(document, ["facts", "tone"])
    assert (len(found.questions), found.asked, found.of_prose) == (4, 4, False)
    for sample in found.questions:
        assert sum(sample.weights.values()) == pytest.approx(1)
        answer = sample.ids[0, sample.positions[0] + 1 :]
        told = chat_of(trained).base.tokenizer.decode(answer, skip_special_tokens=True)
        _, _, reply = trained.ask(question_in(sample, trained), max_tokens=len(sample.positions))
        assert told.startswith(reply.reply)
    only = observer_of(trained, PIN).observe(document, ["facts"])
    assert len(only.questions) == 2


def question_in(sample: Sample, desk: Desk) -> str:
    text = chat_of(desk).base.tokenizer.decode(sample.ids[0])
    question: str = text.partition("user\n")[2].partition("<|im_end|>")[0]
    return question


def test_the_constants_that_measure_best_are_taken(trained: Desk) -> None:
    document = trained.engine._document
    assert document is not None
    observer, said = observer_of(trained, PIN), []
    reference = observer.observe(document, ["facts"])
    chosen = choose(observer, reference, resolve(PIN, chat_of(trained).serving), 42, said.append)
    assert next(iter(chosen.tried)) == "mean"
    assert chosen.fidelity == chosen.tried[chosen.constants.method]
    if not chosen.fidelity.faithful:
        assert chosen.fidelity.rank() == max(f.rank() for f in chosen.tried.values())
    questions = chosen.fidelity.questions
    assert questions is not None and 0 <= questions.kept <= questions.learned <= 1
    assert any("mean openness" in s for s in said)


def test_an_export_that_is_the_engine_itself_measures_as_such(trained: Desk) -> None:
    """A plain LoRA under a pin has nothing to approximate."""
    from dlm_core.export.fidelity import measure

    document, chat = trained.engine._document, chat_of(trained)
    assert document is not None
    observer = observer_of(trained, PIN)
    reference = observer.observe(document, ["facts"])
    found = measure(observer, reference, chat.serving.adapters, {"facts": 1.0})
    assert found.questions is not None
    assert found.faithful and found.questions.same_reply == 1.0
    assert found.questions.kl == pytest.approx(0, abs=1e-3)
    assert found.neutral.perplexity_export == pytest.approx(found.neutral.perplexity_engine, rel=1e-2)
    bare = measure(observer, reference, [], {})
    assert bare.questions is not None and bare.questions.kl > found.questions.kl + 0.1


def test_factors_of_one_leave_a_lora_as_it_is() -> None:
    bank = Bank(make_model())
    adapter = make_adapter(make_spec("a", tuple(bank.layers), "lora"), bank.features)
    static = exact([adapter]).static(adapter)
    assert static.spec == adapter.spec
    for (_, _, x), (_, _, y) in zip(static.named_tensors(), adapter.named_tensors(), strict=True):
        assert torch.equal(x, y)


def test_stopping_ends_the_observation(trained: Desk) -> None:
    document = trained.engine._document
    assert document is not None
    with pytest.raises(Stopped, match="nothing was exported"):
        observer_of(trained, PIN, stop=True).observe(document, ["facts"])
