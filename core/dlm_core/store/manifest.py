"""What one commit says: which versions belong together, and what they come from; how it stands on disk."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from dlm_core.errors import StoreError
from dlm_core.store import atomic, envelope
from dlm_core.store.paths import StorePaths

Count = Annotated[int, Meta(ge=0, lt=10**8)]  # What `version_name` and SQLite can hold, with room above.


class NewerFormatError(StoreError):
    """The manifest is whole, but of a format that is not known here."""


class SectionRecord(Struct, frozen=True, kw_only=True):
    """One section of the document as it was last trained.

    `content_hash` is the section's own (see `document.model.Section`), `adapter` its tag, `title` a short
    label for lists, `questions` how many it holds. `last_loss` in nats per token; `last_recall` is the
    share of its answer tokens predicted. `learners` are the adapters that know it, `since` the run in which
    they learned it as it stands, `trained` the last run in which they went through it. `lost` says what was
    not learned of it: `cut` where answers were cut, `left_out` where a text had nothing to predict.
    """

    content_hash: str
    kind: str
    adapter: str | None = None
    title: str = ""
    questions: Count = 0
    last_loss: float | None = None
    last_recall: float | None = None
    learners: tuple[str, ...] = ()
    since: int = 0
    trained: int = 0
    lost: str = ""


class RunRecord(Struct, frozen=True, kw_only=True):
    """What a commit notes beside its versions, as in `Committed`; what is None stays as it was."""

    sections: tuple[SectionRecord, ...] | None = None
    recipe_hash: str | None = None
    base_fingerprint: str | None = None
    document_hash: str | None = None
    extra: Mapping[str, Any] | None = None
    kept: tuple[SectionRecord, ...] | None = None
    settings: Mapping[str, str] | None = None
    libraries: Mapping[str, str] | None = None
    recall: float | None = None
    retention: Mapping[str, float] | None = None

    def given(self) -> dict[str, Any]:
        """What is not None, by field; mappings are copied."""
        values = {f: getattr(self, f) for f in self.__struct_fields__ if getattr(self, f) is not None}
        return {f: dict(v) if isinstance(v, Mapping) else v for f, v in values.items()}


NOTHING_NOTED = RunRecord()


class Committed(Struct, frozen=True, kw_only=True):
    """The content of a manifest.

    Attributes:
        generation: counts commits, from 1; 0 is the empty store. Order is by generation, never by time.
        adapters: the current version of each adapter.
        gate: the current version of the adapter gate, None without one.
        sections: the sections of the last run.
        run_id: the run that committed it.
        committed_at: seconds since the epoch, by the clock of the machine.
        extra: whatever else the committer wants to find again; values that JSON can hold.
        numbered: the highest version number ever committed per adapter ("" is the gate); numbers are not
            re-used.
        note: how it came about, if not by a run ("rolled back to generation 3").
        kept: sections that are gone from the document and still replayed, as they were asked to be.
        settings: what decides a training besides the sections, as JSON text by key.
        libraries: versions of what trained it, by package.
        recall: the share of the answer tokens its run went through that was predicted at its end, 0..1.
        retention: `perplexity` and `kl` (nats per token) on neutral text, and `perplexity_base`, the base's;
            `chat_kl` (nats) where replies to chat questions begin.
    """

    generation: Count = 0
    adapters: Mapping[str, str] = {}
    gate: str | None = None
    sections: tuple[SectionRecord, ...] = ()
    run_id: Count = 0
    recipe_hash: str = ""
    base_fingerprint: str = ""
    document_hash: str = ""
    committed_at: float = 0.0
    extra: dict[str, Any] = {}
    numbered: dict[str, Count] = {}
    note: str = ""
    kept: tuple[SectionRecord, ...] = ()
    settings: dict[str, str] = {}
    libraries: dict[str, str] = {}
    recall: float | None = None
    retention: dict[str, float] = {}


class Snapshot(Committed, frozen=True, kw_only=True):
    """A commit together with the folders it points to. It stays what it is when a later commit follows."""

    paths: StorePaths

    def adapter_dir(self, name: str) -> Path:
        """The folder of the adapter's version. Raises StoreError if this commit has no such adapter."""
        if name not in self.adapters:
            known = ", ".join(self.adapters) or "none"
            raise StoreError(
                f"there is no trained adapter {name!r} (trained: {known})", "train the document first"
            )
        return self.paths.version(name, self.adapters[name])

    def gate_dir(self) -> Path | None:
        """The folder of the gate's version, None without one."""
        return None if self.gate is None else self.paths.gate_version(self.gate)

    def folders(self) -> dict[str, Path]:
        """Every version folder of this commit, by a label for people (`adapter tone v0003`, `gate v0001`)."""
        found = {
            f"adapter {name} {version}": self.adapter_dir(name) for name, version in self.adapters.items()
        }
        gate = self.gate_dir()
        return found if gate is None else {**found, f"gate {self.gate}": gate}


Migration = Callable[[dict[str, Any]], dict[str, Any]]
MIGRATIONS: tuple[Migration, ...] = ()  # The n-th (from 1) lifts the content of format n to format n + 1.


def current_format() -> int:
    """The format that is written; older ones are lifted to it as they are read."""
    return len(MIGRATIONS) + 1


def snapshot(paths: StorePaths, committed: Committed) -> Snapshot:
    """The commit with its folders."""
    return Snapshot(paths=paths, **structs.asdict(committed))


def write(path: Path, committed: Committed) -> None:
    """Replaces the manifest at `path` in one step. Raises StoreError."""
    atomic.write_bytes(path, encode(committed, atomic.shown(path)))


def encode(committed: Committed, place: str) -> bytes:
    """A manifest file's content; `place` names the file in messages. Raises StoreError: it does not fit."""
    fields = {name: getattr(committed, name) for name in Committed.__struct_fields__}
    return envelope.encode(fields, current_format(), place)


def read(path: Path) -> tuple[Committed, int]:
    """The commit a manifest file holds, and the format it was written in.

    Raises:
        StoreError: it cannot be read, is damaged, or a newer dlm wrote it.
    """
    return decode(atomic.read_bytes(path), atomic.shown(path))


def decode(data: bytes, place: str) -> tuple[Committed, int]:
    """What `read` reads, from a file's content; `place` names the file in messages. Raises StoreError."""
    content, form = envelope.decode(data, place)
    if form > current_format():
        raise NewerFormatError(f"{place} was written by a newer dlm (format {form})", "update dlm")
    try:
        if form < 1:
            raise ValueError(f"there is no format {form}")
        for lift in MIGRATIONS[form - 1 :]:
            content = lift(content)
        return msgspec.convert(content, Committed), form
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{place} is damaged: it is not a manifest") from error
