"""`dlm train`: a run, or one after every save, or only its plan; progress on stderr or events on stdout."""

import sys
from collections.abc import Callable
from pathlib import Path

import click

from dlm_core import launch, launched, oneshot
from dlm_core.errors import DlmError, UsageError
from dlm_core.events import Event, Ready, RunEnded, RunPlanned
from dlm_core.requests import TrainOptions
from dlm_tui.cli.interrupts import StopOnInterrupt
from dlm_tui.cli.progress import JsonLines, Silence, View, open_view
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
    "--epochs",
    type=click.IntRange(1, 10_000),
    help="Instead of training.num_epochs, and at most of preferences.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 1024),
    default=1,
    metavar="N",
    help="Train in N processes of this machine: a GPU each, or a share of the cores.",
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
    processes: int,
    as_json: bool,
) -> None:
    """Train what changed in FILE: the adapters with new or edited sections, and the adapter gate.

    An adapter goes on from its last version, on what changed and a sample of its other sections; the others
    stay as they are. The first time, with --fresh, or after a change of the recipe, the base or the seed,
    everything is trained.

    The first Ctrl-C ends the run at the next step: a checkpoint is kept for --resume, and the versions from
    before still stand. A second one leaves at once.

    With --processes N, or started by `accelerate launch` or `torchrun`, several processes train as one and
    come to the same adapters; the first alone writes and speaks.
    """
    for one, other, why in (
        (fresh, resume, "--fresh and --resume cannot go together: one forgets what the other goes on from"),
        (plan, watch, "--plan and --watch cannot go together: a plan trains nothing"),
        (plan, resume, "--plan and --resume cannot go together: a stopped run goes on by its own plan"),
        (plan, processes > 1, "--plan and --processes cannot go together: a plan trains nothing"),
    ):
        if one and other:
            raise click.UsageError(why)
    options = TrainOptions(
        fresh=fresh, resume=resume, seed=seed, epochs=epochs, keep=keep, keep_versions=keep_versions
    )
    if plan:
        _show_plan(file, options, as_json)
        return
    place = _place(processes, watch)
    view = _view(place, as_json)
    try:
        if watch:
            _watch(file, options, processes, view)
        else:
            _train(file, options, processes, view)
    except DlmError as error:
        if not place.first:
            error.message = f"process {place.rank}: {error.message}"
        raise


def _show_plan(file: Path, options: TrainOptions, as_json: bool) -> None:
    with open_view(quiet=True) as view:
        planned = oneshot.plan_train(file, options, view.show)
    if as_json:
        print_json(planned)
    else:
        for line in plan_lines(planned):
            click.echo(line)


def _place(processes: int, watch: bool) -> launched.Place:
    """This process's place among those that a launcher started. Raises UsageError where it asks too much."""
    if launched.left_alone():
        raise UsageError(
            "`accelerate launch` was asked for several processes and started one: on a CPU it starts several "
            "only through mpirun",
            "`dlm train FILE --processes N` starts them; for several machines see docs/training.md",
        )
    place = launched.place()
    if processes > (most := launch.most_processes()):
        raise UsageError(
            f"--processes {processes} is more than this machine has cores for, which is {most}",
            "more would only wait for each other; for several machines see docs/training.md",
        )
    if not place.alone and processes > 1:
        raise UsageError(
            f"--processes {processes} in one of {place.world} processes that a launcher started",
            "leave one of them out: either starts the processes",
        )
    if not place.alone and watch:
        raise UsageError(
            "--watch under a launcher: its processes would not see a save at the same time",
            "`dlm train FILE --watch --processes N` can",
        )
    return place


def _view(place: launched.Place, as_json: bool) -> View:
    if not place.first:
        return Silence()
    return JsonLines(sys.stdout) if as_json else open_view()


def _train(file: Path, options: TrainOptions, processes: int, view: View) -> None:
    with view, _interrupt(view) as interrupt:
        emit, stop = _telling(view, interrupt), interrupt.requested
        if processes > 1:
            ended = launch.run_train(file, options, processes, emit, stop)
        else:
            ended = oneshot.run_train(file, options, emit, stop)
    if ended.status == "stopped" and interrupt.requested():
        raise click.exceptions.Exit(INTERRUPTED)
    if ended.status != "done":
        raise click.exceptions.Exit(FAILED)


def _interrupt(view: View) -> StopOnInterrupt:
    return StopOnInterrupt(view.stopping, view.abandon, launched=not launched.place().alone)


def _watch(file: Path, options: TrainOptions, processes: int, view: View) -> None:
    saves = Saves(file)

    def saved() -> bool:
        click.echo(f"waiting for the next save of {file.name}; Ctrl-C leaves", err=True)
        if not saves.wait():
            return False
        saves.take()
        return True

    saves.take()
    with view, _interrupt(view) as interrupt:
        emit, stop = _telling(view, interrupt), interrupt.requested
        try:
            if processes > 1:
                launch.watch_train(file, options, processes, emit, stop, saved)
            else:
                oneshot.watch_train(file, options, emit, stop, saved)
        except KeyboardInterrupt:
            return


def _telling(view: View, interrupt: StopOnInterrupt) -> Callable[[Event], None]:
    """Shows events; while a run is under way, Ctrl-C ends it in good order. A process that only helps is told
    of no plan: its run begins once its document is open.
    """
    begins = RunPlanned if launched.place().first else Ready

    def emit(event: Event) -> None:
        if isinstance(event, begins | RunEnded):
            interrupt.graceful = isinstance(event, begins)
        view.show(event)

    return emit
