"""`dlm train`: a run, or one after every save, or only its plan; progress on stderr or events on stdout."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from dlm_core import oneshot
from dlm_core.events import Event, RunEnded, RunPlanned
from dlm_core.requests import TrainOptions
from dlm_tui.cli.interrupts import StopOnInterrupt
from dlm_tui.cli.progress import JsonLines, View, open_view
from dlm_tui.cli.tables import print_json
from dlm_tui.failures import FAILED, INTERRUPTED
from dlm_tui.flags import document_argument
from dlm_tui.session.saves import Saves
from dlm_tui.session.wording import plan_lines


@click.command()
@document_argument
@click.option("--plan", is_flag=True, help="Only show what a run would do, and what it would take.")
@click.option("--watch", is_flag=True, help="Train again whenever FILE is saved; Ctrl-C leaves.")
@click.option("--fresh", is_flag=True, help="Start from new adapters instead of the versions there are.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint of a run that was stopped.")
@click.option("--keep", is_flag=True, help="Go on replaying sections that are gone from FILE.")
@click.option(
    "--keep-versions",
    type=click.IntRange(min=1),
    metavar="N",
    help="Afterwards remove all versions but those of the last N runs.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Instead of the document's training.seed.")
@click.option(
    "--epochs", type=click.IntRange(1, 10_000), help="Instead of the document's training.num_epochs."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print every event as a line of JSON on stdout; the plan as one."
)
def train(
    file: Path,
    plan: bool,
    watch: bool,
    fresh: bool,
    resume: bool,
    keep: bool,
    keep_versions: int | None,
    seed: int | None,
    epochs: int | None,
    as_json: bool,
) -> None:
    """Train what changed in FILE: the adapters with new or edited sections, and the adapter gate.

    An adapter goes on from its last version, on what changed and a sample of its other sections; the others
    stay as they are. The first time, with --fresh, or after a change of the recipe, the base or the seed,
    everything is trained.

    The first Ctrl-C ends the run at the next step: a checkpoint is kept for --resume, and the versions from
    before still stand. A second one leaves at once.
    """
    for one, other, why in (
        (fresh, resume, "--fresh and --resume cannot go together: one forgets what the other goes on from"),
        (plan, watch, "--plan and --watch cannot go together: a plan trains nothing"),
        (plan, resume, "--plan and --resume cannot go together: a stopped run goes on by its own plan"),
    ):
        if one and other:
            raise click.UsageError(why)
    options = TrainOptions(
        fresh=fresh, resume=resume, seed=seed, epochs=epochs, keep=keep, keep_versions=keep_versions
    )
    if plan:
        _show_plan(file, options, as_json)
    elif watch:
        _watch(file, options, JsonLines(sys.stdout) if as_json else open_view())
    else:
        _train(file, options, JsonLines(sys.stdout) if as_json else open_view())


def _show_plan(file: Path, options: TrainOptions, as_json: bool) -> None:
    with open_view(quiet=True) as view:
        planned = oneshot.plan_train(file, options, view.show)
    if as_json:
        print_json(planned)
    else:
        for line in plan_lines(planned):
            click.echo(line)


def _train(file: Path, options: TrainOptions, view: View) -> None:
    with view, StopOnInterrupt(view.stopping, view.abandon) as interrupt:
        ended = oneshot.run_train(file, options, _telling(view, interrupt), interrupt.requested)
    if ended.status == "stopped" and interrupt.requested():
        raise click.exceptions.Exit(INTERRUPTED)
    if ended.status != "done":
        raise click.exceptions.Exit(FAILED)


def _watch(file: Path, options: TrainOptions, view: View) -> None:
    saves = Saves(file)

    def saved() -> bool:
        click.echo(f"waiting for the next save of {file.name}; Ctrl-C leaves", err=True)
        if not saves.wait():
            return False
        saves.take()
        return True

    saves.take()
    with view, StopOnInterrupt(view.stopping, view.abandon) as interrupt:
        try:
            oneshot.watch_train(file, options, _telling(view, interrupt), interrupt.requested, saved)
        except KeyboardInterrupt:
            return


def _telling(view: View, interrupt: StopOnInterrupt) -> Callable[[Event], None]:
    """Shows events; while a run is under way, Ctrl-C ends it in good order."""

    def emit(event: Event) -> None:
        if isinstance(event, RunPlanned | RunEnded):
            interrupt.graceful = isinstance(event, RunPlanned)
        view.show(event)

    return emit
