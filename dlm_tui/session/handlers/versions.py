"""The versions that runs ended in: listed, named, pinned, and gone back to.

The store is loaded by the first of these commands, and not before the prompt is there.
"""

import asyncio
from dataclasses import dataclass

from dlm_core.errors import UsageError
from dlm_tui.session.commands import find
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told, VersionsShown


@dataclass(frozen=True)
class MarkVersion:
    """Name a version or take its name away (`name` ""), or pin it or not; what is None stays."""

    which: str
    name: str | None = None
    pinned: bool | None = None


async def versions(session: Session, argument: str) -> VersionsShown | Told:
    from dlm_tui.session.versions import mark, marked_words, versions_of

    wanted, dlm_id = parse_versions(argument), await _dlm_id(session)
    if wanted is None:
        return VersionsShown(await asyncio.to_thread(versions_of, dlm_id))
    changed = await asyncio.to_thread(
        lambda: mark(dlm_id, wanted.which, name=wanted.name, pinned=wanted.pinned)
    )
    return Told((marked_words(changed),))


async def rollback(session: Session, argument: str) -> Told:
    from dlm_tui.session.versions import meant, roll_back

    if session.runs.under_way:
        raise UsageError("a run is under way", "/stop ends it; then go back")
    dlm_id = await _dlm_id(session)
    to = await asyncio.to_thread(meant, dlm_id, argument or None)
    now = await asyncio.to_thread(roll_back, dlm_id, to)
    await session.document.look_again()
    session.engine.reopen()
    listed = ", ".join(f"{name} {version}" for name, version in now.adapters.items())
    return Told((f"generation {now.generation} is current, {now.note}: {listed}",))


def parse_versions(argument: str) -> MarkVersion | None:
    """What `/versions` is to change; None where they are to be listed."""
    what, _, rest = argument.partition(" ")
    rest = rest.strip()
    match what:
        case "":
            return None
        case "pin" | "unpin" if rest:
            return MarkVersion(rest, pinned=what == "pin")
        case "name" if rest:
            which, _, name = rest.partition(" ")
            return MarkVersion(which, name=name.strip())
        case _:
            raise UsageError(f"/versions cannot be `{argument}`", f"it takes {find('versions').usage}")


async def _dlm_id(session: Session) -> str:
    dlm_id = session.document.state.dlm_id or (await session.document.look_again()).dlm_id
    if not dlm_id:
        raise UsageError(
            "the document has errors, so it is not known whose versions are meant", "/show lists them"
        )
    return dlm_id
