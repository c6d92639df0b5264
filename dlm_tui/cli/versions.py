"""`dlm versions` and `dlm rollback`: what runs committed, and going back to it."""

from pathlib import Path

import click
import msgspec

from dlm_core.document import load
from dlm_core.store import Snapshot, Store
from dlm_core.store.history import keep_runs, outcomes
from dlm_tui.cli.tables import print_json, print_table
from dlm_tui.flags import document_argument, json_option
from dlm_tui.session.output import local_time, utc_time
from dlm_tui.session.versions import before_current


@click.command()
@document_argument
@click.option(
    "--prune", type=click.IntRange(min=1), metavar="N", help="First remove all but what the last N runs made."
)
@json_option
def versions(file: Path, prune: int | None, as_json: bool) -> None:
    """List what runs of FILE ended in, oldest first; the last one is current.

    Each has a generation, names the version of every adapter and of the gate, and knows how much of FILE it
    recalled and how it does on neutral text against the base. --json has all that it came from: hashes of
    the document and the base, every setting, and the libraries.
    """
    store = Store.open(load(file).dlm_id, create=False)
    if prune is not None and store.exists:
        removed = keep_runs(store, prune)
        click.echo(f"removed {len(removed)} folders of older versions", err=True)
    commits = outcomes(store.versions())
    if as_json:
        print_json({"versions": [_as_document(commit) for commit in commits]})
    elif not commits:
        click.echo("Not trained yet.", err=True)
    else:
        headings = ("generation#", "when", "run#", "adapters", "gate", "recall#", "perplexity#", "")
        print_table(headings, map(_row, commits))


@click.command()
@document_argument
@click.option("--to", type=click.IntRange(min=1), metavar="N", help="A generation that `dlm versions` lists.")
def rollback(file: Path, to: int | None) -> None:
    """Make earlier versions of FILE's adapters and gate the current ones.

    Without --to, those of the run before. Nothing is lost: the way back is another rollback.
    """
    store = Store.open(load(file).dlm_id, create=False)
    target = before_current(store.versions()) if to is None else to
    now = store.rollback(target)
    click.echo(
        f"generation {now.generation} is current, with the versions of generation {target}: {_listed(now)}"
    )


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
        "" if commit.recall is None else f"{commit.recall:.1%}",
        _perplexity(commit),
        commit.note,
    )


def _perplexity(commit: Snapshot) -> str:
    """The change against the base, "" where it was not measured."""
    base = commit.retention.get("perplexity_base")
    return f"{commit.retention['perplexity'] / base - 1:+.1%}" if base else ""


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
        "settings": {key: msgspec.json.decode(value) for key, value in commit.settings.items()},
        "libraries": commit.libraries,
        "recall": commit.recall,
        "retention": commit.retention,
        "note": commit.note,
    }
