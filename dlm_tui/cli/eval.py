"""`dlm eval`: what the adapters of a document know, how prompts are routed, and what the base has kept."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.document.wordings import Wordings, count_wordings
from dlm_core.engine_protocol import EvalOptions
from dlm_core.errors import UsageError
from dlm_core.reports import Evaluation, ProbeReply
from dlm_core.safetext import visible
from dlm_tui.cli.asked import print_asked
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json, print_table, shortened
from dlm_tui.flags import document_argument, json_option
from dlm_tui.session import evaluation_sheets as sheets
from dlm_tui.session.bars import bar
from dlm_tui.session.evaluation_sheets import Sheet
from dlm_tui.session.signs import can_show_unicode
from dlm_tui.session.wording import duration, percent

_CHART = 20  # cells of a bar of the reliability chart
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
@click.option(
    "--all", "show_all", is_flag=True, help="List every reply to a probe, not the wrong ones alone."
)
@click.option(
    "--asked",
    is_flag=True,
    help="Ask again what was asked in the chat, and hold it against what was said of the replies.",
)
@click.option(
    "--ground",
    type=click.Choice(["auto", "off"]),
    default="auto",
    help="off: measure what the weights say alone, and look nothing up in the document.",
)
@json_option
def eval_(
    file: Path,
    probes: Path | None,
    text: Path | None,
    show_all: bool,
    asked: bool,
    ground: str,
    as_json: bool,
) -> None:
    """Measure what FILE's adapters have learned and what the base has kept.

    Every question of FILE is asked, then every probe, greedily and with the gate in auto; the bare base is
    asked the same, and so is search in the document alone (BM25). A reply is right if the answer of FILE that
    it is nearest to, by word F1, is the expected one, with 0.8 or more. Probes are the `### Q !probe` of FILE
    and those of a probe file. Then come prompts that FILE says nothing about: bundled ones, and the lines of
    NAME.offtopic.txt. The figures are kept in the store, where `dlm show` and the workbench find them.

    With --asked nothing of that is done: the questions of the chat that were found right or wrong, or taught,
    are asked again, each behind what was said before it, and it is said which are right now.
    """
    document = load(file)
    if asked:
        if probes or text:
            raise UsageError("--asked goes without --probes and --text", "it asks the chat's questions alone")
        print_asked(document, show_all, as_json)
        return
    options = EvalOptions(probes=probes, text=text, ground=ground == "auto")
    with open_view(quiet=True) as view:
        found = oneshot.run_eval(file, options, view.show, lambda: False).evaluation
    if as_json:
        print_json(found)
    else:
        _print_replies(found.replies, show_all)
        _print(found, document.adapter_names)
        for line in _answers(found, count_wordings(document.sections)):
            click.echo(line)


def _print_replies(replies: Sequence[ProbeReply], show_all: bool) -> None:
    """Replies to probes with what was expected, the most confident first; those that are right on demand."""
    shown = [reply for reply in replies if show_all or not reply.right]
    if not shown:
        return
    kind = "replies" if show_all else "wrong replies"
    click.echo(f"{kind} to probes, the most confident first ({len(shown)} of {len(replies)})\n")
    for reply in shown:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in reply.routing.items())
        sign = "right" if reply.right else "wrong"
        click.echo(visible(f"{sign}: {reply.question}"))
        if not reply.right:
            click.echo(f"  expected: {shortened(reply.expected)}")
        click.echo(f"  replied:  {shortened(reply.reply)}")
        click.echo(visible(f"  word F1 {reply.f1:.2f}; asked of {reply.adapter}, routed {weights}\n"))


def _answers(found: Evaluation, wordings: Wordings) -> Iterator[str]:
    """What the figures for answers come to: search beside the weights, and what helps."""
    answers = found.answers
    if answers is None or answers.search.right <= answers.weights.right:
        return
    yield (
        f"\nsearch in the document alone finds {answers.search.right:.0%} of the answers, "
        f"the trained weights {answers.weights.right:.0%}"
    )
    if wordings.single:
        yield f"  {wordings}: write more `### Q` above their `### A`, in other words, and train"
    else:
        yield "  more wordings of the questions that went wrong help: further `### Q` above their `### A`"


def _print(found: Evaluation, adapters: Sequence[str]) -> None:
    _print_sheet(sheets.adapters_sheet(found, adapters))
    if (answers := sheets.answers_sheet(found)) is not None:
        click.echo("")
        _print_sheet(answers)
    _print_trust(found)
    _print_line(sheets.offtopic_line(found), before="\n")
    click.echo("")
    _print_sheet(sheets.retention_sheet("neutral text", found.retention, adapters))
    _print_line(sheets.served_line(found), after="\n")
    _print_line(sheets.chat_line(found), after="\n")
    if found.retention.own is not None:
        _print_sheet(sheets.retention_sheet("your text", found.retention.own, adapters))
    if sheets.went_wrong(found):
        click.echo("\nprobes of (rows) that went to (columns)")
        _print_sheet(sheets.confusion_sheet(found, adapters))
    routing = found.routing
    loo = "" if routing.loo_accuracy is None else f"; gate, leave-one-out {routing.loo_accuracy:.0%}"
    click.echo(f"\n{sheets.measured_line(found)}{loo}; {duration(found.seconds)}")


def _print_sheet(sheet: Sheet) -> None:
    print_table(sheet.headings, sheet.rows)


def _print_line(line: str, *, before: str = "", after: str = "") -> None:
    if line:
        click.echo(f"{before}{line}{after}")


def _print_trust(found: Evaluation) -> None:
    """How far what replies say of themselves can be trusted."""
    _print_line(sheets.missed_line(found), before="\n")
    _print_line(sheets.support_line(found))
    if found.support is not None:
        unicode = can_show_unicode(sys.stdout)
        print_table(
            ("", "support#", "right#", "replies#"),
            [
                (bar(b.right, _CHART, unicode=unicode), f"{b.mean:.2f}", percent(b.right), str(b.count))
                for b in found.support.table
            ],
        )
    _print_line(sheets.near_line(found))
