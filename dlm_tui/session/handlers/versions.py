"""The versions that runs ended in: listed, and gone back to."""

import asyncio

from dlm_core.errors import UsageError
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told, VersionsShown
from dlm_tui.session.versions import roll_back, versions_of


async def versions(session: Session, argument: str) -> VersionsShown:
    del argument
    return VersionsShown(await asyncio.to_thread(versions_of, await _dlm_id(session)))


async def rollback(session: Session, argument: str) -> Told:
    if argument and not argument.isdecimal():
        raise UsageError(f"/rollback cannot be `{argument}`", "it takes a generation that /versions lists")
    if session.runs.under_way:
        raise UsageError("a run is under way", "/stop ends it; then go back")
    to = int(argument) if argument else None
    now = await asyncio.to_thread(roll_back, await _dlm_id(session), to)
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
