"""What a run leaves in the manifest besides the adapters: its sections, and the libraries that made it."""

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata

import msgspec

from dlm_core.document.diff import title
from dlm_core.document.model import Document, SectionKind
from dlm_core.store.manifest import SectionRecord, Snapshot
from dlm_core.training.examples import Row, label_of, learners
from dlm_core.training.plan import RunPlan
from dlm_core.training.progress import Learned

_PACKAGES = ("dlm-workbench", "torch", "transformers", "accelerate", "tokenizers", "safetensors")


def libraries() -> dict[str, str]:
    """Versions of what trains, by package; of one that is not installed as a package nothing is said."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def section_records(
    document: Document,
    plan: RunPlan,
    snapshot: Snapshot,
    learned: Learned,
    run_id: int,
    lost: Sequence[Row] = (),
) -> tuple[SectionRecord, ...]:
    """A record of every section of the document after a run, with what the run before knew of it. Sections of
    probes alone have none. `lost` are the rows of the plan that were cut or left out.
    """
    before = {record.content_hash: record for record in snapshot.sections}
    wanting = {row.section: row.lost.what for row in lost if row.lost is not None}
    mine = {share.adapter: share.hashes() for share in plan.shares}
    names = document.adapter_names
    preferences = document.frontmatter.training.preference.enabled
    records: list[SectionRecord] = []
    for section in filter(lambda s: s.teaches, document.sections):
        key, old = section.content_hash, before.get(section.content_hash)
        of = learners(section, names)
        if section.kind is SectionKind.PREFERENCE and not preferences:
            of = ()
        trained = any(key in mine.get(name, ()) for name in of)
        known = old is not None and old.learners == of and not plan.fresh.intersection(of)
        records.append(
            SectionRecord(
                content_hash=key,
                kind=section.kind.value,
                adapter=section.adapter,
                title=title(section)[:80] or label_of(section),
                questions=len(section.questions) + len(section.preferences),
                last_loss=learned.losses.get(key, old.last_loss if old else None),
                last_recall=learned.recalls.get(key, old.last_recall if old else None),
                learners=of,
                since=old.since if old is not None and known else run_id,
                trained=run_id if trained or old is None else old.trained,
                lost=wanting.get(key, "") if trained or old is None else old.lost,
            )
        )
    return tuple(records)


def kept_records(plan: RunPlan, run_id: int) -> tuple[SectionRecord, ...]:
    """The records of the gone sections that stay in the replay."""
    replayed = {key for share in plan.shares for key in share.hashes()}
    return tuple(
        msgspec.structs.replace(r, trained=run_id) if r.content_hash in replayed else r for r in plan.kept
    )


def merged(parts: Sequence[Learned], tokens: Mapping[str, int]) -> Learned:
    """What several loops of a run came to together; `tokens` weighs the sections' recalls."""
    told = [part for part in parts if part.recall is not None]
    if not told:
        return Learned()
    if all(part.recalls.keys() <= told[-1].recalls.keys() for part in told):
        return told[-1]
    recalls: dict[str, float] = {}
    losses: dict[str, float] = {}
    for part in told:
        recalls |= part.recalls
        losses |= part.losses
    total = sum(tokens.get(key, 0) for key in recalls)
    recall = sum(value * tokens.get(key, 0) for key, value in recalls.items()) / total if total else None
    return Learned(recall, recalls, losses)
