"""Which earlier sections a revision goes through again, and where the texts of those lie that are gone from
the document.

A sample has two halves. One is drawn at random, a section the likelier the more recently it was learned: what
is new is held least firmly. The other takes those whose last turn is the longest ago, so that every section
comes up again however many runs there are.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from dlm_core.document.model import Section
from dlm_core.errors import StoreError
from dlm_core.store import atomic, envelope
from dlm_core.store.manifest import SectionRecord

FLOOR = 12  # sections an adapter goes through again at least, where it has them …
SHARE = 0.1  # … this share of those it has …
FACTOR = 2  # … or so many for each that is new or changed
_FORMAT = 1
_FILE = "sections.json"


def sample(
    candidates: Sequence[SectionRecord], fresh: int, *, run: int, seed: str
) -> tuple[SectionRecord, ...]:
    """The sections to replay beside `fresh` new or changed ones, in the candidates' order.

    Args:
        candidates: what the adapter learned before and is to keep; `since` and `trained` are runs.
        run: the number of the last run, from which ages count.
        seed: the same arguments give the same sample.
    """
    count = min(len(candidates), max(FLOOR, FACTOR * fresh, math.ceil(SHARE * len(candidates))))
    rng = random.Random(seed)
    by_turn = sorted(range(len(candidates)), key=lambda i: (candidates[i].trained, rng.random()))
    chosen = set(by_turn[: count // 2])
    # Efraimidis and Spirakis (2006): the k largest u^(1/w) are a sample without replacement with weights w.
    ages = {i: max(0, run - candidates[i].since) for i in by_turn}
    drawn = sorted(by_turn, key=lambda i: rng.random() ** (1 + ages[i]), reverse=True)
    for i in drawn:
        if len(chosen) == count:
            break
        chosen.add(i)
    return tuple(candidates[i] for i in sorted(chosen))


def load_kept(folder: Path) -> dict[str, Section]:
    """The sections kept in the store by content hash; empty where none were, or where they cannot be read."""
    try:
        content, form = envelope.read(folder / _FILE)
        kept = msgspec.convert(content, list[Section], strict=False) if form == _FORMAT else []
    except (StoreError, msgspec.ValidationError):
        return {}
    return {section.content_hash: section for section in kept}


def save_kept(folder: Path, sections: Iterable[Section], known: Mapping[str, Section]) -> None:
    """Keep these sections, and no others; `known` is what `load_kept` gave. Raises StoreError."""
    wanted = {section.content_hash: replace(section, source=None) for section in sections}
    if wanted.keys() == known.keys():
        return
    atomic.make_folder(folder)
    envelope.write(folder / _FILE, list(wanted.values()), _FORMAT)
