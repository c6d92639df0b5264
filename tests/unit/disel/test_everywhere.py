"""Gated adapters where models are trained and run in earnest: encoders, recomputed activations, compiled
graphs, mixed precision, quantised bases.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import nn
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification

from dlm_core.disel import build_optimizer, enable_disel, from_pretrained, record_openness
from dlm_core.disel.attach import named_gates

from .conftest import TOKENS, logits, make_base, make_config, make_gated, scramble

MASK, ODD = 4, 7
ENCODER = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 40,
    "type_vocab_size": 1,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.2,
}


def make_encoder(kind: Callable[[RobertaConfig], nn.Module]) -> nn.Module:
    """The same encoder every time, whatever head it has."""
    torch.manual_seed(7)
    return kind(RobertaConfig(**ENCODER, num_labels=2)).eval()


def sentences(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids, and for each sentence whether `ODD` is among them."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(8, 64, (count, 8), generator=generator)
    labels = torch.arange(count) % 2
    ids[labels == 1, 3] = ODD
    return ids, labels


@pytest.fixture(scope="module")
def classifier() -> PeftModel:
    """An encoder that has learned to tell sentences apart."""
    config = make_config(
        task_type="SEQ_CLS", target_modules=["query", "value", "dense"], exclude_modules=".*classifier.*"
    )
    model = enable_disel(get_peft_model(make_encoder(RobertaForSequenceClassification), config), config)
    optimiser = build_optimizer(model, base_lr=5e-3)
    ids, labels = sentences(64, seed=1)
    for _ in range(40):
        optimiser.zero_grad()
        model(ids, labels=labels).loss.backward()
        optimiser.step()
    return model.eval()


def test_all_linear_layers_of_an_encoder_are_gated_and_its_head_trains_whole() -> None:
    config = make_config(task_type="SEQ_CLS")
    model = enable_disel(get_peft_model(make_encoder(RobertaForSequenceClassification), config), config)
    layers = [path for path, _, _ in named_gates(model)]
    assert len(layers) == 12 and not any("classifier" in path for path in layers)
    heads = {name for name, p in model.named_parameters() if p.requires_grad and "lora_" not in name}
    assert len(heads) == 4 and all("classifier.modules_to_save" in name for name in heads)


@pytest.mark.slow
def test_an_encoder_learns_a_classification_and_its_gates_move(classifier: PeftModel) -> None:
    ids, labels = sentences(40, seed=2)
    with torch.no_grad(), record_openness(classifier) as recorder:
        right = (classifier(ids).logits.argmax(-1) == labels).float().mean()
    assert right > 0.9
    opened = recorder.mean()
    assert opened is not None and abs(opened - 1 / (1 + math.exp(3))) > 0.01
    assert len(recorder.per_layer()) == 10  # query, value and three dense of two layers


@pytest.mark.slow
def test_an_encoders_head_and_gates_are_saved_and_come_back(classifier: PeftModel, tmp_path: Path) -> None:
    ids, _ = sentences(8, seed=3)
    classifier.save_pretrained(tmp_path)
    back = from_pretrained(make_encoder(RobertaForSequenceClassification), tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(back(ids).logits, classifier(ids).logits)


def test_what_an_encoder_keeps_is_measured_by_its_masked_words(classifier: PeftModel) -> None:
    words, encoder = make_encoder(RobertaForMaskedLM), classifier.base_model.model.roberta
    ids, _ = sentences(16, seed=4)

    def told(reads: nn.Module) -> torch.Tensor:
        masked = ids.clone()
        masked[:, 5] = MASK
        with torch.no_grad():
            return words.lm_head(reads(masked).last_hidden_state[:, 5]).log_softmax(-1)

    def perplexity() -> float:
        return float(nn.functional.cross_entropy(told(encoder), ids[:, 5]).exp())

    base = told(words.roberta)
    trained = perplexity()
    with classifier.disable_adapter():
        assert torch.equal(told(encoder), base), "without the adapter the encoder is what it was"
        assert perplexity() != trained
    biases = [(gate.linear.bias, gate.linear.bias.clone()) for _, _, gate in named_gates(classifier)]
    with torch.no_grad():
        for bias, _ in biases:
            bias.fill_(-200.0)
        assert torch.allclose(told(encoder), base, atol=1e-5), "closed gates leave every word to the base"
        for bias, kept in biases:
            bias.copy_(kept)
    assert perplexity() == trained


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """Gradients of a language-modelling step; the model is left without."""
    model.train()
    model(input_ids=TOKENS, labels=TOKENS).loss.backward()
    found = {
        n.replace("_orig_mod.", ""): p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
    }
    model.zero_grad()
    return found


def trained() -> PeftModel:
    model = make_gated()
    scramble(model)
    return model


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor], within: float = 1e-5) -> None:
    assert ours.keys() == theirs.keys() and any("lora_disel_gate" in name for name in ours)
    for name, gradient in ours.items():
        assert torch.allclose(gradient, theirs[name], atol=within * float(theirs[name].abs().max()) + 1e-9), (
            name
        )


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")
@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_activations_give_the_same_gradients(reentrant: bool) -> None:
    expected = gradients(trained())
    model = trained()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    model.enable_input_require_grads()
    assert_same(gradients(model), expected)


@pytest.mark.slow
def test_gated_layers_compile_into_one_graph_that_says_and_learns_the_same() -> None:
    block = trained().get_submodule("base_model.model.model.layers.1.mlp").train()
    x = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(5))

    def learned(run: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
        block.zero_grad()
        said = run(x)
        said.square().sum().backward()
        return said, [p.grad.clone() for p in block.parameters() if p.grad is not None]

    said, gradients = learned(block)
    again, others = learned(torch.compile(block, backend="aot_eager", fullgraph=True))
    assert torch.allclose(again, said, atol=1e-5) and len(others) == len(gradients) > 0
    for ours, theirs in zip(others, gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))


def test_under_mixed_precision_gates_are_kept_and_learned_in_fp32() -> None:
    base = make_base().to(torch.bfloat16)
    config = make_config()
    model = enable_disel(get_peft_model(base, config), config)
    scramble(model)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(model)
    gates = {name: gradient for name, gradient in found.items() if "lora_disel_gate" in name}
    assert gates and {gradient.dtype for gradient in gates.values()} == {torch.float32}
    assert {p.dtype for _, _, gate in named_gates(model) for p in gate.parameters()} == {torch.float32}
    values = list[torch.Tensor]()
    _, _, gate = next(named_gates(model))
    handle = gate.register_forward_hook(lambda module, args, out: values.append(out))
    with torch.autocast("cpu", torch.bfloat16):
        logits(model)
    handle.remove()
    assert values[0].dtype == torch.float32, "an openness near 0 has few digits in bfloat16"


@pytest.fixture(params=[pytest.param("8bit", marks=pytest.mark.slow), "4bit"])
def quantised(request: pytest.FixtureRequest) -> Iterator[nn.Module]:
    """A tiny base whose linear layers bitsandbytes has quantised."""
    bnb = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    model = make_base()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and "lm_head" not in name:
            size = (module.in_features, module.out_features, False)
            new = (
                bnb.nn.Linear8bitLt(*size, has_fp16_weights=False)
                if request.param == "8bit"
                else bnb.nn.Linear4bit(*size, compute_dtype=torch.float32, quant_type="nf4")
            )
            new.load_state_dict({"weight": module.weight.data})
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, new)
    model.is_loaded_in_8bit, model.is_loaded_in_4bit = request.param == "8bit", request.param == "4bit"
    yield model.to("cpu").requires_grad_(False)


@pytest.mark.slow
def test_a_quantised_base_gets_gates_that_start_closed_and_learn(
    quantised: nn.Module, tmp_path: Path
) -> None:
    base = logits(quantised)
    config = make_config(target_modules=["q_proj", "down_proj"])
    model = enable_disel(get_peft_model(quantised, config), config)
    assert len(list(named_gates(model))) == 4
    assert torch.allclose(logits(model), base, atol=1e-3), "B is zero, so nothing is added"
    optimiser = build_optimizer(model, base_lr=1e-2)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = model(input_ids=TOKENS, labels=TOKENS).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.02
    before = logits(model.eval())
    model.save_pretrained(tmp_path)
    model.delete_adapter("default")
    back = from_pretrained(model.unload(), tmp_path).eval()
    assert torch.allclose(logits(back), before, atol=1e-4)
