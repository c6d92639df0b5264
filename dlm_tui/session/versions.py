"""The versions that runs of a document ended in: listed, compared by their sections, gone back to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff

from dlm_core.document.model import Section
from dlm_core.errors import UsageError
from dlm_core.store import SectionRecord, Snapshot, Store, marks
from dlm_core.store.history import outcomes
from dlm_core.store.metrics_reader import MetricsReader


@dataclass(frozen=True)
class Version:
    """What a run or a rollback left current.

    `committed_at` in seconds since the epoch; `perplexity` is the change against the base on neutral text,
    None where it was not measured; `right` is the share of probes that were right when it was evaluated.
    `name` is what the user called it, and `pinned` says that it is kept whatever is pruned.
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
    right: float | None = None
    name: str = ""
    pinned: bool = False


def versions_of(dlm_id: str) -> tuple[Version, ...]:
    """All versions that are kept, oldest first. Raises StoreError where the store cannot be read."""
    store = Store.open(dlm_id, create=False)
    commits = outcomes(store.versions())
    noted = marks.load(store.paths.marks)
    with MetricsReader(store.paths.metrics) as metrics:
        right = metrics.right_shares()
    return tuple(
        _version(
            commit,
            noted.get(commit.generation) or marks.Mark(generation=commit.generation),
            current=commit is commits[-1],
            right=right.get(f"g{commit.generation}"),
        )
        for commit in commits
    )


def mark(dlm_id: str, which: str, *, name: str | None = None, pinned: bool | None = None) -> Version:
    """Name a version, pin it, or take that back; what is None stays. A version that gets a name is pinned.

    Args:
        which: its generation, or the name it has.
        name: "" takes the name away.

    Raises:
        UsageError: there is no such version, or another one has this name.
        StoreError: that cannot be kept.
    """
    store = Store.open(dlm_id, create=False)
    there = versions_of(dlm_id)
    version = found(there, which)
    wanted = version.name if name is None else marks.checked_name(name) if name else ""
    if wanted and any(v.name == wanted and v.generation != version.generation for v in there):
        raise UsageError(f"another version is called {wanted} already", "`/versions` lists them")
    keeps = (version.pinned or bool(name)) if pinned is None else pinned
    kept = {v.generation: marks.Mark(generation=v.generation, name=v.name, pinned=v.pinned) for v in there}
    kept[version.generation] = marks.Mark(generation=version.generation, name=wanted, pinned=keeps)
    marks.save(store.paths.marks, kept)
    return replace(version, name=wanted, pinned=keeps)


def marked_words(version: Version) -> str:
    """What a version is called now, and whether it is kept."""
    called = f"is called {version.name}" if version.name else "has no name"
    return f"generation {version.generation} {called}, and is {'pinned' if version.pinned else 'not pinned'}"


def found(versions: Sequence[Version], which: str) -> Version:
    """The version of this generation or name. Raises UsageError where there is none."""
    for version in versions:
        if which == str(version.generation) or (version.name and which == version.name):
            return version
    raise UsageError(f"there is no version `{which}`", "name a generation that `dlm versions FILE` lists")


def document_lines(version: Version, texts: Mapping[str, Section]) -> list[str]:
    """The sections that the document had at a version, line by line; of a text that is not kept its title."""
    lines: list[str] = []
    for record in version.sections:
        tag = f"#{record.adapter}" if record.adapter else ""
        known = texts.get(record.content_hash)
        said = known.text.strip("\n") if known is not None else f"(not kept) {record.title}"
        lines += [f"::{record.kind}{tag}::", *said.split("\n"), ""]
    return lines


def document_difference(one: Version, other: Version, texts: Mapping[str, Section]) -> list[str]:
    """A unified diff from the document at `one` to that at `other`, without its two lines of names."""
    before, after = document_lines(one, texts), document_lines(other, texts)
    return list(unified_diff(before, after, lineterm=""))[2:]


def meant(dlm_id: str, which: str | None) -> int:
    """The generation that a number (whether there is one, going back says) or a name means; None: the one
    that the run before the current one ended in. Raises UsageError where there is none.
    """
    if which is None:
        return _before_current(Store.open(dlm_id, create=False).versions())
    return int(which) if which.isdecimal() else found(versions_of(dlm_id), which).generation


def roll_back(dlm_id: str, to: int) -> Version:
    """Make an earlier generation current.

    Raises:
        StoreError: there is no such generation, it is damaged, or another process writes.
    """
    commit = Store.open(dlm_id, create=False).rollback(to)
    return _version(commit, marks.Mark(generation=commit.generation), current=True)


def _before_current(commits: Sequence[Snapshot]) -> int:
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


def _version(commit: Snapshot, noted: marks.Mark, *, current: bool, right: float | None = None) -> Version:
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
        right=right,
        name=noted.name,
        pinned=noted.pinned,
    )
