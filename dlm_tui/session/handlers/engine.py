"""The engine process and its base, help, and the way out."""

from dlm_tui.session.commands import find
from dlm_tui.session.session import Session
from dlm_tui.session.shown import BaseShown, HelpShown


async def model(session: Session, argument: str) -> BaseShown:
    del argument
    return BaseShown(session.engine.ready)


async def restart(session: Session, argument: str) -> None:
    del argument
    session.tell("starting the engine again")
    await session.engine.restart()


async def help_(session: Session, argument: str) -> HelpShown:
    return HelpShown(find(argument) if argument else None, session.front.keys)


async def exit_(session: Session, argument: str) -> None:
    del argument
    session.front.leave()
