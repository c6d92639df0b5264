"""How many samples the adapter gate would have for each adapter, and what to write if too few."""

from collections.abc import Iterable, Mapping, Sequence

from dlm_core.document.codes import Code
from dlm_core.document.model import Diagnostic, Document, Section, Span
from dlm_core.document.report import Report
from dlm_core.document.schema import TrainingConfig


def sample_counts(document: Document) -> dict[str, int]:
    """The gate's samples per adapter in declared order: every tagged section, of any kind, counts once,
    however many questions and wordings it holds.
    """
    return count_samples(document.adapter_names, document.sections)


def count_samples(adapters: Iterable[str], sections: Iterable[Section]) -> dict[str, int]:
    """As `sample_counts`, from the adapters' names and the sections."""
    counts = dict.fromkeys(adapters, 0)
    for section in sections:
        if section.adapter in counts and section.teaches:
            counts[section.adapter] += 1
    return counts


def cold_start_diagnostics(document: Document) -> tuple[Diagnostic, ...]:
    """The cold-start warnings of a document, placed on its first line; none where the gate is off."""
    report = Report(document.path)
    report_cold_start(document.frontmatter.training, document.sections, {}, report)
    return report.diagnostics()


def report_cold_start(
    training: TrainingConfig, sections: Sequence[Section], spans: Mapping[str, Span], report: Report
) -> None:
    """Warn for each adapter under `training.gate.cold_start_floor`, at its name where `spans` has it."""
    if not training.gate.enabled:
        return
    floor = training.gate.cold_start_floor
    for name, count in count_samples(training.adapter_configs(), sections).items():
        if count >= floor:
            continue
        message, hint = cold_start_words(name, count, floor)
        report.add(Code.COLD_START, spans.get(f"training.adapters.{name}", _TOP), message, hint)


def cold_start_words(name: str, count: int, floor: int) -> tuple[str, str]:
    """That an adapter has `count` tagged sections of the `floor` that the gate needs, and what to write."""
    missing = floor - count
    have = f"{count} tagged section" + ("" if count == 1 else "s")
    message = f"`{name}` has {have} and the gate needs {floor}; until then all adapters weigh the same"
    more = "one more section" if missing == 1 else f"{missing} more sections"
    return message, f"write {more} under `::instruction#{name}::` or `::prose#{name}::`"


_TOP = Span(1, 1, 1, 1)
