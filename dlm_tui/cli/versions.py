"""`dlm versions` and `dlm rollback`: what runs committed, and going back to it."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import click

from dlm_core.document import load
from dlm_core.errors import UsageError
from dlm_core.store import Snapshot, Store
from dlm_tui.cli.flags import document_argument, json_option
from dlm_tui.cli.output import local_time, print_json, print_table, utc_time


@click.command()
@document_argument
@json_option
def versions(file: Path, as_json: bool) -> None:
    """List what runs of FILE ended in, oldest first; the last one is current.

    Each has a generation, and names the version of every adapter and of the gate.
    """
    store = Store.open(load(file).dlm_id, create=False)
    commits = _outcomes(store.versions())
    if as_json:
        print_json({"versions": [_as_document(commit) for commit in commits]})
    elif not commits:
        click.echo("Not trained yet.", err=True)
    else:
        print_table(("generation#", "when", "run#", "adapters", "gate", ""), map(_row, commits))


@click.command()
@document_argument
@click.option("--to", type=click.IntRange(min=1), metavar="N", help="A generation that `dlm versions` lists.")
def rollback(file: Path, to: int | None) -> None:
    """Make earlier versions of FILE's adapters and gate the current ones.

    Without --to, those of the run before. Nothing is lost: the way back is another rollback.
    """
    store = Store.open(load(file).dlm_id, create=False)
    target = _before_current(store.versions()) if to is None else to
    now = store.rollback(target)
    click.echo(
        f"generation {now.generation} is current, with the versions of generation {target}: {_listed(now)}"
    )


def _outcomes(commits: Sequence[Snapshot]) -> list[Snapshot]:
    """The commits without those that the same run completed: adapters come first, their gate follows."""
    return [
        commit
        for commit, following in zip_longest(commits, commits[1:])
        if following is None or following.run_id != commit.run_id or following.note
    ]


def _before_current(commits: Sequence[Snapshot]) -> int:
    """The generation that the run before the current one ended in; a rollback keeps its target's run."""
    earlier = [commit for commit in commits if commit.run_id < commits[-1].run_id]
    if not earlier:
        raise UsageError(
            "there is nothing to go back to", "`dlm versions FILE` lists what there is; see --to"
        )
    return max(earlier, key=lambda commit: (commit.run_id, commit.generation)).generation


def _listed(commit: Snapshot) -> str:
    return ", ".join(f"{name} {version}" for name, version in commit.adapters.items()) or "no adapters"


def _row(commit: Snapshot) -> tuple[str, ...]:
    when = local_time(commit.committed_at)
    return (
        str(commit.generation),
        when,
        str(commit.run_id),
        _listed(commit),
        commit.gate or "-",
        commit.note,
    )


def _as_document(commit: Snapshot) -> dict[str, object]:
    return {
        "generation": commit.generation,
        "committed_at": utc_time(commit.committed_at),
        "run_id": commit.run_id,
        "adapters": dict(commit.adapters),
        "gate": commit.gate,
        "document_hash": commit.document_hash,
        "recipe_hash": commit.recipe_hash,
        "base_fingerprint": commit.base_fingerprint,
        "note": commit.note,
    }
