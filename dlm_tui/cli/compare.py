"""`dlm compare`: methods side by side on one document, by what each learned and what the base kept."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.engine_protocol import CompareOptions
from dlm_core.errors import DlmError
from dlm_core.reports import METHODS, Comparison, Method
from dlm_core.safetext import visible, visible_line
from dlm_tui.cli import comparison_charts as charts
from dlm_tui.cli.compared_data import document_of
from dlm_tui.cli.eval import existing_file
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json, print_table
from dlm_tui.flags import json_option
from dlm_tui.session import compared
from dlm_tui.session.output import as_json as json_text
from dlm_tui.session.signs import can_show_unicode


def _methods(ctx: click.Context, param: click.Parameter, value: str) -> tuple[Method, ...]:
    """Method names with commas between them, each once, in the order of METHODS."""
    named = [name.strip() for name in value.split(",") if name.strip()]
    chosen = tuple(m for m in METHODS if m in named)
    unknown = [name for name in named if name not in METHODS]
    if unknown or not chosen:
        what = f"there is no method {unknown[0]!r}" if unknown else "no method is named"
        raise click.BadParameter(f"{what}; methods are {', '.join(METHODS)}")
    return chosen


def _rates(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[Method, float]:
    """`METHOD=RATE`, any number of times."""
    rates: dict[Method, float] = {}
    for value in values:
        name, _, number = value.partition("=")
        method = next((m for m in METHODS if m == name.strip()), None)
        try:
            rate = float(number)
        except ValueError:
            rate = 0.0
        if method is None or not 0 < rate < 1:
            raise click.BadParameter(f"{value!r} is not METHOD=RATE, such as lora=2e-3")
        rates[method] = rate
    return rates


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--data",
    multiple=True,
    metavar="FILE",
    help="Rows of chat (JSONL, CSV, whatever `dlm import` reads) instead of a document; may be repeated.",
)
@click.option(
    "--base",
    default="smollm2-135m",
    show_default=True,
    metavar="NAME",
    help="The base for the rows of --data.",
)
@click.option(
    "--methods",
    callback=_methods,
    metavar="NAME,…",
    default=",".join(METHODS),
    show_default=True,
    help="Rank-gated LoRA, LoRA, LoRA on MLP layers alone, DoRA, AdaLoRA, every weight.",
)
@click.option("--epochs", type=click.IntRange(1, 10_000), help="At most; by default as the document says.")
@click.option(
    "--rate",
    "rates",
    callback=_rates,
    multiple=True,
    metavar="METHOD=RATE",
    help="Train a method at this rate alone instead of searching; may be given several times.",
)
@click.option(
    "--rehearsal",
    type=click.Choice(["off", "on", "both"]),
    default="both",
    show_default=True,
    help="Train without rehearsal, with it, or once each.",
)
@click.option("--probes", type=existing_file, help="Reworded questions, as for `dlm eval`.")
@click.option("--fresh", is_flag=True, help="Train again what the store's last report has already.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for the report: comparison.json, and comparison.svg and .png.",
)
@json_option
def compare(
    file: Path | None,
    data: tuple[str, ...],
    base: str,
    methods: tuple[Method, ...],
    epochs: int | None,
    rates: dict[Method, float],
    rehearsal: str,
    probes: Path | None,
    fresh: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Train several methods on FILE's rows, and compare what each learned with what the base kept.

    Every method trains one adapter (full: the base itself) on a fresh base: same rows, batches, schedule,
    stop rule and seed, each at several learning rates. This takes minutes a training. Ctrl-C ends it at
    once; the trainings that are done are kept, and the same command goes on from there. FILE's versions
    stay as they are.

    With --data the rows are those of other files, and every setting is a new document's.
    """
    if (file is None) == (not data):
        raise click.UsageError("name a document, or rows with --data, and not both")
    if file is None:
        file = document_of(data, base)
    load(file)
    options = CompareOptions(
        methods=methods,
        epochs=epochs,
        rates=rates,
        rehearsal=rehearsal,  # type: ignore[arg-type]  # one of the three, says click
        probes=probes,
        fresh=fresh,
    )
    with open_view(quiet=True) as view:
        found = oneshot.run_compare(file, options, view.show, lambda: False)
    if output is not None:
        _write(found, output)
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: Comparison) -> None:
    click.echo(visible_line(compared.heading(found)))
    settings = ", ".join(f"{name} {value}" for name, value in found.settings.items())
    click.echo(visible_line(settings) + "\n")
    _print_table(found, rehearsal=False)
    _print_table(found, rehearsal=True)
    if len(found.chosen()) > 1:
        for line in charts.text_chart(found, unicode=can_show_unicode(sys.stdout)):
            click.echo(line)
    if found.notes:
        click.echo("")
    for note in found.notes:
        click.echo(visible(f"* {note}"))


def _print_table(found: Comparison, *, rehearsal: bool) -> None:
    """The chosen trials without or with rehearsal, below the bare base; nothing where there are none."""
    rows = compared.rows(found, rehearsal=rehearsal)
    if rows:
        click.echo("with rehearsal" if rehearsal else "without rehearsal")
        print_table(compared.HEADINGS, rows)
        click.echo("")


def _write(found: Comparison, folder: Path) -> None:
    """The report in `folder`; what was written is said on stderr."""
    shown = visible_line(str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "comparison.json").write_text(json_text(found, indent=2) + "\n", encoding="utf-8")
        pictures = charts.save_pictures(found, folder)
    except OSError as error:
        raise DlmError(
            f"the report cannot be written to {shown}: {error.strerror or error}",
            "choose another folder; the store has the report, so that nothing is trained again",
        ) from error
    written = ", ".join(("comparison.json", *(path.name for path in pictures)))
    click.echo(f"wrote {written} to {shown}", err=True)
    if not pictures:
        click.echo("no pictures: they need `pip install 'dlm-workbench[charts]'`", err=True)
