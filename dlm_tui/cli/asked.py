"""`dlm eval --asked`: the questions of the chat once more, held against what was said of their replies."""

from typing import Any

import click

from dlm_core import oneshot
from dlm_core.document import Document
from dlm_core.errors import DlmError
from dlm_core.events import Reply
from dlm_core.safetext import visible, visible_line
from dlm_core.store.asked import AskedQuestion, AskedQuestions
from dlm_core.store.paths import StorePaths, dlm_home
from dlm_tui.cli.progress import open_view
from dlm_tui.cli.tables import print_json, print_table, shortened
from dlm_tui.session.question_log import says_the_same, was_right


def print_asked(document: Document, show_all: bool, as_json: bool) -> None:
    """Ask again what a document was asked and the user judged; print which replies are right now.

    Raises DlmError where nothing was judged yet, and as the engine does.
    """
    entries = AskedQuestions(StorePaths(dlm_home(), document.dlm_id).asked).load()
    judged = [entry for entry in entries if entry.verdict]
    if not judged:
        raise DlmError(
            f"no reply of {visible_line(document.path.name)} was found right or wrong yet",
            "/right, /wrong and /teach in the chat do so",
        )
    with open_view(quiet=True) as view:
        asked = [entry.messages for entry in judged]
        replies = list(oneshot.run_prompts(document.path, asked, view.show, lambda: False))
    found = [_found(entry, reply) for entry, reply in zip(judged, replies, strict=True)]
    if as_json:
        print_json({"asked": len(found), "right": sum(f["right"] is True for f in found), "questions": found})
        return
    for shown in found:
        if show_all or shown["right"] is False:
            _print(shown)
    print_table(
        ("said", "asked#", "right before#", "right now#"),
        [
            (
                verdict,
                str(len(rows)),
                str(sum(was_right(entry) for entry, _ in rows)) if verdict != "wrong" else "-",
                str(sum(f["right"] is True for _, f in rows)) if verdict != "wrong" else "-",
            )
            for verdict in ("right", "taught", "wrong")
            if (rows := [(e, f) for e, f in zip(judged, found, strict=True) if e.verdict == verdict])
        ],
    )
    changed = sum(f["right"] is None for f in found)
    if changed:
        have = "that was wrong has another reply" if changed == 1 else "that were wrong have other replies"
        click.echo(f"{changed} {have} now: look, and /right")


def _found(entry: AskedQuestion, reply: Reply) -> dict[str, Any]:
    """One question as JSON has it; `right` is null where a wrong reply became another one."""
    right: bool | None = says_the_same(reply.reply, entry.answer)
    if entry.verdict == "wrong":
        right = False if says_the_same(reply.reply, entry.reply) else None
    return {
        "question": entry.question,
        "said": entry.verdict,
        "expected": entry.answer,
        "reply": reply.reply,
        "right": right,
        "routing": reply.routing.weights,
    }


def _print(found: dict[str, Any]) -> None:
    sign = {True: "right", False: "wrong", None: "other"}[found["right"]]
    click.echo(visible(f"{sign}: {visible_line(found['question'])}"))
    if found["expected"] and found["right"] is not True:
        click.echo(f"  expected: {shortened(found['expected'])}")
    click.echo(f"  replied:  {shortened(found['reply'])}\n")
