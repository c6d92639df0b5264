"""`dlm reword`: further wordings of a document's questions from a model of the user's choice, shown first."""

import os
from collections import Counter
from pathlib import Path

import click

from dlm_core.document import load
from dlm_core.errors import DlmError
from dlm_core.reword.rewording import Proposal, edit_for, needing, proposals
from dlm_core.reword.teacher import KEY, Teacher
from dlm_core.safetext import visible_line
from dlm_core.teaching import Edit
from dlm_tui.cli.import_ import somebody_is_there
from dlm_tui.flags import document_argument
from dlm_tui.session import drafts
from dlm_tui.session.wording import counted


@click.command()
@document_argument
@click.option(
    "--teacher", "url", metavar="URL", required=True, help="An OpenAI-compatible server, up to /v1."
)
@click.option("--model", metavar="NAME", required=True, help="The model's name, as that server knows it.")
@click.option(
    "--wordings",
    metavar="N",
    type=click.IntRange(2, 20),
    default=3,
    show_default=True,
    help="How many wordings each question is to have; those that have as many are left alone.",
)
@click.option("--line", metavar="LINE", type=click.IntRange(min=1), help="Only the question at this line.")
@click.option(
    "--timeout", metavar="S", type=click.FloatRange(min=1), default=120.0, help="Seconds for one answer."
)
@click.option("--apply", is_flag=True, help="Take all that is proposed without asking.")
def reword(
    file: Path, url: str, model: str, wordings: int, line: int | None, timeout: float, apply: bool
) -> None:
    """Ask a model for further wordings of FILE's questions, and put in those that you take.

    Answers to questions in other words are found far more often where their question is trained in several.
    Each question goes to the server with its answer, and nothing else of FILE; no other command sends
    anything of a document anywhere. A key is read from DLM_TEACHER_KEY.

    Left out is what repeats a wording, asks for another answer, or has another number or name. The rest is
    shown as a difference, question by question: y takes it, n does not, a takes all that follow, q ends.
    Without a terminal and without --apply nothing is written. Sections that change say so in a comment.
    """
    document = load(file)
    teacher = Teacher(url, model, os.environ.get(KEY, ""), timeout)
    questions = needing(document, wordings, line)
    if not questions:
        click.echo(f"Every question has {counted(wordings, 'wording')} already.", err=True)
        return
    noun = "question goes" if len(questions) == 1 else "questions go"
    click.echo(
        f"{len(questions)} {noun} to {teacher.host} with the answers, for {visible_line(model)}.", err=True
    )
    taking = _Taking(file, teacher, apply)
    try:
        for proposal in proposals(document, questions, wordings, teacher.ask):
            if not taking.take(proposal):
                break
    finally:
        click.echo(taking.summary(), err=True)


class _Taking:
    """Proposals shown one after the other, and written as they are agreed to."""

    def __init__(self, path: Path, teacher: Teacher, everything: bool) -> None:
        self._path, self._teacher, self._everything = path, teacher, everything
        self._asks = not everything and somebody_is_there()
        self._text = drafts.read(path).text
        self._left: Counter[str] = Counter()
        self._proposed = self._written = 0

    def take(self, proposal: Proposal) -> bool:
        """Show a proposal, write it if that is agreed to; False: no more."""
        self._left.update(why.value for _, why in proposal.left)
        name = visible_line(proposal.question.question)
        if proposal.fault is not None:
            click.echo(f"{name}: {proposal.fault.message}", err=True)
            return True
        if not proposal.wordings:
            click.echo(f"{name}: nothing that could be taken", err=True)
            return True
        try:
            edit = edit_for(self._path, self._text, proposal, self._teacher)
        except DlmError as error:
            click.echo(f"{name}: {error.message}", err=True)
            return True
        self._proposed += len(proposal.wordings)
        for row in edit.difference():
            click.echo(visible_line(row))
        said = self._said()
        if said in ("y", "a"):
            self._everything = self._everything or said == "a"
            self._write(edit, len(proposal.wordings))
        return said != "q"

    def summary(self) -> str:
        """What came of it, in a line or two."""
        left = ", ".join(f"{count} {why}" for why, count in self._left.most_common())
        end = f"\nleft out: {left}" if left else ""
        shown = visible_line(str(self._path))
        if not self._written:
            how = "; --apply takes all" if self._proposed and not self._asks else ""
            return f"{self._proposed} proposed, nothing was written{how}.{end}"
        return f"{self._written} of {self._proposed} wordings are in {shown}. Next: dlm train {shown}{end}"

    def _said(self) -> str:
        if self._everything:
            return "y"
        if not self._asks:
            return "n"
        choice = click.Choice(["y", "n", "a", "q"])
        return str(click.prompt("Take it?", type=choice, default="y", err=True))

    def _write(self, edit: Edit, count: int) -> None:
        drafts.write_edit(edit)
        self._text, self._written = edit.after, self._written + count
