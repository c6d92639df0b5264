"""What the gate reads: the base's state, or the sentence encoder's vectors where those route as well."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from dlm_core import taught
from dlm_core.errors import BaseModelError
from dlm_core.events import Log
from dlm_core.requests import Message, RoutingChoice
from dlm_core.routing.gate import SavedGate, load_gate
from dlm_core.routing.reads import Kind
from dlm_core.store.store import Store
from dlm_core.training import gate_phase
from tests.tiny import BODY, DLM_ID, Desk, desk, tiny_base

__all__ = ["desk", "tiny_base"]

GATE: dict[str, Any] = {"enabled": True, "cold_start_floor": 2, "steps": 12, "lr": 0.003}
pytestmark = pytest.mark.slow


class Words:
    """An encoder that knows words: each has a place of its own."""

    name, sha256, width = "words", "f" * 64, 64

    def encode(self, texts: Sequence[str], stop: Any = None) -> torch.Tensor:
        vectors = torch.zeros(len(texts), self.width)
        for row, text in enumerate(texts):
            for word in text.lower().strip("?.").split():
                vectors[row, hashlib.sha256(word.encode()).digest()[0] % self.width] += 1.0
        return torch.nn.functional.normalize(vectors, dim=-1)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Words:
    words = Words()
    monkeypatch.setenv("DLM_ENCODER", "auto")
    monkeypatch.setattr(taught, "load_encoder", lambda *_, **__: words)
    return words


def weights(desk: Desk, text: str) -> dict[str, float]:
    return desk.engine.route([Message("user", text)], RoutingChoice()).routing.weights


def gate_of(desk: Desk) -> SavedGate:
    """The gate as it was committed."""
    folder = Store.open(DLM_ID, desk.home, create=False).snapshot().gate_dir()
    assert folder is not None
    return load_gate(folder, ("facts", "tone"), hidden(desk))


def hidden(desk: Desk) -> int:
    return desk.engine._workshop.embedder.hidden_size  # type: ignore[union-attr]


def test_a_gate_on_the_encoder_routes_by_it_and_falls_back_to_the_base_without_it(
    desk: Desk, encoder: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.open(gate=GATE | {"embedding": "encoder"}).train()
    gate = gate_of(desk)
    assert (gate.meta.embedding, gate.meta.encoder_sha256) == ("encoder", encoder.sha256)
    assert gate.other is not None and gate.module is not None and gate.embeddings is not None
    by_words = weights(desk, "Say hello.")
    expected = gate.other(encoder.encode(["Say hello."]))[0].tolist()
    assert list(by_words.values()) == pytest.approx(expected, abs=1e-4)

    def none(*_: object, **__: object) -> None:
        raise BaseModelError("it is gone", "")

    monkeypatch.setattr(taught, "load_encoder", none)
    desk.engine = desk.new_engine()
    desk.engine.open(desk.path)
    without = weights(desk, "Say hello.")
    assert without != by_words and sum(without.values()) == pytest.approx(1, abs=1e-3)


def test_what_routes_best_is_found_out_and_said(desk: Desk, encoder: Words) -> None:
    desk.open(gate=GATE).train()
    said = [e.message for e in desk.of(Log) if e.code == "gate_embedding"]
    assert len(said) == 1 and "with sections left out it routes" in said[0]
    assert "with words left out" in said[0] and said[0].count("by the") == 2
    meta = gate_of(desk).meta
    assert meta.compared and meta.worn_accuracy is not None and meta.loo_accuracy is not None


def test_an_edit_of_a_little_keeps_what_was_found_and_compares_nothing(desk: Desk, encoder: Words) -> None:
    lines = "\n".join(
        f"::instruction#facts::\n### Q\nWhat is item {i}?\n### A\nItem {i}.\n" for i in range(12)
    )
    desk.open(f"{BODY}\n{lines}", gate=GATE).train()
    first = gate_of(desk).meta
    desk.events.clear()
    desk.write(f"{BODY}\n{lines}".replace("What is item 3?", "What is the third item?"), gate=GATE)
    desk.train()
    assert not [e for e in desk.of(Log) if e.code == "gate_embedding"]
    second = gate_of(desk).meta
    assert second.compared and second.embedding == first.embedding and second.worn_accuracy is None
    assert (first.loo_folds, second.loo_folds) == (16, 8) and second.loo_accuracy is not None


def test_an_edit_made_without_the_encoder_does_not_settle_on_the_base(
    desk: Desk, encoder: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_phase, "_routes", lambda meta: float(meta.hidden_size == encoder.width))
    lines = "\n".join(
        f"::instruction#facts::\n### Q\nWhat is item {i}?\n### A\nItem {i}.\n" for i in range(12)
    )
    desk.open(f"{BODY}\n{lines}", gate=GATE).train()
    assert (gate_of(desk).meta.embedding, gate_of(desk).meta.compared) == ("encoder", True)

    def none(*_: object, **__: object) -> None:
        raise BaseModelError("it is gone", "")

    monkeypatch.setattr(taught, "load_encoder", none)
    desk.engine = desk.new_engine()
    desk.open(f"{BODY}\n{lines}".replace("What is item 3?", "What is the third item?"), gate=GATE).train()
    assert (gate_of(desk).meta.embedding, gate_of(desk).meta.compared) == ("base", False)


@pytest.mark.parametrize("kind", ["base-mean", "both"])
def test_a_gate_reads_what_it_is_told_to(desk: Desk, encoder: Words, kind: Kind) -> None:
    desk.open(gate=GATE | {"embedding": kind}).train()
    gate, shop = gate_of(desk), desk.engine._workshop
    assert shop is not None and gate.meta.embedding == kind and gate.other is not None
    read = shop.reader.read(kind, ["Say hello."])
    assert read is not None and read.shape[1] == hidden(desk) + (encoder.width if kind == "both" else 0)
    assert list(weights(desk, "Say hello.").values()) == pytest.approx(gate.other(read)[0].tolist(), abs=1e-4)
    assert bool(gate.meta.encoder_sha256) == (kind == "both")


def test_the_mean_of_states_is_transformers_own(desk: Desk) -> None:
    desk.open()
    shop = desk.engine._workshop
    assert shop is not None
    questions = ["Say hello.", "Who owns billing, and since when?"]
    lean, last = shop.embedder.means(questions), shop.embedder.embed(questions)
    shop.embedder.forget()
    shop.embedder._state = None
    # The one reads weights in float16.
    torch.testing.assert_close(lean, shop.embedder.means(questions), atol=5e-3, rtol=0)
    assert float((lean - last).abs().max()) > 0.1


def test_a_gate_that_is_to_read_the_base_asks_for_no_encoder(desk: Desk, encoder: Words) -> None:
    desk.open(gate=GATE | {"embedding": "base"}).train()
    assert not [e for e in desk.of(Log) if e.code == "gate_embedding"]
    gate = gate_of(desk)
    assert gate.meta.embedding == "base" and gate.other is None


def test_leaving_the_choice_to_the_program_trains_no_gate_of_before_anew(desk: Desk, encoder: Words) -> None:
    desk.open(gate=GATE).train()
    desk.write(gate=GATE | {"embedding": "auto"})
    assert "nothing" in desk.train().reason
