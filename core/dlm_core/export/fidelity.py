"""How faithful an export is: KL and greedy agreement with the engine on the document and on neutral text.

Where an export takes the engine's own tokens, given the engine's reply, at every position, it gives that
reply itself when decoded greedily: `same_reply` needs no second decoding.
"""

from collections.abc import Mapping, Sequence

import msgspec
import torch

from dlm_core.adapters.bank import ServingPlan
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.export.reference import Observer, Reference, Sample, predictions

ENOUGH_REPLIES = 0.95
_ENOUGH_PERPLEXITY = 1.1


class QuestionFidelity(msgspec.Struct, frozen=True, kw_only=True):
    """On the document's questions: `kl` is KL(engine ‖ export) per reply token in nats, `agreement` the
    share of reply tokens at which both choose the same, `same_reply` the share of whole greedy replies that
    are the same.

    `learned` is the share that the engine answers exactly as trained, `kept` the share the export does.
    """

    count: int
    tokens: int
    kl: float
    agreement: float
    same_reply: float
    learned: float
    kept: float


class NeutralFidelity(msgspec.Struct, frozen=True, kw_only=True):
    """On neutral text, as above; perplexities of the engine as it routes, and of the export."""

    tokens: int
    kl: float
    agreement: float
    perplexity_engine: float
    perplexity_export: float


class Fidelity(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. `questions` is None for a document that has nothing to ask.

    `of_prose`: passages of prose stand for questions; `asked` counts the questions the document has.
    """

    questions: QuestionFidelity | None
    neutral: NeutralFidelity
    asked: int
    of_prose: bool = False

    @property
    def faithful(self) -> bool:
        """Whether hardly a reply differs and neutral text has not become less likely."""
        kept = (
            self.questions is None
            or (self.questions.agreement if self.of_prose else self.questions.same_reply) >= ENOUGH_REPLIES
        )
        return kept and not self.duller

    @property
    def duller(self) -> bool:
        """Whether neutral text is clearly less likely to the export than to the engine."""
        return self.neutral.perplexity_export > _ENOUGH_PERPLEXITY * self.neutral.perplexity_engine

    def rank(self) -> tuple[float, float]:
        """Larger is better: replies kept first, then little divergence."""
        if self.questions is None:
            return 0.0, -self.neutral.kl
        return self.questions.same_reply, -self.questions.kl - self.neutral.kl


def measure(
    observer: Observer,
    reference: Reference,
    adapters: Sequence[AdapterWeights],
    weights: Mapping[str, float],
) -> Fidelity:
    """Compare plain `adapters` under constant `weights` with the engine."""
    observer.bank.use(ServingPlan(observer.bank, adapters, weights))
    try:
        questions = _questions(observer, reference.questions) if reference.questions else None
        neutral = _compare(observer, reference.neutral)
    finally:
        observer.bank.use(None)
    tokens = sum(len(s.positions) for s in reference.neutral)
    return Fidelity(
        questions=questions,
        neutral=NeutralFidelity(
            tokens=tokens,
            kl=sum(c.divergence for c in neutral) / tokens,
            agreement=sum(c.same for c in neutral) / tokens,
            perplexity_engine=_perplexity(sum(c.nll_engine for c in neutral), tokens),
            perplexity_export=_perplexity(sum(c.nll_export for c in neutral), tokens),
        ),
        asked=reference.asked,
        of_prose=reference.of_prose,
    )


class _Compared(msgspec.Struct, frozen=True):
    """One sample: summed KL (nats), tokens chosen alike, whether all were, and both summed NLLs (nats)."""

    divergence: float
    same: int
    whole: bool
    as_trained: bool
    nll_engine: float
    nll_export: float


def _compare(observer: Observer, samples: Sequence[Sample]) -> list[_Compared]:
    found = []
    for sample in samples:
        observer.check_stop()
        theirs = predictions(observer.head, sample.ids, sample.positions)
        engine = sample.log_probs.float()
        alike = theirs.argmax(-1) == sample.choices
        target = sample.ids[0, sample.positions + 1].unsqueeze(1)
        found.append(
            _Compared(
                divergence=float((engine.exp() * (engine - theirs)).sum()),
                same=int(alike.sum()),
                whole=bool(alike.all()),
                as_trained=sample.learned and bool(alike.all()),
                nll_engine=-float(engine.gather(1, target).sum()),
                nll_export=-float(theirs.gather(1, target).sum()),
            )
        )
    return found


def _questions(observer: Observer, samples: Sequence[Sample]) -> QuestionFidelity:
    compared = _compare(observer, samples)
    tokens, count = sum(len(s.positions) for s in samples), len(samples)
    return QuestionFidelity(
        count=count,
        tokens=tokens,
        kl=sum(c.divergence for c in compared) / tokens,
        agreement=sum(c.same for c in compared) / tokens,
        same_reply=sum(c.whole for c in compared) / count,
        learned=sum(s.learned for s in samples) / count,
        kept=sum(c.as_trained for c in compared) / count,
    )


def _perplexity(nll: float, tokens: int) -> float:
    return float(torch.tensor(nll / tokens, dtype=torch.float64).exp())
