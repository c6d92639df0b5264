"""The real sentence encoder, fetched once into the home that test runs share, on the sample runbook."""

from pathlib import Path

import pytest
import torch

from dlm_core.document import load
from dlm_core.document.model import Document
from dlm_core.evaluation.offtopic import default_offtopic, load_offtopic
from dlm_core.evaluation.probes import load_probes
from dlm_core.retrieval.encoder import Encoder, load_encoder
from dlm_core.retrieval.index import Found, Index
from dlm_core.retrieval.passages import passages_of
from tests.e2e.conftest import HOME

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(HOME, report=lambda _: None)


@pytest.fixture(scope="module")
def runbook() -> Document:
    return load(ROOT / "sample_docs" / "runbook.dlm")


@pytest.fixture(scope="module")
def index(encoder: Encoder, runbook: Document) -> Index:
    return Index.build(passages_of(runbook.sections), encoder)


def is_outside(found: Found) -> bool:
    return found.outside >= max(c.probability for c in found.candidates)


def test_vectors_are_those_that_transformers_gives(encoder: Encoder) -> None:
    from transformers import BertModel

    folder = next((HOME / "cache" / "bases").glob("all-minilm-l6-v2*")) / "weights"
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True).eval()
    ids = encoder._tokenizer.encode("How do I stop a bad release?").ids
    with torch.no_grad():
        state = model(input_ids=torch.tensor([ids])).last_hidden_state.mean(1)
    given = encoder.encode(["How do I stop a bad release?"])
    assert torch.allclose(given, torch.nn.functional.normalize(state, dim=-1), atol=1e-5)


def test_meaning_is_found_where_no_word_is_shared(encoder: Encoder) -> None:
    release, rollback, cooking = encoder.encode(
        ["How do I stop a bad release?", "Roll back the deployment.", "Boil the pasta in salted water."]
    )
    assert float(release @ rollback) > float(release @ cooking) + 0.15


def test_reworded_questions_find_their_section(index: Index, runbook: Document) -> None:
    listed = [
        probe
        for file in (ROOT / "sample_docs/runbook.probes.yaml", ROOT / "benchmarks/runbook.more.probes.yaml")
        for probe in load_probes(file, runbook.adapter_names)
    ]
    found = [(index.search(probe.question), probe.answer) for probe in listed]
    right = sum(f.answers[0].passage.text.strip() == answer.strip() for f, answer in found)
    assert right >= 0.96 * len(listed)
    assert sum(is_outside(f) for f, _ in found) <= 0.03 * len(listed)


def test_what_the_document_says_nothing_about_is_outside(index: Index, runbook: Document) -> None:
    listed = default_offtopic(runbook.path)
    assert listed is not None
    prompts = load_offtopic(listed)
    assert sum(is_outside(index.search(prompt)) for prompt in prompts) >= 0.95 * len(prompts)


def test_a_prompt_in_free_words_gets_its_own_answer(index: Index) -> None:
    assert "deploy" in index.search("How do I stop a bad release?").answers[0].passage.text
