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
from dlm_tui.session.versions import Version, mark, marked_words, meant, roll_back, versions_of


@click.command()
@document_argument
@click.option(
    "--prune", type=click.IntRange(min=1), metavar="N", help="First remove all but what the last N runs made."
)
@click.option(
    "--name",
    "named",
    nargs=2,
    metavar="GENERATION NAME",
    help='Call a version NAME, which pins it; "" takes its name away.',
)
@click.option("--pin", metavar="GENERATION", help="Keep this version, whatever is pruned.")
@click.option("--unpin", metavar="GENERATION", help="Keep it no longer than the others.")
@json_option
def versions(
    file: Path,
    prune: int | None,
    named: tuple[str, str] | None,
    pin: str | None,
    unpin: str | None,
    as_json: bool,
) -> None:
    """List what runs of FILE ended in, oldest first; the last one is current.

    Each has a generation, names the version of every adapter and of the gate, and knows how much of FILE it
    recalled, which share of the probes it had right in `dlm eval`, and how it does on neutral text against
    the base. A version may be named and pinned: pruning leaves those that are. --json has all that it came
    from: hashes of the document and the base, every setting, and the libraries.
    """
    dlm_id = load(file).dlm_id
    store = Store.open(dlm_id, create=False)
    if named is not None:
        click.echo(marked_words(mark(dlm_id, named[0], name=named[1])), err=True)
    for which, keeps in ((pin, True), (unpin, False)):
        if which is not None:
            click.echo(marked_words(mark(dlm_id, which, pinned=keeps)), err=True)
    if prune is not None and store.exists:
        removed = keep_runs(store, prune)
        click.echo(f"removed {len(removed)} folders of older versions", err=True)
    commits = outcomes(store.versions())
    known = {version.generation: version for version in versions_of(dlm_id)}
    if as_json:
        print_json({"versions": [_as_document(commit, known[commit.generation]) for commit in commits]})
    elif not commits:
        click.echo("Not trained yet.", err=True)
    else:
        headings = (
            "generation#",
            "when",
            "run#",
            "adapters",
            "gate",
            "recall#",
            "right#",
            "perplexity#",
            "name",
            "",
        )
        print_table(headings, [_row(commit, known[commit.generation]) for commit in commits])


@click.command()
@document_argument
@click.option("--to", metavar="N", help="A generation that `dlm versions` lists, or its name.")
def rollback(file: Path, to: str | None) -> None:
    """Make earlier versions of FILE's adapters and gate the current ones.

    Without --to, those of the run before. Nothing is lost: the way back is another rollback.
    """
    dlm_id = load(file).dlm_id
    target = meant(dlm_id, to)
    now = roll_back(dlm_id, target)
    click.echo(
        f"generation {now.generation} is current, with the versions of generation {target}: {_listed(now)}"
    )


def _listed(version: Version) -> str:
    return ", ".join(f"{name} {number}" for name, number in version.adapters.items()) or "no adapters"


def _row(commit: Snapshot, version: Version) -> tuple[str, ...]:
    return (
        str(commit.generation),
        local_time(commit.committed_at),
        str(commit.run_id),
        _listed(version),
        commit.gate or "-",
        "" if commit.recall is None else f"{commit.recall:.1%}",
        "" if version.right is None else f"{version.right:.0%}",
        "" if version.perplexity is None else f"{version.perplexity:+.1%}",
        f"{version.name or '-'} (pinned)" if version.pinned else version.name,
        commit.note,
    )


def _as_document(commit: Snapshot, version: Version) -> dict[str, object]:
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
        "right": version.right,
        "name": version.name,
        "pinned": version.pinned,
        "retention": commit.retention,
        "note": commit.note,
    }
