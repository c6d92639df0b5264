"""The recipe: every setting of a run with its resolved value and the reason for it, as a table.

`auto` values follow from the measurements in benchmarks/README.md.
"""

import hashlib
from dataclasses import asdict, dataclass, fields
from operator import attrgetter
from typing import Any

import msgspec

from dlm_core.document.model import Document, SectionKind
from dlm_core.events import RecipeEntry

VERIFY_RECALL = 0.9
WITHOUT_COPIES = 3.0
"""What an answer's first tokens count where its question comes in one wording a step."""


@dataclass(frozen=True)
class Recipe:
    """Resolved settings of a run; rates per optimiser step, lengths in tokens.

    `max_rows` and `token_budget` bound a batch; `rehearse_every` counts steps, 0 is never. An epoch
    that predicts `verify_recall` of the answer tokens on its way is followed by a check; training stops at
    `stop_recall`, but neither happens before epoch `min_epochs`.
    """

    learning_rate: float
    gate_lr_multiplier: float
    gate_bias_init: float
    weight_decay: float
    epochs: int
    min_epochs: int
    max_rows: int
    token_budget: int
    grad_accum: int
    scheduler: str
    warmup_ratio: float
    clip_norm: float
    stop_recall: float
    verify_recall: float
    question_wear: float
    question_copies: int
    lead_weight: float
    rehearse_every: int
    rehearse_weight: float
    validation_share: float
    seed: int
    precision: str
    entries: tuple[RecipeEntry, ...] = ()

    def fingerprint(self) -> str:
        """A hash of the values (not of their reasons): a different one means a different training."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "entries"}
        return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()

    def to_dict(self) -> dict[str, object]:
        """Values by name, for the store."""
        return {k: v for k, v in asdict(self).items() if k != "entries"}


@dataclass(frozen=True)
class Default:
    """What `auto` comes to for one key under `training`, and why; `field` is the recipe's."""

    field: str
    key: str
    value: int | float
    why: str


_ALWAYS = (
    Default("learning_rate", "learning_rate", 5e-3, "learns in few epochs; rehearsal keeps the base"),
    Default(
        "gate_lr_multiplier",
        "disel.gate_lr_multiplier",
        5.0,
        "gates start closed and must open within a few steps",
    ),
    Default("gate_bias_init", "disel.gate_bias_init", -3.0, "ranks start 5 % open, nearly the base"),
    Default(
        "max_rows",
        "micro_batch_size",
        3,
        "small batches: it is the number of steps that learns, not their size",
    ),
    Default("grad_accum", "grad_accum", 1, "a batch fits in memory"),
    Default(
        "rehearse_every",
        "rehearsal.every",
        1,
        "a short text at every step keeps perplexity on other text at the base's",
    ),
    Default(
        "rehearse_weight",
        "rehearsal.weight",
        4.0,
        "reworded questions are answered better, and the base is kept",
    ),
    Default(
        "question_wear",
        "question_wear",
        0.5,
        "so that reworded questions find the answer: words go missing, or turn into near ones",
    ),
    Default(
        "question_copies",
        "question_copies",
        1,
        "other questions stand beside each row, up to where it is settled which answer follows",
    ),
)
_LEAD = {
    True: Default(
        "lead_weight",
        "lead_weight",
        1.0,
        "an answer's first tokens come up beside those of other questions as well",
    ),
    False: Default(
        "lead_weight",
        "lead_weight",
        WITHOUT_COPIES,
        "an answer's first tokens decide which answer it becomes, so they count more",
    ),
}
"""By whether other questions stand beside each row."""
_EPOCHS = {
    True: Default(
        "epochs",
        "num_epochs",
        11,
        "an upper bound: training stops once an epoch predicts the answers",
    ),
    False: Default("epochs", "num_epochs", 4, "prose has no answers to stop at; more epochs mostly forget"),
}
"""By whether the document has answers."""
_MIN_EPOCHS = {
    True: Default(
        "min_epochs",
        "min_epochs",
        9,
        "what is recalled sooner is not yet found by other wordings of its question",
    ),
    False: Default(
        "min_epochs",
        "min_epochs",
        1,
        "a number of epochs that was given is an upper bound, and prose has no answers to stop at",
    ),
}
"""By whether there are answers, and nobody said how many epochs."""


def resolve(document: Document, *, seed: int | None = None, epochs: int | None = None) -> Recipe:
    """The recipe of a document; `seed` and `epochs` given on the command line win over the file."""
    training = document.frontmatter.training
    answers = any(s.kind is not SectionKind.PROSE for s in document.sections)
    counted = training.num_epochs == "auto" and epochs is None
    table = (
        *_ALWAYS,
        _LEAD[training.question_copies != 0],
        _EPOCHS[answers],
        _MIN_EPOCHS[answers and counted],
    )
    chosen: dict[str, int | float] = {"seed": training.seed}
    entries: list[RecipeEntry] = []

    def override(field: str, key: str, flag: int | None) -> None:
        if flag is not None:
            chosen[field] = flag
            entries.append(RecipeEntry(key=key, value=str(flag), reason="from the command line"))

    for default in table:
        given: int | float | str = attrgetter(default.key)(training)
        automatic = isinstance(given, str)
        chosen[default.field] = value = default.value if isinstance(given, str) else given
        reason = default.why if automatic else "from the document"
        entries.append(RecipeEntry(key=default.key, value=str(value), reason=reason))
        if default.field == "epochs":
            override("epochs", "num_epochs", epochs)
    override("seed", "seed", seed)
    if not training.rehearsal.enabled:
        chosen["rehearse_every"] = 0
    whole = {f.name for f in fields(Recipe) if f.type is int}
    numbers: dict[str, Any] = {n: int(v) if n in whole else float(v) for n, v in chosen.items()}
    return Recipe(
        **numbers,
        weight_decay=training.weight_decay,
        token_budget=max(training.sequence_len, 2048),
        scheduler=training.lr_scheduler,
        warmup_ratio=training.warmup_ratio,
        clip_norm=1.0,
        stop_recall=1.0,
        verify_recall=VERIFY_RECALL,
        validation_share=training.validation_share,
        precision=training.precision,
        entries=tuple(entries),
    )
