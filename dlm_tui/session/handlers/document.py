"""The document: shown, edited, trained, and what is amiss with it."""

from dlm_tui.session.commands import parse_train
from dlm_tui.session.session import Session
from dlm_tui.session.shown import DocumentShown, ProblemsShown, Shown, Told, WarningsShown


async def show(session: Session, _: str) -> Shown:
    state = await session.document.look_again()
    if state.errors:
        return ProblemsShown(state)
    return DocumentShown(state, session.engine.ready, session.conversation.choice)


async def warnings(session: Session, _: str) -> WarningsShown:
    return WarningsShown(session.warnings)


async def edit(session: Session, _: str) -> Shown | None:
    if not await session.front.edit_document():
        return None
    state = await session.document.look_again()
    if state.errors:
        return ProblemsShown(state)
    if not state.untrained:
        return None
    noun = "section is" if state.untrained == 1 else "sections are"
    return Told((f"{state.untrained} {noun} new or changed: /train",))


async def train(session: Session, argument: str) -> None:
    session.train(parse_train(argument))
