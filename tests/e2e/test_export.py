"""llama.cpp says what torch says: SmolLM2 as F16 GGUF, plain, with a LoRA beside it and merged."""

from pathlib import Path

import pytest
import torch

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.load import Base, load_base
from dlm_core.bases.placement import choose_placement
from dlm_core.bases.registry import parse_base_name
from dlm_core.bases.sources import find_base
from dlm_core.export import gguf_file, quant
from dlm_core.export.fold import Weights, stacked
from dlm_core.export.gguf_shape import Shape
from dlm_core.requests import Message
from tests.tiny import make_spec
from tests.unit.export.llamacpp import LlamaCpp

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

TOKENS = 64
CLOSE_CALL = 0.01  # llama.cpp multiplies in F16: where two tokens are so near in logits, either may be first
PROMPTS = (
    "What is the capital of France?",
    "Write a haiku about rain.",
    "List three uses of a paper clip.",
    "Explain photosynthesis to a child.",
    "What is 17 + 25?",
    "Translate 'good morning' to Spanish.",
    "Name five animals that live in the sea.",
    "How do I boil an egg?",
    "Why is the sky blue?",
    "Write a short letter to a landlord.",
    "What does HTTP stand for?",
    "Give me a synonym for 'happy'.",
    "Who wrote Hamlet?",
    "Describe a bicycle in one sentence.",
    "What is the boiling point of water in °C?",
    "Sum up the story of Cinderella.",
    "How many days are in 2024's February?",
    "Write Python that prints 1, 2, 3.",
    "What is a noun?",
    "Tell me about the Größe of the Moon — naïvely.",
)


class Written:
    """The base and a LoRA of random numbers, written as F16; the model in torch holds the rounded weights."""

    def __init__(self, base: Base, folder: Path) -> None:
        self.base, self.bank = base, Bank(base.model)
        self.shape = Shape(base.model)
        spec = make_spec("noise", tuple(self.bank.layers), "lora", rank=4, alpha=8)
        adapter = AdapterWeights.initial(spec, self.bank.features, 1)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for layer in adapter.layers.values():
                layer.b.add_(torch.randn(layer.b.shape, generator=generator), alpha=0.02)
        self.lora = stacked("noise", [adapter], {"noise": 1.0}, list(self.bank.layers))
        self.plain, self.merged, self.beside = (folder / f"{n}.gguf" for n in ("plain", "merged", "beside"))
        for path, lora in ((self.plain, None), (self.merged, self.lora)):
            gguf_file.write_model(
                path,
                base,
                self.shape,
                self.weights(lora),
                title="smollm2",
                number_format="f16",
                stop=lambda: False,
            )
        gguf_file.write_lora(self.beside, self.lora, self.shape, title="noise")

    def weights(self, lora: AdapterWeights | None) -> Weights:
        return Weights(self.base.model, self.bank, lora, transposed=False)


@pytest.fixture(scope="module")
def written(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = find_base(parse_base_name("smollm2-135m", Path.cwd()), home=home, report=lambda _: None)
    base = load_base(folder, choose_placement("fp32", "cpu"), lambda _: None)
    return Written(base, tmp_path_factory.mktemp("gguf"))


@pytest.mark.parametrize("kind", ["plain", "lora", "merged"])
def test_llama_cpp_gives_the_same_greedy_tokens(written: Written, kind: str) -> None:
    """Every token of llama.cpp's is torch's own choice at its place, so that both say the same."""
    runtime = LlamaCpp(
        written.merged if kind == "merged" else written.plain, written.beside if kind == "lora" else None
    )
    base = written.base
    merged = written.lora if kind == "merged" else None
    names = gguf_file.names_in_file(written.shape, written.weights(merged))
    other, close, count = 0, 0, 0
    with quant.applied(written.weights(merged), names, "f16"):
        plan = ServingPlan(written.bank, [written.lora], {"noise": 1.0}) if kind == "lora" else None
        written.bank.use(plan)
        for prompt in PROMPTS:
            ids = base.chat.encode([Message("user", prompt)], add_generation_prompt=True)
            said = runtime.greedy(ids, TOKENS)
            assert len(said) == TOKENS or said[-1] in base.end_token_ids
            with torch.inference_mode():
                logits = base.model(torch.tensor([ids + said])).logits[0, len(ids) - 1 : -1]
            best = logits.max(-1).values
            chosen = logits.gather(1, torch.tensor(said).unsqueeze(1)).squeeze(1)
            other += int((best - chosen > CLOSE_CALL).sum())
            close += int(((best - chosen > 0) & (best - chosen <= CLOSE_CALL)).sum())
            count += len(said)
        written.bank.use(None)
    assert count > 500
    assert other == 0, f"{other} of {count} tokens differ"
    assert close <= count // 200, f"{close} of {count} tokens were close calls that fell the other way"


def test_llama_cpp_cuts_text_as_the_base_does(written: Written) -> None:
    runtime = LlamaCpp(written.plain)
    for prompt in PROMPTS:
        text = written.base.chat.render([Message("user", prompt)], add_generation_prompt=True)
        ids = written.base.chat.encode([Message("user", prompt)], add_generation_prompt=True)
        assert runtime.tokens_of(text) == ids, prompt
