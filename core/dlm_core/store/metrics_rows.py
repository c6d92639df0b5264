"""Events to rows of `metrics.sqlite` and back, one pair of functions per table."""

import math
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import structs

from dlm_core.events import (
    Evaluated,
    Event,
    GateStep,
    GateTrained,
    Log,
    OpennessMap,
    ProbesAsked,
    RunEnded,
    RunPlanned,
    TrainEpoch,
    TrainStep,
)

Row = dict[str, Any]
EVALUATION_PHASE = "eval"
_FULL = 65535  # openness in 0..1 is kept in 16 bits


@dataclass(frozen=True)
class FlatTable:
    """A table with a column per field of an event; fields without one go into the column `more`, as JSON."""

    table: str
    kind: type[Event]
    columns: tuple[str, ...]
    nested: tuple[str, ...] = ()

    def row(self, event: Event) -> Row:
        fields = structs.asdict(event)
        del fields["request_id"]
        more = {name: value for name, value in fields.items() if name not in self.columns}
        row = {name: _json(fields[name]) if name in self.nested else fields[name] for name in self.columns}
        return row | {"more": _json(more)}

    def event(self, row: Row) -> Event:
        """The event of a row. A NaN went in as NULL; where the field needs a number, it comes back as NaN."""
        values = {name: row[name] for name in self.columns} | msgspec.json.decode(row["more"])
        for field in structs.fields(self.kind):
            value = values.get(field.name)
            if field.name in self.nested:
                loaded = msgspec.json.decode(value)
                values[field.name] = {k: math.nan if v is None else v for k, v in loaded.items()}
            elif value is None and field.required:
                values[field.name] = math.nan
        return msgspec.convert(values, self.kind)


_STEP_COLUMNS = (
    "run_id", "phase", "step", "steps", "epoch", "epochs", "loss", "losses", "learning_rate", "grad_norm",
    "tokens_per_s", "elapsed_s", "eta_s", "padding_share", "rehearsal_kl", "openness",
)  # fmt: skip
_EVAL_COLUMNS = (
    "run_id", "phase", "epoch", "epochs", "loss", "recall", "recalls", "perplexity", "perplexity_base", "kl",
    "validation_loss",
)  # fmt: skip
_FLAT = {
    flat.kind: flat
    for flat in (
        FlatTable("steps", TrainStep, _STEP_COLUMNS, nested=("losses", "openness")),
        FlatTable("evals", TrainEpoch, _EVAL_COLUMNS, nested=("recalls",)),
        FlatTable("gate_steps", GateStep, ("run_id", "step", "steps", "loss", "entropy", "accuracy")),
        FlatTable("logs", Log, ("level", "message", "hint", "code")),
    )
}


def to_row(event: Event) -> tuple[str, Row] | None:
    """The table and the columns of an event, without `seq` and `at`; None for one that is not kept."""
    event = _storable(event)
    match event:
        case TrainStep() | TrainEpoch() | GateStep() | Log():
            flat = _FLAT[type(event)]
            return flat.table, flat.row(event)
        case OpennessMap():
            return "openness", _openness_row(event)
        case Evaluated():
            return "evals", _evaluation_row(event)
        case GateTrained():
            finite = {name: w for name, w in event.mean_weights.items() if math.isfinite(w)}
            kept = structs.replace(event, mean_weights=finite)
            return "gates", {"run_id": event.run_id, "event": _json(kept)}
        case ProbesAsked():
            return "probes", {"run_id": event.run_id, "event": _json(event)}
        case RunPlanned() | RunEnded():
            return "run_events", {"run_id": event.run_id, "event": _json(event)}
        case _:
            return None


def storable(text: str) -> str:
    """`text` with what UTF-8 cannot hold (parts of odd file names) replaced."""
    return text.encode("utf-8", "replace").decode()


def _storable(event: Event) -> Event:
    texts = {name: value for name, value in structs.asdict(event).items() if isinstance(value, str)}
    return structs.replace(event, **{name: storable(text) for name, text in texts.items()})


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _evaluation_row(event: Evaluated) -> Row:
    """A row beside those of epochs, told apart by its phase; `more` holds the event itself."""
    found = event.evaluation
    recalls = {name: own.verbatim for name, own in found.recall.per_adapter.items()}
    return {
        "run_id": event.run_id,
        "phase": EVALUATION_PHASE,
        "epoch": 0,
        "epochs": 0,
        "recall": found.recall.verbatim,
        "recalls": _json(recalls),
        "perplexity": found.retention.perplexity,
        "perplexity_base": found.retention.perplexity_base,
        "kl": found.retention.kl,
        "more": _json(event),
    }


def _openness_row(event: OpennessMap) -> Row:
    levels = array(
        "H", (round(min(max(v, 0.0), 1.0) * _FULL) if v == v else 0 for r in event.values for v in r)
    )
    return {
        "run_id": event.run_id,
        "step": event.step,
        "adapter": event.adapter,
        "module": event.module,
        "layers": _json(event.layers),
        "ranks": _json([len(r) for r in event.values]),
        "vals": _little_endian(levels).tobytes(),
    }


def _openness(row: Row) -> OpennessMap:
    levels = array("H")
    levels.frombytes(row["vals"])
    flat = iter([level / _FULL for level in _little_endian(levels)])
    values = tuple(tuple(next(flat) for _ in range(rank)) for rank in msgspec.json.decode(row["ranks"]))
    return OpennessMap(
        run_id=row["run_id"],
        step=row["step"],
        adapter=row["adapter"],
        module=row["module"],
        layers=tuple(msgspec.json.decode(row["layers"])),
        values=values,
    )


def _little_endian(levels: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        levels.byteswap()
    return levels


def _reading_json(kind: Any) -> Callable[[Row], Event]:
    decoder = msgspec.json.Decoder(kind)

    def read(row: Row) -> Event:
        event: Event = decoder.decode(row["event"])
        return event

    return read


def _eval(row: Row) -> Event:
    """An evaluation, or the end of an epoch."""
    if row["phase"] == EVALUATION_PHASE:
        return msgspec.json.decode(row["more"], type=Evaluated)
    return _FLAT[TrainEpoch].event(row)


_FROM_ROW: dict[str, Callable[[Row], Event]] = {
    **{flat.table: flat.event for flat in _FLAT.values()},
    "evals": _eval,
    "openness": _openness,
    "gates": _reading_json(GateTrained),
    "probes": _reading_json(ProbesAsked),
    "run_events": _reading_json(RunPlanned | RunEnded),
}
EVENT_TABLES = tuple(_FROM_ROW)


def from_row(table: str, row: Row) -> Event:
    """The event a row was made from. Raises ValueError for a row that no event was written to."""
    try:
        return _FROM_ROW[table](row)
    except (msgspec.MsgspecError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"a row of {table} makes no sense: {error}") from error
