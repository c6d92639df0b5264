"""The versions that runs of a document ended in: listed, compared by their sections, gone back to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlm_core.errors import UsageError
from dlm_core.store import SectionRecord, Snapshot, Store
from dlm_core.store.history import outcomes


@dataclass(frozen=True)
class Version:
    """What a run or a rollback left current.

    `committed_at` in seconds since the epoch; `perplexity` is the change against the base on neutral text,
    None where it was not measured.
    """

    generation: int
    committed_at: float
    run_id: int
    adapters: Mapping[str, str]
    recall: float | None
    perplexity: float | None
    note: str
    current: bool
    sections: tuple[SectionRecord, ...]


def versions_of(dlm_id: str) -> tuple[Version, ...]:
    """All versions that are kept, oldest first. Raises StoreError where the store cannot be read."""
    commits = outcomes(Store.open(dlm_id, create=False).versions())
    return tuple(_version(commit, commit is commits[-1]) for commit in commits)


def roll_back(dlm_id: str, to: int | None) -> Version:
    """Make an earlier generation current, None: that of the run before.

    Raises:
        UsageError: there is nothing to go back to.
        StoreError: there is no such generation, it is damaged, or another process writes.
    """
    store = Store.open(dlm_id, create=False)
    target = before_current(store.versions()) if to is None else to
    return _version(store.rollback(target), True)


def before_current(commits: Sequence[Snapshot]) -> int:
    """The generation that the run before the current one ended in; a rollback keeps its target's run."""
    earlier = [commit for commit in commits if commits and commit.run_id < commits[-1].run_id]
    if not earlier:
        raise UsageError(
            "there is nothing to go back to", "`dlm versions FILE` lists what there is; see --to"
        )
    return max(earlier, key=lambda commit: (commit.run_id, commit.generation)).generation


def differences(one: Version, other: Version) -> list[str]:
    """The sections that the document had at `other` and not at `one`, and the other way round, a line each.

    A section that only changed stands as `~`: one of the same kind, adapter and title is on the other side.
    """
    gone = _without(one.sections, other.sections)
    new = _without(other.sections, one.sections)
    lines = []
    for record in new:
        before = next((old for old in gone if _name(old) == _name(record)), None)
        if before is not None:
            gone.remove(before)
        lines.append(f"{'+' if before is None else '~'} {_name(record)}")
    return [*lines, *(f"- {_name(record)}" for record in gone)]


def _without(records: Sequence[SectionRecord], others: Sequence[SectionRecord]) -> list[SectionRecord]:
    """The records whose content the others have not, each counted."""
    there = Counter(record.content_hash for record in others)
    left = []
    for record in records:
        if there[record.content_hash]:
            there[record.content_hash] -= 1
        else:
            left.append(record)
    return left


def _name(record: SectionRecord) -> str:
    tag = f"#{record.adapter}" if record.adapter else ""
    return f"{record.kind}{tag}: {record.title}"


def _version(commit: Snapshot, current: bool) -> Version:
    base = commit.retention.get("perplexity_base")
    return Version(
        generation=commit.generation,
        committed_at=commit.committed_at,
        run_id=commit.run_id,
        adapters=commit.adapters,
        recall=commit.recall,
        perplexity=commit.retention["perplexity"] / base - 1 if base else None,
        note=commit.note,
        current=current,
        sections=tuple(commit.sections),
    )
