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
    `before` are changed sections as they were learned, where their texts were kept.
    `reason` is for the person.
    """

    shares: tuple[Share, ...]
    reason: str
    untouched: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    gate: bool = False
    gone: int = 0
    kept: tuple[SectionRecord, ...] = ()
    before: tuple[Section, ...] = ()

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

    def pick(self, rows: Rows, before: Rows) -> "PlannedRows":
        """Of the rows of `sections()` those that the plan has, by how they are trained.

        What a changed section asked and answered `before` is replayed: a further wording is no reason to
        learn the others again.
        """
        learned = {(row.adapter, row.ids) for row in before.sft}
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
                known_already = row.section in old[row.adapter] or (row.adapter, row.ids) in learned
                (replayed if known_already else changed).append(row)
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
    changed = settings.changes(past.snapshot.settings, now)
    why = (
        "from new adapters, as asked" if fresh else _reason_for_all(past.snapshot, base_fingerprint, changed)
    )
    if why:
        return _full(document, why)
    edit = _Edit.of(document, past, keep=keep)
    own = {n: tuple(c for c in changed if c.adapter == n) for n in document.adapter_names}
    found = (_share(edit, name, own[name], seed) for name in document.adapter_names)
    shares = tuple(share for share in found if share is not None)
    snapshot, trained = past.snapshot, {share.adapter for share in shares}
    gate = bool(gate_key) and (snapshot.gate is None or snapshot.extra.get("gate_key") != gate_key)
    retired = tuple(n for n in snapshot.adapters if n not in document.adapter_names)
    return RunPlan(
        shares,
        _reason(shares, gate, retired, edit.gone),
        untouched=tuple(n for n in document.adapter_names if n not in trained),
        retired=retired,
        gate=gate,
        gone=edit.gone,
        kept=edit.kept,
        before=edit.before,
    )


def _reason_for_all(snapshot: Snapshot, base_fingerprint: str, changed: Sequence[settings.Changed]) -> str:
    """Why every adapter starts over; empty where none has to for a reason that concerns them all."""
    if not snapshot.adapters:
        return "the first training of this document"
    if snapshot.base_fingerprint != base_fingerprint:
        return "the base changed"
    if not snapshot.settings:
        return "the last run did not record its settings"
    common = tuple(c for c in changed if c.adapter is None)
    return f"the recipe changed: {settings.sentence(common)}" if common else ""


@dataclass(frozen=True)
class _Edit:
    """A document beside the last commit: what it gives to learn, the hashes of sections that changed in their
    place, the records of the last run by hash, those of gone sections that are kept, changed sections as they
    were before, and how many are gone for good.
    """

    document: Document
    past: Past
    trainable: tuple[Section, ...]
    edited: frozenset[str]
    known: Mapping[str, SectionRecord]
    kept: tuple[SectionRecord, ...]
    before: tuple[Section, ...]
    gone: int

    @classmethod
    def of(cls, document: Document, past: Past, *, keep: bool) -> "_Edit":
        difference = compare_sections(past.snapshot.sections, document.sections)
        held = (*past.snapshot.kept, *difference.gone) if keep else ()
        here = {s.content_hash for s in document.sections}
        return cls(
            document,
            past,
            trainable=tuple(s for s in document.sections if trains(s, document)),
            edited=frozenset(section.content_hash for _, section in difference.changed),
            known={r.content_hash: r for r in past.snapshot.sections},
            kept=tuple(r for r in held if r.content_hash in past.texts and r.content_hash not in here),
            before=tuple(
                past.texts[r.content_hash] for r, _ in difference.changed if r.content_hash in past.texts
            ),
            gone=len(difference.gone) + (0 if keep else len(past.snapshot.kept)),
        )

    def of_adapter(self, name: str) -> list[Section]:
        """The sections that the adapter learns from."""
        return [s for s in self.trainable if name in learners(s, self.document.adapter_names)]


def _share(edit: _Edit, name: str, own: tuple[settings.Changed, ...], seed: int) -> Share | None:
    """What one adapter goes through; None where nothing changed for it. `own` are its changed settings."""
    snapshot, mine = edit.past.snapshot, edit.of_adapter(name)
    if name not in snapshot.adapters:
        return Share(name, True, "a new adapter", new=tuple(mine))
    if own:
        return Share(name, True, settings.sentence(own), new=tuple(mine))
    learned = {s.content_hash for s in mine if _knows(edit.known.get(s.content_hash), name)}
    share = _revision(name, mine, learned, edit.edited)
    count = len(share.new) + len(share.changed)
    if not count:
        return None
    records = [edit.known[s.content_hash] for s in mine if s.content_hash in learned]
    records += [r for r in edit.kept if _knows(r, name)]
    texts = {**edit.past.texts, **{s.content_hash: s for s in mine}}
    turn = f"{seed}:{snapshot.generation}:{name}"
    again = replay.sample(records, count, run=snapshot.run_id, seed=turn)
    return replace(share, replayed=tuple(texts[r.content_hash] for r in again))


def _full(document: Document, why: str) -> RunPlan:
    names = document.adapter_names
    sections = [s for s in document.sections if trains(s, document)]
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
