"""What an evaluation and a comparison of methods found, as values that serialise. Free of torch."""

from typing import Literal

import msgspec

Method = Literal["disel", "lora", "lora-mlp", "dora", "adalora", "full"]
METHODS: tuple[Method, ...] = ("disel", "lora", "lora-mlp", "dora", "adalora", "full")


class AdapterRecall(msgspec.Struct, frozen=True, kw_only=True):
    """What one adapter knows, beside what the bare base says to the same questions; None without any."""

    verbatim: float | None
    verbatim_base: float | None
    paraphrase_f1: float | None
    paraphrase_f1_base: float | None
    questions: int
    probes: int


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """Shares in 0..1. `verbatim`: greedy reply equals the trained answer; `paraphrase_f1`: mean word F1 on
    probes.
    """

    verbatim: float | None
    paraphrase_f1: float | None
    per_adapter: dict[str, AdapterRecall]
    verbatim_base: float | None = None
    paraphrase_f1_base: float | None = None


class RoutingFigures(msgspec.Struct, frozen=True, kw_only=True):
    """`accuracy` on probes: the expected adapter has the largest weight. `confusion[expected][chosen]`
    counts.
    """

    accuracy: float | None
    loo_accuracy: float | None
    confusion: dict[str, dict[str, int]]
    per_adapter: dict[str, float] = {}


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Perplexity of an adapted model, and KL(base ‖ adapted) per token in nats."""

    perplexity: float
    kl: float


class TextRetention(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept on some text: perplexities, and KL(base ‖ adapted) per token in nats, with the gate in
    auto; `per_adapter` the same with each adapter pinned.
    """

    perplexity_base: float
    perplexity: float
    kl: float
    per_adapter: dict[str, Drift]
    tokens: int


class Retention(TextRetention, frozen=True, kw_only=True):
    """What is kept on the bundled neutral text, and on a text of the person's own if there was one."""

    own: TextRetention | None = None


class OpennessFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Mean openness of an adapter's ranks: in replies to its own questions (None without any), and on neutral
    text. An adapter without rank gates is open throughout (1.0).
    """

    inside: float | None
    outside: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation of one version of a document's adapters; every reply greedy, the gate in auto."""

    version: str
    recall: Recall
    routing: RoutingFigures
    retention: Retention
    openness: dict[str, OpennessFigures]
    questions: int
    probes: int
    seconds: float


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What a training brought: shares of trained answers given word for word and of their tokens predicted,
    mean word F1 on probes, and nats per answer token on the trained questions and on probes.
    """

    verbatim: float | None
    paraphrase_f1: float | None
    token_recall: float
    loss: float
    loss_probes: float | None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One training of one method. `chosen`: its rate is the one the method is compared at.

    `parameters` are trained ones, `seconds` the training alone, `ended` why it ended: recall or epochs.
    """

    method: Method
    learning_rate: float
    rehearsal: bool
    learned: Learned
    kept: Drift
    epochs: int
    steps: int
    seconds: float
    parameters: int
    ended: str
    chosen: bool = False


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Methods trained on the same rows of one document, each at its own rate.

    `key` names everything that the trials have in common; trials under another key are not comparable.
    `perplexity_base` and `learned_base` are the bare base's. `settings` are the common ones by name.
    """

    document: str
    base: str
    key: str
    device: str
    settings: dict[str, str]
    rows: int
    tokens: int
    questions: int
    probes: int
    neutral_tokens: int
    perplexity_base: float
    learned_base: Learned
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = ()

    def chosen(self) -> tuple[Trial, ...]:
        """The trials that stand for their methods, in the order of METHODS, those without rehearsal first."""
        return tuple(
            sorted((t for t in self.trials if t.chosen), key=lambda t: (t.rehearsal, METHODS.index(t.method)))
        )
