"""Training the adapter gate: AdamW on cross-entropy − λ·entropy, with honest figures and a uniform cold
start.

Leave-one-out accuracy comes from as many gates as there are samples (folds of samples beyond 32), all
trained at once as one batched product, so that it costs about as much as one.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlm_core.document.model import Document, SectionKind
from dlm_core.document.schema import GateConfig
from dlm_core.errors import GateTrainingError
from dlm_core.routing.gate import AdapterGate, GateMeta

BATCH = 16
MAX_FOLDS, FEW_FOLDS = 32, 8
"""A gate is trained once more for each fold; few of them where no choice hangs on what they say."""
_WORN = 0.35


@dataclass(frozen=True)
class Sample:
    """One tagged question: its text, its adapter, and the section it comes from (content hash)."""

    text: str
    adapter: str
    section: str


def collect(document: Document) -> tuple[Sample, ...]:
    """The gate's samples: every wording and prompt of every tagged section; tagged prose gives its first
    paragraph.
    """
    samples: list[Sample] = []
    for section in document.sections:
        if section.adapter is None:
            continue
        if section.kind is SectionKind.INSTRUCTION:
            texts = [wording for q in section.questions for wording in q.wordings]
        elif section.kind is SectionKind.PREFERENCE:
            texts = [p.prompt for p in section.preferences]
        else:
            texts = [section.text.strip().split("\n\n")[0]]
        samples += [Sample(t, section.adapter, section.content_hash) for t in texts if t.strip()]
    return tuple(samples)


@dataclass(frozen=True)
class Worn:
    """Questions with words left out: their embeddings [m, hidden], and which of the samples each is of."""

    embeddings: Tensor
    whose: Sequence[int]


def wear(text: str, chance: random.Random) -> str:
    """A question with about a third of its words left out, two of them kept at least."""
    words = text.split()
    kept = [word for word in words if chance.random() >= _WORN]
    return " ".join(kept if len(kept) >= 2 else words[:2])


def cold_adapters(counts: Mapping[str, int], floor: int) -> tuple[str, ...]:
    """Adapters with fewer tagged sections than the floor."""
    return tuple(name for name, count in counts.items() if count < floor)


def uniform_meta(adapters: Sequence[str], counts: Mapping[str, int], floor: int, reason: str) -> GateMeta:
    """A gate that is not one: 1/N for everybody, and why."""
    return GateMeta(
        mode="uniform",
        adapters=tuple(adapters),
        sample_counts=dict(counts),
        mean_weights=dict.fromkeys(adapters, 1 / len(adapters)),
        floor=floor,
        reason=reason,
    )


@dataclass(frozen=True)
class StepFigures:
    """One training step of the gate that is kept (not of the folds): entropy in nats."""

    step: int
    loss: float
    entropy: float
    accuracy: float


def train_gate(
    embeddings: Tensor,
    labels: Sequence[int],
    sections: Sequence[str],
    adapters: Sequence[str],
    config: GateConfig,
    counts: Mapping[str, int],
    *,
    seed: int,
    base_fingerprint: str = "",
    on_step: Callable[[StepFigures], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    worn: "Worn | None" = None,
    most_folds: int = MAX_FOLDS,
) -> tuple[AdapterGate, GateMeta]:
    """Train a gate.

    Args:
        embeddings: [n, hidden].
        labels: index into `adapters` per embedding.
        sections: the section of each, so that leaving one out leaves its whole section out.
        worn: some of the questions with words left out; never learned, asked with their sections left out.
        most_folds: sections are left out one at a time, or together in so many parts.

    Raises:
        GateTrainingError: the loss is not finite, or the person stopped it.
    """
    n, hidden = embeddings.shape
    target = torch.tensor(labels)
    mean, scale = embeddings.mean(0), embeddings.std(0, unbiased=False).clamp_min(1e-5)
    x = (embeddings - mean) / scale
    fold_of = _folds(sections, most_folds)
    folds = int(fold_of.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    kept = torch.ones(folds + 1, n)
    for i in range(n):
        kept[1 + fold_of[i], i] = 0.0
    first, second = _Layer(folds + 1, config.hidden_proj_dim, hidden, generator), None
    second = _Layer(folds + 1, len(adapters), config.hidden_proj_dim, generator)
    optimiser = torch.optim.AdamW([*first.tensors, *second.tensors], lr=config.lr, fused=True)

    def logits(rows: Tensor) -> Tensor:
        return second(functional.gelu(first(rows)))

    for step in range(config.steps):
        if stop():
            raise GateTrainingError(
                "the adapter gate's training was stopped", "run `dlm train` again to train it"
            )
        chosen = torch.randperm(n, generator=generator)[:BATCH]
        log_p = torch.log_softmax(logits(x[chosen].expand(folds + 1, -1, -1)), -1)
        entropy = -(log_p.exp() * log_p).sum(-1)
        nll = -log_p[:, torch.arange(len(chosen)), target[chosen]]
        weight = kept[:, chosen]
        each = ((nll - config.entropy_lambda * entropy) * weight).sum(1) / weight.sum(1).clamp_min(1)
        if not torch.isfinite(each[0]):
            raise GateTrainingError(
                f"the adapter gate's loss is not finite at step {step + 1}", "lower `training.gate.lr`"
            )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(each.sum())
        optimiser.step()
        right = (log_p[0].argmax(-1) == target[chosen]).float().mean()
        on_step(
            StepFigures(step + 1, float(each[0].detach()), float(entropy[0].mean().detach()), float(right))
        )

    with torch.no_grad():
        outputs = torch.softmax(logits(x.expand(folds + 1, -1, -1)), -1)
    weights = outputs[0]
    entropy_mean = float(-(weights * weights.clamp_min(1e-12).log()).sum(-1).mean())
    left_out = outputs[1 + fold_of, torch.arange(n)].argmax(-1)
    worn_right: float | None = None
    if worn is not None:
        with torch.no_grad():
            told = logits(((worn.embeddings - mean) / scale).expand(folds + 1, -1, -1))
        whose = torch.tensor(worn.whose)
        guessed = told[1 + fold_of[whose], torch.arange(len(whose))].argmax(-1)
        worn_right = float((guessed == target[whose]).float().mean())
    gate = AdapterGate(
        {
            "mean": mean,
            "scale": scale,
            "w1": first.weight[0].detach().clone(),
            "b1": first.bias[0, 0].detach().clone(),
            "w2": second.weight[0].detach().clone(),
            "b2": second.bias[0, 0].detach().clone(),
        }
    )
    meta = GateMeta(
        mode="trained",
        adapters=tuple(adapters),
        sample_counts=dict(counts),
        mean_weights={name: float(weights[:, i].mean()) for i, name in enumerate(adapters)},
        floor=config.cold_start_floor,
        hidden_size=hidden,
        hidden_proj_dim=config.hidden_proj_dim,
        base_fingerprint=base_fingerprint,
        train_accuracy=float((weights.argmax(-1) == target).float().mean()),
        loo_accuracy=float((left_out == target).float().mean()),
        loo_folds=folds,
        entropy=entropy_mean,
        worn_accuracy=worn_right,
    )
    return gate, meta


class _Layer:
    """Linear layers, one per fold: weight [F, out, in], bias [F, 1, out]; all folds start alike."""

    def __init__(self, folds: int, out_features: int, in_features: int, generator: torch.Generator) -> None:
        bound = 1 / math.sqrt(in_features)
        weight = (torch.rand(out_features, in_features, generator=generator) * 2 - 1) * bound
        bias = (torch.rand(out_features, generator=generator) * 2 - 1) * bound
        self.weight = weight.expand(folds, -1, -1).clone().requires_grad_(True)
        self.bias = bias.expand(folds, 1, -1).clone().requires_grad_(True)

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias

    def __call__(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight.transpose(1, 2))


def _folds(sections: Sequence[str], most: int) -> Tensor:
    """Fold per sample: one fold a section, or sections dealt into at most `most` folds."""
    order = {section: i for i, section in enumerate(dict.fromkeys(sections))}
    return torch.tensor([order[s] % most for s in sections])
