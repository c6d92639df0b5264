"""`dlm migrate`: an older document lifted to the newest version of the format, with the old one kept."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import click

from dlm_core.document.migrate import Migration, migrate
from dlm_core.errors import StoreError
from dlm_core.safetext import visible_line
from dlm_core.store import atomic
from dlm_tui.failures import FAILED
from dlm_tui.flags import document_argument

_CONTEXT = 3


@click.command("migrate")
@document_argument
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if there is something to lift.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="NEW",
    help="Write the lifted document to a new file, and leave FILE as it is.",
)  # fmt: skip
def migrate_(file: Path, check: bool, output: Path | None) -> None:
    """Lift FILE to the newest version of the document format, and show what that changes.

    Comments, line ends and sections stay byte for byte. The old document is kept beside FILE as
    FILE.vN.bak, N being its version.
    """
    if check and output is not None:
        raise click.UsageError("--check and --output cannot go together: one writes nothing, one a file")
    content = atomic.read_bytes(file)
    lifted = migrate(content, file)
    for line in _difference(content, lifted.content):
        click.echo(line)
    shown = visible_line(str(file))
    said = f"{shown}: {', '.join(lifted.changes) or f'version {lifted.to_version}, up to date'}"
    if output is not None:
        with atomic.new_file(output) as write:
            write(lifted.content)
        click.echo(f"{said}. Wrote {visible_line(str(output))}.", err=True)
    elif check or not lifted.changes:
        click.echo(said, err=True)
        if lifted.changes:
            raise click.exceptions.Exit(FAILED)
    else:
        backup = _replace(file, content, lifted)
        click.echo(f"{said}. The old one is kept as {visible_line(str(backup))}.", err=True)


def _replace(file: Path, content: bytes, lifted: Migration) -> Path:
    """Puts the lifted document in the old one's place, in one step, and answers where the old one is kept."""
    target = file.resolve()  # a link stays a link
    backup = _keep(target, content, lifted.from_version)
    if atomic.read_bytes(target) != content:
        raise StoreError(f"{visible_line(str(file))} was changed meanwhile, and stays as it is", "try again")
    with atomic.translating(target, "read"):
        mode = target.stat().st_mode & 0o7777
    atomic.write_bytes(target, lifted.content)
    with contextlib.suppress(OSError):
        target.chmod(mode)
    return backup


def _keep(target: Path, content: bytes, version: int) -> Path:
    """A copy of the document under a name that nothing has; one that is there with this content serves."""
    for number in itertools.count(1):
        again = f"-{number}" if number > 1 else ""
        backup = target.with_name(f"{target.name}.v{version}{again}.bak")
        if not os.path.lexists(backup):
            break
        if backup.is_file() and atomic.read_bytes(backup) == content:
            return backup
    with atomic.new_file(backup) as write:
        write(content)
    return backup


def _difference(before: bytes, after: bytes) -> Iterator[str]:
    """What changed, as a unified diff; the stretch at the end that is the same is left out first."""
    old, new = (text.decode("utf-8").replace("\r\n", "\n").split("\n") for text in (before, after))
    same = sum(
        1
        for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old[::-1], new[::-1], strict=False))
    )
    same = max(0, same - _CONTEXT)
    for line in unified_diff(
        old[: len(old) - same], new[: len(new) - same], "before", "after", n=_CONTEXT, lineterm=""
    ):
        yield visible_line(line)
