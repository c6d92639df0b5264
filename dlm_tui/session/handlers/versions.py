"""The versions that runs ended in: listed, and gone back to."""

import asyncio

from dlm_core.errors import UsageError
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told, VersionsShown
from dlm_tui.session.versions import mark, marked_words, meant, roll_back, versions_of
from dlm_tui.session.versions_command import parse_versions


async def versions(session: Session, argument: str) -> VersionsShown | Told:
    wanted, dlm_id = parse_versions(argument), await _dlm_id(session)
    if wanted is None:
        return VersionsShown(await asyncio.to_thread(versions_of, dlm_id))
    changed = await asyncio.to_thread(
        lambda: mark(dlm_id, wanted.which, name=wanted.name, pinned=wanted.pinned)
    )
    return Told((marked_words(changed),))


async def rollback(session: Session, argument: str) -> Told:
    if session.runs.under_way:
        raise UsageError("a run is under way", "/stop ends it; then go back")
    dlm_id = await _dlm_id(session)
    to = await asyncio.to_thread(meant, dlm_id, argument or None)
    now = await asyncio.to_thread(roll_back, dlm_id, to)
    await session.document.look_again()
    session.engine.reopen()
    listed = ", ".join(f"{name} {version}" for name, version in now.adapters.items())
    return Told((f"generation {now.generation} is current, {now.note}: {listed}",))


async def _dlm_id(session: Session) -> str:
    dlm_id = session.document.state.dlm_id or (await session.document.look_again()).dlm_id
    if not dlm_id:
        raise UsageError(
            "the document has errors, so it is not known whose versions are meant", "/show lists them"
        )
    return dlm_id
