"""What decides the outcome of a training besides the sections: every setting by its key, and what changed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields

import msgspec

from dlm_core.document.model import Document
from dlm_core.training.recipe import Recipe

_ADAPTERS = "adapters."
_REPLYING = frozenset({"scope"})  # keys of an adapter that concern its replies: they train nothing anew
_SHOWN = 40  # a longer value is not repeated in a sentence
_NAMED = 3  # so many changed settings are named one by one
_KEYS = {
    "gate_lr_multiplier": "disel.gate_lr_multiplier",
    "gate_bias_init": "disel.gate_bias_init",
    "epochs": "num_epochs",
    "max_rows": "micro_batch_size",
    "scheduler": "lr_scheduler",
    "rehearse_every": "rehearsal.every",
    "rehearse_weight": "rehearsal.weight",
}

Settings = Mapping[str, str]


def settings_of(document: Document, recipe: Recipe, *, epochs: int | None = None) -> dict[str, str]:
    """Every setting as JSON text, by its key under `training`; an adapter's own under `adapters.NAME.`.

    `epochs` are those of the command line. An automatic number of epochs, at most or at least, follows from
    the sections, so it counts as "auto" and not by its value.
    """
    training = document.frontmatter.training
    values: dict[str, object] = {
        _KEYS.get(f.name, f.name): getattr(recipe, f.name) for f in fields(recipe) if f.name != "entries"
    }
    if epochs is None and training.num_epochs == "auto":
        values["num_epochs"] = "auto"
    if training.min_epochs == "auto":
        values["min_epochs"] = "auto"
    values |= {f"disel.{k}": v for k, v in msgspec.structs.asdict(training.disel).items() if v != "auto"}
    values |= {
        "preference": training.preference,
        "rehearsal.texts": training.rehearsal.texts,
        "sequence_len": training.sequence_len,
        "system_prompt": document.frontmatter.system_prompt,
    }
    for name, config in training.adapter_configs().items():
        values |= {
            f"{_ADAPTERS}{name}.{k}": v
            for k, v in msgspec.structs.asdict(config).items()
            if k not in _REPLYING
        }
    return {key: msgspec.json.encode(value, order="sorted").decode() for key, value in values.items()}


def hash_of(settings: Settings) -> str:
    """A hash of all settings: a different one means a different training."""
    return hashlib.sha256(msgspec.json.encode(dict(settings), order="sorted")).hexdigest()


@dataclass(frozen=True)
class Changed:
    """A setting with its values before and now, as JSON text; None where there was, or is, no such setting.

    `adapter` is the one adapter that it concerns, None for a setting of all.
    """

    key: str
    before: str | None
    now: str | None
    adapter: str | None = None

    def __str__(self) -> str:
        if self.before is None or self.now is None or max(len(self.before), len(self.now)) > _SHOWN:
            return f"`{self.key}` changed"
        return f"`{self.key}` was {self.before} and is {self.now}"


def changes(before: Settings, now: Settings) -> tuple[Changed, ...]:
    """The settings that differ, sorted by key."""
    return tuple(
        Changed(key, before.get(key), now.get(key), _owner(key))
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    )


def sentence(changed: tuple[Changed, ...]) -> str:
    """The first few changes in words."""
    named = ", ".join(map(str, changed[:_NAMED]))
    more = len(changed) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def _owner(key: str) -> str | None:
    return key.removeprefix(_ADAPTERS).partition(".")[0] if key.startswith(_ADAPTERS) else None
