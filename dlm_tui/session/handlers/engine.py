"""The engine process and its base, help, and the way out."""

from dlm_tui.session.commands import find
from dlm_tui.session.session import Session
from dlm_tui.session.shown import BaseShown, HelpShown


async def model(session: Session, _: str) -> BaseShown:
    return BaseShown(session.engine.ready)


async def restart(session: Session, _: str) -> None:
    session.tell("starting the engine again")
    await session.engine.restart()


async def help_(session: Session, argument: str) -> HelpShown:
    return HelpShown(find(argument) if argument else None, session.front.keys)


async def exit_(session: Session, _: str) -> None:
    session.front.leave()
