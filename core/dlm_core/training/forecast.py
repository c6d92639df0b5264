"""What a run will take: time by what earlier runs of the document took, memory by the shape of the base."""

import statistics
from pathlib import Path
from typing import Literal

from dlm_core.bases.doctor import examine
from dlm_core.document.model import Document
from dlm_core.errors import DlmError
from dlm_core.store.metrics_reader import MetricsReader

Kind = Literal["full", "revision"]
_RUNS = 5  # the last ones count: the machine and the recipe are most like now
_PASSES: dict[Kind, float] = {"full": 8.0, "revision": 5.0}  # over the rows, where no like run was timed


def estimate(metrics: Path, kind: Kind, tokens: int) -> float | None:
    """Seconds that a run over `tokens` tokens will take; None where nothing was measured yet.

    Finished runs of the same kind give seconds per token of their plan; where there is none, the tokens per
    second of the last run's steps do, and the number of passes such runs usually take.
    """
    if not tokens:
        return 0.0
    try:
        with MetricsReader(metrics) as reader:
            rates: list[float] = []
            speeds: list[float] = []
            for run in reversed(reader.runs()[-4 * _RUNS :]):
                plan = reader.plan(run.run_id)
                if plan is None or not plan.tokens:
                    continue
                if not speeds:
                    speeds = [step.tokens_per_s for step in reader.steps(run.run_id)[1:]]
                if run.status == "done" and run.seconds and plan.kind == kind:
                    rates.append(run.seconds / plan.tokens)
                if len(rates) == _RUNS:
                    break
    except DlmError:
        return None
    if rates:
        return tokens * statistics.median(rates)
    return tokens * _PASSES[kind] / statistics.median(speeds) if speeds else None


def memory_needed(document: Document, home: Path, device: str) -> int | None:
    """Bytes that training the document takes, base included; None where the base's shape is not known."""
    try:
        found = examine(document, home=home, device=device)
    except DlmError:
        return None
    return found.needed if found.needs else None
