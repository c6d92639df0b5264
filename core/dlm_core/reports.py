"""What an evaluation, a comparison of methods and a checkup found, as values that serialise. No torch."""

from dataclasses import dataclass
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
    """Perplexity of an adapted model, and KL(base ‖ adapted) per token in nats; `chat_kl` where replies to
    chat questions begin, None where it was not measured.
    """

    perplexity: float
    kl: float
    chat_kl: float | None = None


class TextRetention(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept on some text: perplexities, and KL(base ‖ adapted) per token in nats, with the gate in
    auto; `per_adapter` the same with each adapter pinned.
    """

    perplexity_base: float
    perplexity: float
    kl: float
    per_adapter: dict[str, Drift]
    tokens: int


class ChatRetention(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of the base's manner of chatting, on `questions` bundled ones, the gate in auto: KL(base ‖
    adapted) in nats where a reply begins, and the share of replies that are the base's word for word.
    """

    kl: float
    same_as_base: float
    questions: int


class Retention(TextRetention, frozen=True, kw_only=True):
    """What is kept on the bundled neutral text and chat questions, and on a text of the person's own if there
    was one: by the weights alone. `served` is the text's perplexity as a chat reads it, with what is outside
    the document left to the base.
    """

    own: TextRetention | None = None
    chat: ChatRetention | None = None
    served: Drift | None = None


class OpennessFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Mean openness of an adapter's ranks: in replies to its own questions (None without any), and on neutral
    text. An adapter without rank gates is open throughout (1.0).
    """

    inside: float | None
    outside: float


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Replies to probes. `right`: share whose nearest answer of the document, by word F1, is the one that was
    expected, with 0.8 or more; `f1`: mean word F1 against it; `verbatim`: share that is it word for word;
    `false_facts`: share that hold a number or a name which the section they come from lacks, None where
    replies come with no source.
    """

    right: float
    f1: float
    verbatim: float
    false_facts: float | None = None


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers probes how well: the bare base under the same messages, search in the document alone (what
    its user could have without training), the adapters' weights alone, and `grounded` ones: the weights with
    the document in hand, as a chat has them (None where that is off, and in older stores).
    """

    base: Scores
    search: Scores
    weights: Scores
    grounded: Scores | None = None


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Replies of like support: `mean` of it, the share that was `right`, how many."""

    mean: float
    right: float
    count: int


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """How far the support of replies to probes can be trusted: mean squared error (`brier`), and the mean
    distance between support and the share that was right over bins of equal count (`ece`), with those bins.
    """

    brier: float
    ece: float
    count: int
    table: tuple[Bin, ...]


class NearMisses(msgspec.Struct, frozen=True, kw_only=True):
    """Replies to near misses: shares that recite an answer of the document with a support of 0.5 or more, of
    all and by kind.
    """

    recited: float
    count: int
    kinds: dict[str, float]


class OffTopic(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts that the document says nothing about: shares of replies that are the base's word for word, and
    that hold four words in a row of the document which the base's reply lacks; mean strongest weight.

    `outside`: share that were recognised as outside, None where nothing was looked up. All as a chat replies.
    """

    same_as_base: float
    leaked: float
    weight: float
    prompts: int = 0
    outside: float | None = None


class ProbeReply(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to one probe, `expected` beside it. `adapter` is the one that should answer, `routing` the
    weights that did. `outside`: the probe was taken for one about nothing in the document. `before` are the
    turns it followed on, question and answer (older stores lack both).
    """

    question: str
    expected: str
    reply: str
    adapter: str
    right: bool
    f1: float
    routing: dict[str, float]
    support: float | None = None
    outside: bool = False
    before: tuple[tuple[str, str], ...] = ()


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation of one version of a document's adapters; every reply greedy, the gate in auto.

    `answers` is None without probes. `replies` are those to the probes, the most confident first: by how open
    the rank gates of the routed adapters stood. `missed` is the share of probes taken for outside the
    document; it, `support` and `near_miss` are None where nothing is looked up, or nothing was asked.
    """

    version: str
    recall: Recall
    routing: RoutingFigures
    retention: Retention
    openness: dict[str, OpennessFigures]
    questions: int
    probes: int
    seconds: float
    answers: Answers | None = None
    offtopic: OffTopic | None = None
    replies: tuple[ProbeReply, ...] = ()
    missed: float | None = None
    support: Support | None = None
    near_miss: NearMisses | None = None


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


@dataclass(frozen=True)
class MemoryNeed:
    """One part of the memory that training takes, in bytes, and how it was reckoned."""

    label: str
    size: int
    how: str


@dataclass(frozen=True)
class Checkup:
    """What this machine offers, and what a document needs of it; sizes in bytes.

    `reason` says why this device and number type. `base` is "" and `needs` empty without a document;
    `estimated` says that the base's shape was guessed, because it is not here. `encoder_sha256` is the hash
    of the sentence encoder's weights and `encoder_path` its folder, both "" where it has not been fetched.
    """

    device: str
    dtype: str
    reason: str
    available: int
    platform: str
    versions: dict[str, str]
    base: str
    base_state: str
    needs: tuple[MemoryNeed, ...]
    needed: int
    fits: bool
    estimated: bool
    advice: tuple[str, ...]
    encoder: str = ""
    encoder_sha256: str = ""
    encoder_path: str = ""
