"""`dlm train`: one run, with its progress on stderr or its events on stdout."""

import sys
from pathlib import Path

import click

from dlm_core import oneshot
from dlm_core.engine_protocol import TrainOptions
from dlm_core.events import Event, RunPlanned
from dlm_tui.cli.failures import FAILED, INTERRUPTED
from dlm_tui.cli.flags import document_argument
from dlm_tui.cli.interrupts import StopOnInterrupt
from dlm_tui.cli.progress import JsonLines, open_view


@click.command()
@document_argument
@click.option("--fresh", is_flag=True, help="Start from new adapters instead of the versions there are.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a run that was stopped.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Instead of the document's training.seed.")
@click.option(
    "--epochs", type=click.IntRange(1, 10_000), help="Instead of the document's training.num_epochs."
)
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON on stdout.")
def train(file: Path, fresh: bool, resume: bool, seed: int | None, epochs: int | None, as_json: bool) -> None:
    """Train every adapter of FILE, and its adapter gate.

    The first Ctrl-C ends the run at the next step: a checkpoint is kept for --resume, and the versions from
    before still stand. A second one leaves at once.
    """
    if fresh and resume:
        raise click.UsageError(
            "--fresh and --resume cannot go together: one forgets what the other goes on from"
        )
    options = TrainOptions(fresh=fresh, resume=resume, seed=seed, epochs=epochs)
    with (
        JsonLines(sys.stdout) if as_json else open_view() as view,
        StopOnInterrupt(view.stopping, view.abandon) as interrupt,
    ):

        def emit(event: Event) -> None:
            interrupt.graceful = interrupt.graceful or isinstance(event, RunPlanned)
            view.show(event)

        ended = oneshot.run_train(file, options, emit, interrupt.requested)
    if ended.status == "stopped" and interrupt.requested():
        raise click.exceptions.Exit(INTERRUPTED)
    if ended.status != "done":
        raise click.exceptions.Exit(FAILED)
