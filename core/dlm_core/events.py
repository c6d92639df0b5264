"""What the engine says while it works: one frozen struct per event, tagged, so that a line of JSON is an
event again.
"""

from typing import Any, Literal

import msgspec

from dlm_core.reports import Checkup, Comparison, Evaluation

RoutingMode = Literal["auto", "off", "pin", "mix", "uniform", "base"]
RunStatus = Literal["running", "done", "stopped", "failed"]
Level = Literal["info", "warning", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all events. `request_id` names the request that caused it, "" where none did."""

    request_id: str = ""


class Log(Event, frozen=True, kw_only=True, tag="log"):
    """A sentence for the person, and what to do. `code` is stable: `cold_start`, `gate_collapse`, …"""

    level: Level
    message: str
    hint: str = ""
    code: str = ""


class BaseProgress(Event, frozen=True, kw_only=True, tag="base_progress"):
    """A base is being found and loaded. `source` is cache|hub|wheel|path; `outcome` is
    trying|found|missed|loaded.
    """

    base: str
    source: str
    outcome: str
    detail: str = ""
    done_bytes: int = 0
    total_bytes: int = 0


class Ready(Event, frozen=True, kw_only=True, tag="ready"):
    """The document is open: base in memory, committed adapters in the serving set."""

    dlm_id: str
    base: str
    device: str
    dtype: str
    adapters: tuple[str, ...]
    version: str
    gate_mode: Literal["trained", "uniform", "none"]
    load_s: float
    context_length: int = 0


class RecipeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved setting and why it has that value."""

    key: str
    value: str
    reason: str


class RunPlanned(Event, frozen=True, kw_only=True, tag="run_planned"):
    """A run is about to start, or would: what it trains, on how much, and under which resolved recipe.

    `kind` is `full` where an adapter starts over (those in `fresh`), `revision` where all go on from their
    last versions. `rows` are per adapter, preference `pairs` among them; `steps` and `epochs` are those of
    rows with answers, `pair_epochs` those of pairs. `new`, `changed` and `replayed` count sections per
    adapter. `untouched` adapters stay as they are, `retired` ones are no longer declared. `estimated_s` in
    seconds by what earlier runs took, `memory` in bytes; both None where they are not known. A plan that was
    only asked for has run 0.
    """

    run_id: int
    adapters: tuple[str, ...]
    rows: dict[str, int]
    tokens: int
    steps: int
    epochs: int
    recipe: tuple[RecipeEntry, ...]
    reason: str = ""
    kind: Literal["full", "revision"] = "full"
    fresh: tuple[str, ...] = ()
    new: dict[str, int] = {}
    changed: dict[str, int] = {}
    replayed: dict[str, int] = {}
    untouched: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    gate: bool = False
    estimated_s: float | None = None
    memory: int | None = None
    pairs: dict[str, int] = {}
    pair_epochs: int = 0


class TrainStep(Event, frozen=True, kw_only=True, tag="train_step"):
    """One optimiser step. Tokens per second, times in seconds; `losses` per adapter in nats per token."""

    run_id: int
    phase: Literal["sft", "preference"]
    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    losses: dict[str, float]
    learning_rate: float
    grad_norm: float
    tokens_per_s: float
    elapsed_s: float
    eta_s: float
    padding_share: float = 0.0
    rehearsal_kl: float | None = None
    openness: dict[str, float] = {}


class OpennessMap(Event, frozen=True, kw_only=True, tag="openness"):
    """Mean openness of every rank of one adapter in one module type, `values[layer][rank]`, each in 0..1."""

    run_id: int
    step: int
    adapter: str
    module: str
    layers: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]


class TrainEpoch(Event, frozen=True, kw_only=True, tag="train_epoch"):
    """End of an epoch. `recall` is the share of answer tokens predicted; perplexities are on held-out neutral
    text, `chat_kl` (nats) is where replies to chat questions begin, each under one adapter alone.

    In the preference phase `recall` is the share of pairs whose chosen answer gained more than the rejected
    one.
    """

    run_id: int
    epoch: int
    epochs: int
    loss: float
    recall: float
    recalls: dict[str, float]
    phase: Literal["sft", "preference"] = "sft"
    perplexity: float | None = None
    perplexity_base: float | None = None
    kl: float | None = None
    chat_kl: float | None = None
    validation_loss: float | None = None


class ProbeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How near an adapter is to an answer: `probability` is what it gives the `expected` one, per token (the
    geometric mean, 0..1); `said` is what it says at every place, each after the right words before it.
    """

    question: str
    adapter: str
    expected: str
    said: str
    probability: float


class ProbesAsked(Event, frozen=True, kw_only=True, tag="probes_asked"):
    """A few questions, asked again while the adapters train; epoch 0 is before the first step of a phase."""

    run_id: int
    phase: Literal["sft", "revision"]
    epoch: int
    epochs: int
    probes: tuple[ProbeAnswer, ...]


class GateStep(Event, frozen=True, kw_only=True, tag="gate_step"):
    """A step of the adapter gate's training; entropy in nats."""

    run_id: int
    step: int
    steps: int
    loss: float
    entropy: float
    accuracy: float


class GateTrained(Event, frozen=True, kw_only=True, tag="gate_trained"):
    """How the adapter gate came out. `entropy` (nats) is the mean over samples, `max_entropy` is ln N.

    `sample_counts` counts tagged sections, `question_counts` the questions that the gate learned from (older
    stores lack it).
    """

    run_id: int
    mode: Literal["trained", "uniform", "failed"]
    mean_weights: dict[str, float]
    sample_counts: dict[str, int]
    floor: int
    train_accuracy: float | None = None
    loo_accuracy: float | None = None
    entropy: float | None = None
    max_entropy: float | None = None
    reason: str = ""
    question_counts: dict[str, int] = {}


class RunEnded(Event, frozen=True, kw_only=True, tag="run_ended"):
    """The run is over. `versions` has the current version of every adapter; `reason` says why it ended.

    `retention` has `perplexity`, `perplexity_base` and `kl` on neutral text and `chat_kl` on chat questions,
    as the adapters were committed, each under one adapter alone; `chat_kl_auto` is under all of them as the
    gate weighs them.
    """

    run_id: int
    status: RunStatus
    reason: str
    versions: dict[str, str]
    seconds: float
    recall: float | None = None
    checkpoint: str | None = None
    retention: dict[str, float] = {}


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """The weights for one reply, how they came about, and why in words.

    `outside` is the probability that the prompt is about nothing in the document, None where nobody looked;
    `base` is the base's own share where that decided: adapters of scope `document` have weight 0 then.
    """

    mode: RoutingMode
    weights: dict[str, float]
    reason: str
    outside: float | None = None
    base: float = 0.0


class Routed(Event, frozen=True, kw_only=True, tag="routed"):
    """The routing of a prompt; `route_s` is what it cost."""

    routing: Routing
    route_s: float


class Token(Event, frozen=True, kw_only=True, tag="token"):
    """Text that a reply grew by (may be empty while a character is incomplete)."""

    text: str
    openness: dict[str, float] = {}


class AdapterOpenness(msgspec.Struct, frozen=True, kw_only=True):
    """How open an adapter's ranks stood during a reply: the mean, per layer, and layers × ranks (over module
    types). `layers` are the numbers of the base's layers that the adapter sits on, in that order; empty where
    they are simply counted.
    """

    mean: float
    per_layer: tuple[float, ...]
    per_rank: tuple[tuple[float, ...], ...] = ()
    layers: tuple[int, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """The layers' numbers, counted from 0 where they were not told."""
        return self.layers or tuple(range(len(self.per_layer)))


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, and tokens per second of the decode after the first token.

    `drafted` tokens were proposed from the document's own answers while decoding, `accepted` of them stood.
    """

    load_s: float
    route_s: float
    first_token_s: float
    tokens_per_s: float
    tokens: int
    drafted: int = 0
    accepted: int = 0

    @property
    def acceptance(self) -> float | None:
        """The share of drafted tokens that stood; None where nothing was drafted."""
        return self.accepted / self.drafted if self.drafted else None


CitationKind = Literal["answer", "prose", "preference", "none", "outside"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A section as a reply's source: its lines in today's file (None where it is gone), its adapter (None:
    untagged), the question it answers ("" for prose), and the probability that it is the one meant.
    """

    line: int | None
    end_line: int | None
    adapter: str | None
    question: str
    probability: float | None = None


class Unsupported(msgspec.Struct, frozen=True, kw_only=True):
    """A number or a name of a reply, characters `start` to `end` (excluded), that its source has not."""

    start: int
    end: int
    text: str


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reply comes from.

    `kind`: answer, prose or preference of the section at `line`; none (nothing in the document says this) or
    outside (the prompt is about nothing in the document). `support` is the probability, calibrated on the
    sample documents, that the answer given is right; None where too little is known. `see_also` are other
    sections that fit nearly as well.
    """

    kind: CitationKind
    line: int | None = None
    end_line: int | None = None
    adapter: str | None = None
    question: str = ""
    support: float | None = None
    see_also: tuple[Place, ...] = ()
    unsupported: tuple[Unsupported, ...] = ()


class Reply(Event, frozen=True, kw_only=True, tag="reply"):
    """A reply is complete. `finish_reason`: stop (end token), length (limit), or interrupted (asked to).

    `citation` is None where nothing was trained; `overruled` counts the tokens that grounding chose against
    the weights, `grounded` says whether it took part at all.
    """

    reply: str
    finish_reason: Literal["stop", "length", "interrupted"]
    routing: Routing
    openness: dict[str, AdapterOpenness]
    timing: Timing
    version: str
    prompt_tokens: int = 0
    dropped_turns: int = 0
    during_run: int | None = None
    citation: Citation | None = None
    grounded: bool = False
    overruled: int = 0


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """A trained question near a prompt: cosine similarity of the gate's embeddings."""

    question: str
    adapter: str
    similarity: float


class Why(Event, frozen=True, kw_only=True, tag="why"):
    """What stands behind a routing: the weights, the nearest trained questions, and the sections that search
    found, with what each measure says of them (`scores`, beside it in the same order). `alone` is how the
    weights would begin without the document; None where that was not asked for.
    """

    routing: Routing
    neighbours: tuple[Neighbour, ...]
    candidates: tuple[Place, ...] = ()
    scores: tuple[dict[str, float], ...] = ()
    alone: str | None = None


class Embedded(Event, frozen=True, kw_only=True, tag="embedded"):
    """Vectors of texts, `width` float32 numbers each, end to end in little endian. `width` is 0 where there
    is no sentence encoder.
    """

    vectors: bytes = b""
    width: int = 0


class Working(Event, frozen=True, kw_only=True, tag="working"):
    """How far a measurement has come: `done` of `total` things, seconds left (None where nobody knows)."""

    label: str
    done: int
    total: int
    eta_s: float | None = None
    figures: str = ""


class Evaluated(Event, frozen=True, kw_only=True, tag="evaluated"):
    """An evaluation of the versions that `run_id` made; `document_hash` is of the text that was asked
    about.
    """

    run_id: int
    document_hash: str
    evaluation: Evaluation


class ExportDone(Event, frozen=True, kw_only=True, tag="export_done"):
    """An export stands in `folder` (see `requests.path_text`): what it says for itself, and its manifest."""

    folder: str
    banner: tuple[str, ...]
    manifest: dict[str, Any]


class Compared(Event, frozen=True, kw_only=True, tag="compared"):
    """A comparison of methods is complete."""

    comparison: Comparison


class Examined(Event, frozen=True, kw_only=True, tag="examined"):
    """What a document needs of this machine."""

    checkup: Checkup


class MaskedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One training row: its section's content hash, its adapter, its tokens as text, and which carry loss.

    `label` is a short name of the row for people; `note` says what of it is cut, or why it is left out.
    """

    section: str
    adapter: str
    pieces: tuple[str, ...]
    loss: tuple[bool, ...]
    label: str = ""
    note: str = ""


class Masked(Event, frozen=True, kw_only=True, tag="masked"):
    """What a training of the document would learn, token by token: instruction and prose rows in file order,
    then preferences, the chosen row before the rejected one.
    """

    rows: tuple[MaskedRow, ...]


class Failure(Event, frozen=True, kw_only=True, tag="failure"):
    """A request failed; `message` and `hint` are for the person, `kind` is the error class."""

    kind: str
    message: str
    hint: str = ""


class Done(Event, frozen=True, kw_only=True, tag="done"):
    """The request is finished; nothing more carries its id."""


AnyEvent = (
    Log | BaseProgress | Ready | RunPlanned | TrainStep | OpennessMap | TrainEpoch | ProbesAsked | GateStep
    | GateTrained | RunEnded | Routed | Token | Reply | Why | Embedded | Working | Evaluated | ExportDone
    | Compared | Examined | Masked | Failure | Done
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """One line of JSON without the newline; floats that JSON cannot hold become null."""
    return _encoder.encode(event)


def decode(line: bytes | str) -> AnyEvent:
    """The event a line holds. Raises one of `errors.NOT_JSON` for anything else."""
    return _decoder.decode(line)
