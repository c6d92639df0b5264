"""Events to rows of `metrics.sqlite` and back, one pair of functions per table."""

import math
import sys
from array import array
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import structs

from dlm_core.events import (
    Event,
    GateStep,
    GateTrained,
    Log,
    OpennessMap,
    RunEnded,
    RunPlanned,
    TrainEpoch,
    TrainStep,
)

Row = dict[str, Any]
_FULL = 65535  # openness in 0..1 is kept in 16 bits


def to_row(event: Event) -> tuple[str, Row] | None:
    """The table and the columns of an event, without `seq` and `at`; None for one that is not kept."""
    event = _storable(event)
    match event:
        case TrainStep():
            return "steps", _flat(event, ("losses", "openness"))
        case TrainEpoch():
            return "evals", _flat(event, ("recalls",))
        case GateStep():
            return "gate_steps", _flat(event)
        case OpennessMap():
            return "openness", _openness_row(event)
        case GateTrained():
            finite = {name: w for name, w in event.mean_weights.items() if math.isfinite(w)}
            return "gates", {
                "run_id": event.run_id,
                "event": _json(structs.replace(event, mean_weights=finite)),
            }
        case RunPlanned() | RunEnded():
            return "run_events", {"run_id": event.run_id, "event": _json(event)}
        case Log():
            return "logs", _flat(event)
        case _:
            return None


def storable(text: str) -> str:
    """`text` with what UTF-8 cannot hold (parts of odd file names) replaced."""
    return text.encode("utf-8", "replace").decode()


def _storable(event: Event) -> Event:
    texts = {name: value for name, value in structs.asdict(event).items() if isinstance(value, str)}
    return structs.replace(event, **{name: storable(text) for name, text in texts.items()})


def _flat(event: Event, nested: tuple[str, ...] = ()) -> Row:
    row = structs.asdict(event)
    del row["request_id"]
    return row | {name: _json(row[name]) for name in nested}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


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


def _reading(kind: type[Event], nested: tuple[str, ...] = ()) -> Callable[[Row], Event]:
    """From columns to the struct. A NaN went in as NULL; where the field needs a number, it comes back."""
    optional = {f.name for f in structs.fields(kind) if f.default is None}
    names = [f.name for f in structs.fields(kind) if f.name != "request_id"]

    def read(row: Row) -> Event:
        values = {name: row[name] for name in names}
        for name, value in values.items():
            if name in nested:
                loaded = msgspec.json.decode(value)
                values[name] = {k: float("nan") if v is None else v for k, v in loaded.items()}
            elif value is None and name not in optional:
                values[name] = float("nan")
        return kind(**values)

    return read


def _reading_json(kind: Any) -> Callable[[Row], Event]:
    decoder = msgspec.json.Decoder(kind)

    def read(row: Row) -> Event:
        event: Event = decoder.decode(row["event"])
        return event

    return read


FROM_ROW: dict[str, Callable[[Row], Event]] = {
    "steps": _reading(TrainStep, ("losses", "openness")),
    "evals": _reading(TrainEpoch, ("recalls",)),
    "gate_steps": _reading(GateStep),
    "openness": _openness,
    "gates": _reading_json(GateTrained),
    "run_events": _reading_json(RunPlanned | RunEnded),
    "logs": _reading(Log),
}
