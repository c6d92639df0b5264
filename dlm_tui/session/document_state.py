"""What is known of the document and its store at a moment: sections, changes, warnings, versions."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dlm_core import gate_health
from dlm_core.document import Diagnostic, parse_file
from dlm_core.document.cold_start import cold_start_diagnostics, sample_counts
from dlm_core.document.model import Document
from dlm_core.errors import StoreError
from dlm_core.events import GateTrained
from dlm_tui.session.file_watch import Stamp, stamp_of


@dataclass(frozen=True)
class Warned:
    """A warning that stands: what, and what to do."""

    message: str
    hint: str
    code: str


@dataclass(frozen=True)
class DocumentState:
    """The document as it stands on disk, against what was last trained.

    `changes` counts sections that are new, changed or gone since the last run; `stamp` is the file's time
    and size, by which a later change is seen; `errors` is what keeps the document from being used;
    `manifest` is the file that a commit to the store replaces.
    """

    path: Path
    stamp: Stamp
    adapters: tuple[str, ...] = ()
    dlm_id: str = ""
    base_model: str = ""
    system_prompt: str | None = None
    sections: int = 0
    samples: Mapping[str, int] = field(default_factory=dict)
    gate_enabled: bool = False
    changes: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0
    gate: GateTrained | None = None
    warnings: tuple[Warned, ...] = ()
    errors: tuple[Diagnostic, ...] = ()
    store_problem: str = ""
    manifest: Path | None = None

    @property
    def untrained(self) -> int:
        """How many sections are new or changed since the last run."""
        return self.changes.get("new", 0) + self.changes.get("changed", 0)


def look(path: Path) -> DocumentState:
    """Read the document and what the store has of it. Never raises: problems are part of the situation."""
    stamp = stamp_of(path)
    parsed = parse_file(path)
    if parsed.document is None:
        return DocumentState(path, stamp, errors=tuple(parsed.errors))
    return _look_into_store(parsed.document, stamp)


def _look_into_store(document: Document, stamp: Stamp) -> DocumentState:
    from dlm_core.store import Store
    from dlm_core.store.metrics_reader import MetricsReader
    from dlm_tui.session.section_states import section_states

    warned = [Warned(d.message, d.hint, str(d.code)) for d in cold_start_diagnostics(document)]
    changes: Counter[str] = Counter(new=len(document.sections))
    versions: dict[str, str] = {}
    generation, gate, problem, manifest = 0, None, "", None
    try:
        store = Store.open(document.dlm_id, create=False)
        manifest = store.paths.manifest
        current = store.snapshot()
        generation, versions = current.generation, dict(current.adapters)
        changes = Counter(state.state for state in section_states(document.sections, current.sections))
        with MetricsReader(store.paths.metrics) as metrics:
            committed = [run.run_id for run in metrics.runs() if run.run_id <= current.run_id]
            for run_id in reversed(committed):
                if (gate := metrics.gate(run_id)) is not None:
                    if fault := gate_health.fault_of(gate):
                        warned.append(Warned(fault.sentence, gate_health.remedy(fault), gate_health.CODE))
                    break
    except StoreError as error:
        problem = str(error)
    return DocumentState(
        path=document.path,
        stamp=stamp,
        adapters=document.adapter_names,
        dlm_id=document.dlm_id,
        base_model=document.frontmatter.base_model,
        system_prompt=document.frontmatter.system_prompt,
        sections=len(document.sections),
        samples=sample_counts(document),
        gate_enabled=document.frontmatter.training.gate.enabled,
        changes=dict(changes),
        versions=versions,
        generation=generation,
        gate=gate,
        warnings=tuple(warned),
        store_problem=problem,
        manifest=manifest,
    )
