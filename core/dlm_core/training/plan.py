"""What a run has to do: everything, only what an edit changed, or nothing; and why."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from dlm_core.store.manifest import Snapshot
from dlm_core.training.examples import PreferenceRow, Row, Rows

REPLAY_FACTOR = 2  # replayed rows per changed row …
REPLAY_FLOOR = 6  # … but at least so many, where the adapter has them


@dataclass(frozen=True)
class RunPlan:
    """The work of one run.

    `adapters` train, `fresh` of them from new weights; `rows` are what they learn from. `reason` is for the
    person. `gate` says whether the adapter gate is to be trained again. An empty plan has no adapters and
    no gate.
    """

    adapters: tuple[str, ...]
    fresh: frozenset[str]
    rows: tuple[Row, ...]
    preference: tuple[PreferenceRow, ...]
    gate: bool
    reason: str
    changed: int = 0
    replayed: int = 0

    @property
    def empty(self) -> bool:
        return not self.adapters and not self.gate


def make_plan(
    rows: Rows,
    adapters: Sequence[str],
    snapshot: Snapshot,
    *,
    recipe_hash: str,
    base_fingerprint: str,
    gate_key: str,
    fresh: bool,
    seed: int,
) -> RunPlan:
    """Compare the document's rows with what the last commit learned.

    Args:
        gate_key: a hash of all that the gate's training depends on, "" for a document without a gate; the
            last one is in the snapshot's `extra`.
        fresh: start over whatever there is.

    A changed recipe or base means a full run. Otherwise only adapters with new or changed sections train,
    from their last version, on those rows and a replay sample of their others. Removed sections alone cause
    no training.
    """

    def full(reason: str) -> RunPlan:
        return RunPlan(
            tuple(adapters),
            frozenset(adapters),
            rows.sft,
            rows.preference,
            True,
            reason,
            changed=len(rows.sft),
        )

    if fresh:
        return full("from new adapters, as asked")
    if not snapshot.adapters:
        return full("the first training of this document")
    if snapshot.base_fingerprint != base_fingerprint:
        return full("the base changed")
    if snapshot.recipe_hash != recipe_hash:
        return full("the recipe changed")
    if set(snapshot.adapters) != set(adapters):
        new = [a for a in adapters if a not in snapshot.adapters]
        if not new:
            gone = sorted(set(snapshot.adapters) - set(adapters))
            return RunPlan((), frozenset(), (), (), True, f"adapter removed: {', '.join(gone)}")
    known = {(record.content_hash) for record in snapshot.sections}
    changed = [r for r in rows.sft if r.section not in known or r.adapter not in snapshot.adapters]
    changed_pairs = [p for p in rows.preference if p.chosen.section not in known]
    touched = {r.adapter for r in changed} | {p.adapter for p in changed_pairs}
    training = tuple(a for a in adapters if a in touched or a not in snapshot.adapters)
    gate = bool(gate_key) and (snapshot.gate is None or snapshot.extra.get("gate_key") != gate_key)
    if not training and not gate:
        return RunPlan((), frozenset(), (), (), False, "nothing changed since the last run")
    replay = _replay(rows.sft, changed, touched, seed)
    pairs = tuple(p for p in rows.preference if p.adapter in {q.adapter for q in changed_pairs})
    sections = {r.section for r in changed} | {p.chosen.section for p in changed_pairs}
    reason = f"{len(sections)} new or changed sections" if training else "only the gate's questions changed"
    return RunPlan(
        training,
        frozenset(a for a in training if a not in snapshot.adapters),
        (*changed, *replay),
        pairs,
        gate,
        reason,
        changed=len(changed),
        replayed=len(replay),
    )


def _replay(rows: Sequence[Row], changed: Sequence[Row], touched: set[str], seed: int) -> list[Row]:
    """Unchanged rows of the touched adapters, a seeded sample per adapter."""
    fresh = {id(r) for r in changed}
    sample: list[Row] = []
    for adapter in sorted(touched):
        others = [r for r in rows if r.adapter == adapter and id(r) not in fresh]
        new = sum(r.adapter == adapter for r in changed)
        count = min(len(others), max(REPLAY_FLOOR, REPLAY_FACTOR * new))
        chosen = random.Random(f"{seed}:{adapter}").sample(range(len(others)), count)
        sample += [others[i] for i in sorted(chosen)]
    return sample
