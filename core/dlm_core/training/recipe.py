"""The recipe: every setting of a run with its resolved value and the reason for it.

`auto` values follow from the measurements in benchmarks/README.md.
"""

import hashlib
from dataclasses import asdict, dataclass, fields

import msgspec

from dlm_core.document.model import Document, SectionKind
from dlm_core.events import RecipeEntry

VERIFY_RECALL = 0.9
WITHOUT_COPIES = 3.0
"""What an answer's first tokens count where its question comes in one wording a step."""
_AUTO_EPOCHS_ANSWERS = 11
_AUTO_EPOCHS_PROSE = 4
_AUTO_MIN_EPOCHS = 9


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


def resolve(document: Document, *, seed: int | None = None, epochs: int | None = None) -> Recipe:
    """The recipe of a document; `seed` and `epochs` given on the command line win over the file."""
    training = document.frontmatter.training
    disel, rehearsal = training.disel, training.rehearsal
    entries: list[RecipeEntry] = []

    def settle(key: str, given: object, auto: object, why: str) -> object:
        chosen, reason = (auto, why) if given == "auto" else (given, "from the document")
        entries.append(RecipeEntry(key=key, value=str(chosen), reason=reason))
        return chosen

    def override(key: str, flag: object, value: object) -> object:
        if flag is not None:
            entries.append(RecipeEntry(key=key, value=str(flag), reason="from the command line"))
            return flag
        return value

    has_answers = any(s.kind is not SectionKind.PROSE for s in document.sections)
    auto_epochs, epochs_why = (
        (_AUTO_EPOCHS_ANSWERS, "an upper bound: training stops once an epoch predicts the answers")
        if has_answers
        else (_AUTO_EPOCHS_PROSE, "prose has no answers to stop at; more epochs mostly forget")
    )
    auto_least, least_why = (
        (_AUTO_MIN_EPOCHS, "what is recalled sooner is not yet found by other wordings of its question")
        if has_answers and training.num_epochs == "auto" and epochs is None
        else (1, "a number of epochs that was given is an upper bound, and prose has no answers to stop at")
    )
    rate = settle(
        "learning_rate", training.learning_rate, 5e-3, "learns in few epochs; rehearsal keeps the base"
    )
    multiplier = settle(
        "disel.gate_lr_multiplier",
        disel.gate_lr_multiplier,
        5.0,
        "gates start closed and must open within a few steps",
    )
    bias = settle("disel.gate_bias_init", disel.gate_bias_init, -3.0, "ranks start 5 % open, nearly the base")
    max_rows = settle(
        "micro_batch_size",
        training.micro_batch_size,
        3,
        "small batches: it is the number of steps that learns, not their size",
    )
    accumulate = settle("grad_accum", training.grad_accum, 1, "a batch fits in memory")
    every = settle(
        "rehearsal.every",
        rehearsal.every,
        1,
        "a short text at every step keeps perplexity on other text at the base's",
    )
    weight = settle(
        "rehearsal.weight",
        rehearsal.weight,
        4.0,
        "reworded questions are answered better, and the base is kept",
    )
    worn = settle(
        "question_wear",
        training.question_wear,
        0.5,
        "so that reworded questions find the answer: words go missing, or turn into near ones",
    )
    copies = settle(
        "question_copies",
        training.question_copies,
        1,
        "other questions stand beside each row, up to where it is settled which answer follows",
    )
    lead = settle(
        "lead_weight",
        training.lead_weight,
        1.0 if copies else WITHOUT_COPIES,
        "an answer's first tokens come up beside those of other questions as well"
        if copies
        else "an answer's first tokens decide which answer it becomes, so they count more",
    )
    count = override("num_epochs", epochs, settle("num_epochs", training.num_epochs, auto_epochs, epochs_why))
    least = settle("min_epochs", training.min_epochs, auto_least, least_why)
    the_seed = override("seed", seed, training.seed)
    return Recipe(
        learning_rate=_number(rate),
        gate_lr_multiplier=_number(multiplier),
        gate_bias_init=_number(bias),
        weight_decay=training.weight_decay,
        epochs=int(_number(count)),
        min_epochs=int(_number(least)),
        max_rows=int(_number(max_rows)),
        token_budget=max(training.sequence_len, 2048),
        grad_accum=int(_number(accumulate)),
        scheduler=training.lr_scheduler,
        warmup_ratio=training.warmup_ratio,
        clip_norm=1.0,
        stop_recall=1.0,
        verify_recall=VERIFY_RECALL,
        question_wear=_number(worn),
        question_copies=int(_number(copies)),
        lead_weight=_number(lead),
        rehearse_every=int(_number(every)) if rehearsal.enabled else 0,
        rehearse_weight=_number(weight),
        validation_share=training.validation_share,
        seed=int(_number(the_seed)),
        precision=training.precision,
        entries=tuple(entries),
    )


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
