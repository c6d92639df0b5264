"""What a run has to do: everything, only what an edit changed, or nothing; and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dlm_core.document.diff import compare_sections
from dlm_core.document.model import Document, Section, SectionKind
from dlm_core.store.manifest import SectionRecord, Snapshot
from dlm_core.training import replay, settings
from dlm_core.training.examples import PreferenceRow, Row, Rows, learners

NOTHING = "nothing changed since the last run"


@dataclass(frozen=True)
class Share:
    """What one adapter goes through in a run, and why it trains.

    A `fresh` adapter starts from new weights; any other from its last version, with `replayed` earlier
    sections beside the `new` and `changed` ones.
    """

    adapter: str
    fresh: bool
    why: str
    new: tuple[Section, ...] = ()
    changed: tuple[Section, ...] = ()
    replayed: tuple[Section, ...] = ()

    @property
    def sections(self) -> tuple[Section, ...]:
        return (*self.new, *self.changed, *self.replayed)

    def hashes(self) -> frozenset[str]:
        """The content hashes of its sections."""
        return frozenset(s.content_hash for s in self.sections)


@dataclass(frozen=True)
class RunPlan:
    """The work of one run.

    `shares` are of the adapters that train; `untouched` ones stay as they are, bit for bit; `retired` ones
    are no longer declared. `gate` says whether the adapter gate is to be trained again. `gone` counts
    sections that the last run knew and the document has no more; `kept` are those of them still replayed.
    `reason` is for the person.
    """

    shares: tuple[Share, ...]
    reason: str
    untouched: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    gate: bool = False
    gone: int = 0
    kept: tuple[SectionRecord, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is to be trained."""
        return not self.shares and not self.gate

    @property
    def bookkeeping(self) -> bool:
        """Whether there is something to record though nothing is to be trained."""
        return bool(self.retired or self.gone)

    @property
    def adapters(self) -> tuple[str, ...]:
        return tuple(s.adapter for s in self.shares)

    @property
    def fresh(self) -> frozenset[str]:
        return frozenset(s.adapter for s in self.shares if s.fresh)

    def sections(self) -> tuple[Section, ...]:
        """Every section that some adapter goes through, once."""
        return tuple({s.content_hash: s for share in self.shares for s in share.sections}.values())

    def pick(self, rows: Rows) -> "PlannedRows":
        """Of the rows of `sections()` those that the plan has, by how they are trained."""
        known = {s.adapter: s for s in self.shares}
        mine = {name: share.hashes() for name, share in known.items()}
        old = {name: {s.content_hash for s in share.replayed} for name, share in known.items()}
        fresh: list[Row] = []
        changed: list[Row] = []
        replayed: list[Row] = []
        for row in rows.sft:
            if row.section not in mine.get(row.adapter, ()):
                continue
            if known[row.adapter].fresh:
                fresh.append(row)
            else:
                (replayed if row.section in old[row.adapter] else changed).append(row)
        pairs = [p for p in rows.preference if p.chosen.section in mine.get(p.adapter, ())]
        moved = {p.adapter for p in pairs if p.chosen.section not in old[p.adapter]}
        return PlannedRows(
            tuple(fresh), tuple(changed), tuple(replayed), tuple(p for p in pairs if p.adapter in moved)
        )


@dataclass(frozen=True)
class PlannedRows:
    """The rows of a run: of fresh adapters; new or changed, and replayed, of the others; and the pairs of
    adapters that have new ones.
    """

    fresh: tuple[Row, ...]
    changed: tuple[Row, ...]
    replayed: tuple[Row, ...]
    preference: tuple[PreferenceRow, ...]

    @property
    def sft(self) -> tuple[Row, ...]:
        return (*self.fresh, *self.changed, *self.replayed)

    def loss_tokens(self) -> dict[str, int]:
        """Tokens that carry loss, per section."""
        found: dict[str, int] = {}
        for row in self.sft:
            found[row.section] = found.get(row.section, 0) + row.loss_tokens
        return found

    def tokens(self) -> int:
        """Tokens of all rows, once."""
        pairs = (len(r.ids) for p in self.preference for r in (p.chosen, p.rejected))
        return sum(len(r.ids) for r in self.sft) + sum(pairs)


@dataclass(frozen=True)
class Past:
    """What a plan compares the document with: the last commit, and the texts that were kept by hash."""

    snapshot: Snapshot
    texts: Mapping[str, Section] = field(default_factory=dict)


def make_plan(
    document: Document,
    past: Past,
    *,
    now: settings.Settings,
    base_fingerprint: str,
    gate_key: str,
    fresh: bool = False,
    keep: bool = False,
    seed: int = 0,
) -> RunPlan:
    """Compare the document's sections and settings with what the last commit learned.

    Args:
        now: what decides the outcome besides the sections.
        gate_key: a hash of all that the gate's training depends on, "" for a document without a gate; the
            last one is in the snapshot's `extra`.
        fresh: start over whatever there is.
        keep: go on replaying sections that are gone.

    A changed base, or a setting of all adapters, means a full run. A setting of one adapter means that this
    one starts over. Otherwise only adapters with new or changed sections train, from their last version, on
    those and a sample of their others.
    """
    snapshot, names = past.snapshot, document.adapter_names
    trainable = [s for s in document.sections if trains(s, document)]
    changed = settings.changes(snapshot.settings, now)
    if fresh:
        return _full(names, trainable, "from new adapters, as asked")
    if not snapshot.adapters:
        return _full(names, trainable, "the first training of this document")
    if snapshot.base_fingerprint != base_fingerprint:
        return _full(names, trainable, "the base changed")
    if not snapshot.settings:
        return _full(names, trainable, "the last run did not record its settings")
    if common := tuple(c for c in changed if c.adapter is None):
        return _full(names, trainable, f"the recipe changed: {settings.sentence(common)}")

    difference = compare_sections(snapshot.sections, document.sections)
    edited = {section.content_hash for _, section in difference.changed}
    known = {r.content_hash: r for r in snapshot.sections}
    kept: tuple[SectionRecord, ...] = ()
    if keep:
        held = (*snapshot.kept, *difference.gone)
        here = {s.content_hash for s in document.sections}
        kept = tuple(r for r in held if r.content_hash in past.texts and r.content_hash not in here)
    own = {n: tuple(c for c in changed if c.adapter == n) for n in names if n in snapshot.adapters}
    shares: list[Share] = []
    for name in names:
        mine = [s for s in trainable if name in learners(s, names)]
        if name not in snapshot.adapters:
            shares.append(Share(name, True, "a new adapter", new=tuple(mine)))
        elif own[name]:
            shares.append(Share(name, True, settings.sentence(own[name]), new=tuple(mine)))
        else:
            learned = {s.content_hash for s in mine if _knows(known.get(s.content_hash), name)}
            share = _revision(name, mine, learned, edited)
            if share.new or share.changed:
                records = [known[s.content_hash] for s in mine if s.content_hash in learned]
                records += [r for r in kept if _knows(r, name)]
                texts = {**past.texts, **{s.content_hash: s for s in mine}}
                count = len(share.new) + len(share.changed)
                again = replay.sample(
                    records, count, run=snapshot.run_id, seed=f"{seed}:{snapshot.generation}:{name}"
                )
                shares.append(replace(share, replayed=tuple(texts[r.content_hash] for r in again)))
    gate = bool(gate_key) and (snapshot.gate is None or snapshot.extra.get("gate_key") != gate_key)
    trained = {s.adapter for s in shares}
    retired = tuple(n for n in snapshot.adapters if n not in names)
    gone = len(difference.gone) + (len(snapshot.kept) if not keep else 0)
    return RunPlan(
        tuple(shares),
        _reason(shares, gate, retired, gone),
        untouched=tuple(n for n in names if n not in trained),
        retired=retired,
        gate=gate,
        gone=gone,
        kept=kept,
    )


def _full(names: Sequence[str], sections: Sequence[Section], why: str) -> RunPlan:
    shares = (Share(n, True, why, new=tuple(s for s in sections if n in learners(s, names))) for n in names)
    return RunPlan(tuple(shares), why, gate=True)


def trains(section: Section, document: Document) -> bool:
    """Whether a section gives something to learn as the document stands."""
    preferences = document.frontmatter.training.preference.enabled
    return section.teaches and (preferences or section.kind is not SectionKind.PREFERENCE)


def _knows(record: SectionRecord | None, adapter: str) -> bool:
    return record is not None and adapter in record.learners


def _revision(name: str, mine: Sequence[Section], learned: Collection[str], edited: Collection[str]) -> Share:
    """The share of an adapter that goes on from its last version, before its replay is drawn."""
    fresh = [s for s in mine if s.content_hash not in learned]
    new = tuple(s for s in fresh if s.content_hash not in edited)
    changed = tuple(s for s in fresh if s.content_hash in edited)
    return Share(name, False, _counted(len(new), len(changed)), new, changed)


def _counted(new: int, changed: int) -> str:
    parts = [f"{count} {word}" for count, word in ((new, "new"), (changed, "changed")) if count]
    return f"{' and '.join(parts)} {'section' if new + changed == 1 else 'sections'}"


def _reason(shares: Sequence[Share], gate: bool, retired: Sequence[str], gone: int) -> str:
    parts: list[str] = []
    if revised := [s for s in shares if not s.fresh]:
        new = {s.content_hash for share in revised for s in share.new}
        changed = {s.content_hash for share in revised for s in share.changed}
        parts.append(_counted(len(new), len(changed)))
    parts += [f"{s.adapter} starts over: {s.why}" for s in shares if s.fresh]
    parts += [f"{name} is no longer declared" for name in retired]
    if not shares and gate:
        parts.append("the gate's questions or settings changed")
    if not parts and gone:
        return f"{gone} {'section is' if gone == 1 else 'sections are'} gone; nothing to train"
    return "; ".join(parts) or NOTHING
