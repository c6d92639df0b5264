"""`dlm eval`: what the adapters of a document know, how prompts are routed, and what the base has kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.engine_protocol import EvalOptions
from dlm_core.reports import Evaluation, TextRetention
from dlm_core.safetext import visible_line
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json, print_table
from dlm_tui.flags import document_argument, json_option
from dlm_tui.session.wording import duration, percent

ALL = "all"
existing_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("eval")
@document_argument
@click.option(
    "--probes",
    type=existing_file,
    help="Reworded questions, a YAML or JSON list of {question, answer, adapter}; by default "
    "NAME.probes.yaml beside NAME.dlm, if it is there.",
)
@click.option(
    "--text",
    type=existing_file,
    help="A text of your own (UTF-8) on which retention is measured too.",
)
@json_option
def eval_(file: Path, probes: Path | None, text: Path | None, as_json: bool) -> None:
    """Measure what FILE's adapters have learned and what the base has kept.

    Every question of FILE is asked, then every probe, greedily and with the gate in auto; the bare base is
    asked the same. The figures are kept in the store, where `dlm show` and the workbench find them.
    """
    adapters = load(file).adapter_names
    options = EvalOptions(probes=probes, text=text)
    with open_view(quiet=True) as view:
        found = oneshot.run_eval(file, options, view.show, lambda: False).evaluation
    if as_json:
        print_json(found)
    else:
        _print(found, adapters)


def _print(found: Evaluation, adapters: Sequence[str]) -> None:
    recall, routing = found.recall, found.routing
    print_table(
        ("adapter", "verbatim#", "base#", "paraphrase#", "base#", "routed#", "open inside#", "outside#"),
        [
            *(_adapter_row(name, found) for name in adapters if name in recall.per_adapter),
            (
                ALL,
                percent(recall.verbatim),
                percent(recall.verbatim_base),
                _f1(recall.paraphrase_f1),
                _f1(recall.paraphrase_f1_base),
                percent(routing.accuracy),
                "",
                "",
            ),
        ],
    )
    click.echo("")
    _print_retention("neutral text", found.retention, adapters)
    if found.retention.own is not None:
        _print_retention("your text", found.retention.own, adapters)
    wrong = sum(n for asked, row in routing.confusion.items() for to, n in row.items() if to != asked)
    if wrong:
        click.echo("\nprobes of (rows) that went to (columns)")
        print_table(
            ("", *(f"{name}#" for name in adapters)),
            [
                (name, *(str(routing.confusion.get(name, {}).get(to, 0)) for to in adapters))
                for name in adapters
            ],
        )
    loo = "" if routing.loo_accuracy is None else f"; gate, leave-one-out {routing.loo_accuracy:.0%}"
    click.echo(
        f"\n{found.questions} questions and {found.probes} probes, version {found.version}{loo}; "
        f"{duration(found.seconds)}"
    )


def _adapter_row(name: str, found: Evaluation) -> tuple[str, ...]:
    own, opened = found.recall.per_adapter[name], found.openness.get(name)
    return (
        name,
        percent(own.verbatim),
        percent(own.verbatim_base),
        _f1(own.paraphrase_f1),
        _f1(own.paraphrase_f1_base),
        percent(found.routing.per_adapter.get(name)),
        _f1(opened.inside) if opened else "-",
        _f1(opened.outside) if opened else "-",
    )


def _print_retention(what: str, kept: TextRetention, adapters: Sequence[str]) -> None:
    rows: list[tuple[str, Any, Any]] = [("gate auto", kept.perplexity, kept.kl)]
    rows += [
        (f"{name} pinned", kept.per_adapter[name].perplexity, kept.per_adapter[name].kl)
        for name in adapters
        if name in kept.per_adapter
    ]
    print_table(
        (f"{what} ({kept.tokens:,} tokens)", "perplexity#", "change#", "KL to base#"),
        [
            ("base", f"{kept.perplexity_base:.2f}", "", ""),
            *(
                (visible_line(who), f"{p:.2f}", f"{p / kept.perplexity_base - 1:+.1%}", f"{kl:.4f}")
                for who, p, kl in rows
            ),
        ],
    )


def _f1(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
