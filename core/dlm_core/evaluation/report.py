"""What an evaluation found, as values that serialise."""

import msgspec


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """Shares in 0..1. `verbatim`: greedy reply equals the trained answer; `paraphrase_f1`: mean word F1 on
    probes.
    """

    verbatim: float | None
    paraphrase_f1: float | None
    per_adapter: dict[str, dict[str, float]]
    base_paraphrase_f1: float | None = None


class RoutingFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`accuracy` on probes: the expected adapter has the largest weight. `confusion[expected][chosen]`
    counts.
    """

    accuracy: float | None
    loo_accuracy: float | None
    confusion: dict[str, dict[str, int]]


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Perplexity on neutral text, and KL(base ‖ adapted) per token in nats; the gate in auto, and each
    adapter pinned.
    """

    perplexity_base: float
    perplexity: float
    kl: float
    pinned: dict[str, float]


class OpennessFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Mean openness of an adapter's ranks: on its own questions, and on neutral text."""

    inside: float
    outside: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation of one version of a document's adapters."""

    version: str
    recall: Recall
    routing: RoutingFigures
    retention: Retention
    openness: dict[str, OpennessFigures]
    questions: int
    probes: int
    seconds: float
