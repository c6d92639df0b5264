"""The forgetting meter: texts read together count as they would alone, each under its own adapter."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch

from dlm_core.adapters.bank import Bank, TrainingPlan
from dlm_core.document.model import Turn
from dlm_core.training.forgetting import ForgettingMeter
from dlm_core.training.forward import SelectiveHead
from tests.tiny import Desk, make_adapter, make_model, make_spec

TEXTS = (
    "three of a length",
    "three on a length",
    "a longer text than the others are",
    "three or a length",
    "x",
)


class Letters:
    """A token for every letter."""

    def encode_row(
        self, question: str, answer: str, system: str | None, before: Sequence[Turn] = ()
    ) -> tuple[list[int], list[bool]]:
        raise NotImplementedError

    def encode_text(self, text: str) -> list[int]:
        return [3 + ord(c) % 29 for c in text]


class Bench:
    def __init__(self) -> None:
        model = make_model()
        self.bank = Bank(model)
        self.head = SelectiveHead(model)
        modules = tuple(self.bank.layers)
        adapters = [
            make_adapter(make_spec(n, modules), self.bank.features, s) for s, n in enumerate("abc", 3)
        ]
        self.plan = TrainingPlan(self.bank, adapters)

    def meter(self, texts: tuple[str, ...] = TEXTS, limit: int = 24) -> ForgettingMeter:
        self.bank.use(None)
        return ForgettingMeter(self.head, Letters(), texts, "cpu", limit)

    def pinned(self, adapter: int, text: str) -> tuple[float, float, int]:
        """Summed NLL, divergence and tokens of a text under one adapter, by itself."""
        meter = self.meter((text,))
        weights = torch.zeros(1, 3)
        weights[0, adapter] = 1.0
        self.plan.set_rows(weights)
        self.bank.use(self.plan)
        perplexity, divergence = meter.measure()
        self.bank.use(None)
        count = meter.tokens
        return float(torch.tensor(perplexity).log()) * count, divergence * count, count


def test_texts_of_one_length_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    shapes: list[tuple[int, ...]] = []
    asked: Callable[..., torch.Tensor] = bench.head.logits
    monkeypatch.setattr(
        bench.head, "logits", lambda ids, *a: shapes.append(tuple(ids.shape)) or asked(ids, *a)
    )
    meter = bench.meter()
    assert shapes == [(3, 17), (1, 24)]  # a single letter follows nothing, and is left out
    assert meter.tokens == 3 * 16 + 23


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_text_counts_as_it_would_alone(seed: int) -> None:
    bench = Bench()
    meter = bench.meter()
    same = meter.measure()
    assert same[0] == pytest.approx(meter.base_perplexity, rel=1e-5) and same[1] == pytest.approx(0, abs=1e-4)
    perplexity, divergence = meter.measure_pinned(bench.bank, bench.plan, seed)
    bench.bank.use(None)

    order = [0, 1, 2]
    random.Random(seed).shuffle(order)
    together = [TEXTS[0], TEXTS[1], TEXTS[3], TEXTS[2]]  # by length, as they come
    alone = [bench.pinned(order[i % 3], text) for i, text in enumerate(together)]
    tokens = sum(count for _, _, count in alone)
    assert torch.tensor(perplexity).log() == pytest.approx(sum(n for n, _, _ in alone) / tokens, rel=1e-4)
    assert divergence == pytest.approx(sum(d for _, d, _ in alone) / tokens, rel=1e-2)


def test_the_forward_runs_in_the_number_formats_that_are_asked_for() -> None:
    entered: list[bool] = []

    @contextmanager
    def formats() -> Iterator[None]:
        entered.append(True)
        yield

    bench = Bench()
    bench.bank.use(None)
    meter = ForgettingMeter(bench.head, Letters(), TEXTS[:1], "cpu", autocast=formats)
    meter.measure()
    assert len(entered) == 2


@pytest.mark.parametrize(("settings", "times"), [({}, 1), ({"validation_share": 0.3}, 2)])
@pytest.mark.slow
def test_what_the_last_epoch_measured_is_not_measured_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, settings: dict[str, float], times: int
) -> None:
    """Unless the weights that are kept are those of an earlier epoch."""
    seen: list[dict[str, float]] = []
    import dlm_core.training.course as runs

    measure = runs.measure

    def counted(*arguments: object) -> dict[str, float]:
        seen.append(dict(measure(*arguments)))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(runs, "measure", counted)
    ended = desk.open(num_epochs=3, **settings).train()
    assert len(seen) == times
    assert {**ended.retention, "chat_kl_auto": 0} == {**seen[-1], "chat_kl_auto": 0}
    assert ended.retention["chat_kl_auto"] > 0
