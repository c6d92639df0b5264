"""`dlm show`: what a document holds, what was trained of it, and how its gate stands."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from msgspec import structs

from dlm_core import gate_health
from dlm_core.document import Diagnostic, Document, load
from dlm_core.document.cold_start import cold_start_diagnostics, sample_counts
from dlm_core.events import GateTrained
from dlm_core.safetext import visible_line
from dlm_core.store import Snapshot, Store
from dlm_core.store.metrics_reader import EvaluationRecord, MetricsReader, RunRecord
from dlm_tui.cli.tables import print_json, print_table
from dlm_tui.flags import document_argument, json_option
from dlm_tui.session.output import local_time, megabytes, utc_time
from dlm_tui.session.run_view import Forming, RunView
from dlm_tui.session.section_states import SectionState, State, section_states
from dlm_tui.session.signs import can_show_unicode
from dlm_tui.session.sparks import spark
from dlm_tui.session.wording import counted, duration, evaluation_line, gate_lines

SPARKS = 20  # characters of a sparkline
LISTED = 20  # changes named one by one
CHANGES: tuple[State, ...] = ("new", "changed", "gone")


@dataclass(frozen=True)
class Overview:
    """Everything `dlm show` shows, gathered before anything is written."""

    document: Document
    current: Snapshot
    runs: tuple[RunRecord, ...]
    gate: GateTrained | None
    evaluation: EvaluationRecord | None
    forming: Mapping[str, Forming]
    states: tuple[SectionState, ...]
    cold_starts: tuple[Diagnostic, ...]
    sizes: Mapping[str, int]
    notices: tuple[str, ...]


@click.command()
@document_argument
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show FILE's sections, versions, runs and gate, and what changed since the last run."""
    seen = _gather(load(file))
    if as_json:
        print_json(_as_document(seen))
    else:
        _print(seen)


def _gather(document: Document) -> Overview:
    store = Store.open(document.dlm_id, create=False)
    current = store.snapshot()
    with MetricsReader(store.paths.metrics) as metrics:
        runs = tuple(metrics.runs())
        committed = [run.run_id for run in runs if run.run_id <= current.run_id]
        gates = (metrics.gate(run_id) for run_id in reversed(committed))
        gate = next((found for found in gates if found is not None), None)
        evaluation = metrics.evaluation()
        watched = RunView(runs[-1].run_id if runs else 0)
        for event in metrics.probes(watched.run_id):
            watched.take(event)
    return Overview(
        document=document,
        current=current,
        runs=runs,
        gate=gate,
        evaluation=evaluation,
        forming=watched.forming,
        states=section_states(document.sections, current.sections),
        cold_starts=cold_start_diagnostics(document),
        sizes=store.sizes(),
        notices=tuple(store.notices),
    )


def _as_document(seen: Overview) -> dict[str, Any]:
    """The document that `--json` promises."""
    document, current = seen.document, seen.current
    return {
        "dlm_id": document.dlm_id,
        "base_model": visible_line(document.frontmatter.base_model),
        "adapters": document.adapter_names,
        "versions": {
            "generation": current.generation,
            "adapters": dict(current.adapters),
            "gate": current.gate,
            "run_id": current.run_id,
        },
        "runs": [_run_as_document(run) for run in seen.runs],
        "sections": {
            "total": len(document.sections),
            **{
                state: [_section_as_document(s) for s in seen.states if s.state == state] for state in CHANGES
            },
            "incomplete": [{**_section_as_document(s), "lost": s.lost} for s in seen.states if s.lost],
        },
        "gate": _gate_as_document(seen),
        "gate_warning": _gate_warning(seen.gate),
        "evaluation": _evaluation_as_document(seen),
        "watched": [_watched_as_document(known) for known in seen.forming.values()],
        "cold_start": [{"message": d.message, "hint": d.hint} for d in seen.cold_starts],
        "sizes": seen.sizes,
        "notices": seen.notices,
    }


def _run_as_document(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "reason": run.reason,
        "started_at": utc_time(run.started_at),
        "ended_at": utc_time(run.ended_at) if run.ended_at is not None else None,
        "seconds": run.seconds,
        "recall": run.recall,
        "base": run.base,
    }


def _watched_as_document(known: Forming) -> dict[str, Any]:
    """A question that was asked again while the last run trained; one probability for each time."""
    return {**structs.asdict(known.latest), "probabilities": known.probabilities}


def _section_as_document(state: SectionState) -> dict[str, Any]:
    line = state.section.span.line if state.section and state.section.source is None else None
    return {"kind": state.kind, "adapter": state.adapter, "title": state.title, "line": line}


def _gate_as_document(seen: Overview) -> dict[str, Any]:
    """How routing stands: `off` without a gate in the document, `none` with one that was never trained."""
    gate = seen.gate
    trained = gate.mode if gate else "none"
    mode = trained if seen.document.frontmatter.training.gate.enabled else "off"
    counts = gate.sample_counts if gate else sample_counts(seen.document)
    weights = gate.mean_weights if gate else {}
    return {
        "mode": mode,
        "per_adapter": {
            name: {"mean_weight": weights.get(name), "sample_count": count} for name, count in counts.items()
        },
        "train_accuracy": gate.train_accuracy if gate else None,
        "loo_accuracy": gate.loo_accuracy if gate else None,
        "entropy": gate.entropy if gate else None,
    }


def _gate_warning(gate: GateTrained | None) -> dict[str, str] | None:
    fault = gate_health.fault_of(gate) if gate else None
    return {"message": visible_line(fault.sentence), "hint": gate_health.remedy(fault)} if fault else None


def _is_of_current(seen: Overview, record: EvaluationRecord) -> bool:
    return record.evaluated.evaluation.version == f"g{seen.current.generation}"


def _evaluation_as_document(seen: Overview) -> dict[str, Any] | None:
    """The last evaluation; `current` is false once other versions have taken the place of those measured."""
    record = seen.evaluation
    if record is None:
        return None
    figures = structs.asdict(record.evaluated.evaluation)
    return {"at": utc_time(record.at), "current": _is_of_current(seen, record), **figures}


def _print(seen: Overview) -> None:
    document = seen.document
    click.echo(visible_line(f"{document.path}  {document.dlm_id}  base {document.frontmatter.base_model}"))
    _print_sections(seen.states)
    click.echo("")
    if seen.current.generation:
        rows = [(name, version) for name, version in seen.current.adapters.items()]
        print_table(("adapter", "version"), rows)
    else:
        click.echo("not trained yet: `dlm train` makes a first version")
    _print_gate(seen)
    if seen.evaluation is not None:
        when = local_time(seen.evaluation.at)
        of = "" if _is_of_current(seen, seen.evaluation) else ", of earlier versions"
        click.echo(f"evaluated {when}{of}: {evaluation_line(seen.evaluation.evaluated.evaluation)}")
    for warning in seen.cold_starts:
        click.echo(f"warning: {warning.message}\n  hint: {warning.hint}")
    if seen.runs:
        click.echo("")
        print_table(("run#", "started", "status", "time#", "recall#", "reason"), map(_run_row, seen.runs))
    if seen.forming:
        click.echo("\nasked again while the last run trained, with the probability of the right answer:")
        for known in seen.forming.values():
            unicode = can_show_unicode(sys.stdout)
            row = spark(known.probabilities, SPARKS, unicode=unicode)
            click.echo(
                visible_line(f"  {row:<{SPARKS}} {known.latest.probability:4.0%}  {known.latest.question}")
            )
    sizes = ", ".join(f"{name} {megabytes(size)}" for name, size in seen.sizes.items() if size)
    if sizes:
        click.echo(f"\nin the store: {sizes}")
    for notice in seen.notices:
        click.echo(f"note: {visible_line(notice)}")


def _print_sections(states: Sequence[SectionState]) -> None:
    counts = Counter(state.state for state in states)
    total = len(states) - counts["gone"]
    changes = ", ".join(f"{counts[name]} {name}" for name in CHANGES if counts[name])
    since = f": {changes} since the last run" if changes and counts["new"] < total else ""
    click.echo(f"{counted(total, 'section')}{since}")
    if since:
        changed = [state for state in states if state.state in CHANGES]
        for state in changed[:LISTED]:
            click.echo(visible_line(f"  {state.state:<7}  {state.adapter or state.kind}: {state.title}"))
        if len(changed) > LISTED:
            click.echo(f"  and {len(changed) - LISTED} more; --json has them all")
    incomplete = [state for state in states if state.lost]
    for state in incomplete[:LISTED]:
        what = f"  {state.lost:<8}  {state.adapter or state.kind}: {state.title}"
        click.echo(visible_line(f"{what} (line {state.section.span.line})" if state.section else what))
    if len(incomplete) > LISTED:
        click.echo(f"  and {len(incomplete) - LISTED} more that are cut or left out; --json has them all")


def _print_gate(seen: Overview) -> None:
    enabled = seen.document.frontmatter.training.gate.enabled
    for line in gate_lines(seen.gate, enabled=enabled):
        click.echo(line)
    if enabled and (warning := _gate_warning(seen.gate)):
        click.echo(f"warning: {warning['message']}\n  hint: {warning['hint']}")


def _run_row(run: RunRecord) -> tuple[str, ...]:
    time = duration(run.seconds) if run.seconds is not None else "-"
    recall = f"{run.recall:.1%}" if run.recall is not None else "-"
    return (str(run.run_id), local_time(run.started_at), run.status, time, recall, run.reason)
