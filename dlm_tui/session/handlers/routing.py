"""How the next reply comes about: its routing, how it is drawn, the system prompt."""

import msgspec

from dlm_core.requests import RoutingChoice
from dlm_tui.session.commands import parse_gate, parse_ground, parse_params, shown_params
from dlm_tui.session.conversation import describe
from dlm_tui.session.routing_flags import check_adapter, parse_mix
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Told


async def gate(session: Session, argument: str) -> Told:
    return _chosen(session, _looking_as_before(session, parse_gate(argument, session.conversation.choice)))


async def adapter(session: Session, argument: str) -> Told:
    if not argument:
        return _chosen(session, _looking_as_before(session, RoutingChoice()))
    pinned = RoutingChoice(mode="pin", adapter=check_adapter(argument, session.adapters))
    return _chosen(session, _looking_as_before(session, pinned))


async def mix(session: Session, argument: str) -> Told:
    mixed = RoutingChoice(mode="mix", mix=parse_mix(argument, session.adapters))
    return _chosen(session, _looking_as_before(session, mixed))


async def ground(session: Session, argument: str) -> Told:
    return _chosen(session, parse_ground(argument, session.conversation.choice))


async def params(session: Session, argument: str) -> Told:
    session.conversation.sampling = parse_params(argument, session.conversation.sampling)
    session.keep()
    return Told((shown_params(session.conversation.sampling),))


async def system(session: Session, argument: str) -> Told:
    if argument:
        session.conversation.system = None if argument.lower() == "none" else argument
        session.keep()
    prompt = session.conversation.system
    return Told(
        (f"system prompt: {prompt}" if prompt is not None else "the system prompt is the document's",)
    )


def _looking_as_before(session: Session, choice: RoutingChoice) -> RoutingChoice:
    """Other weights, and what was said of looking prompts up still holds."""
    return msgspec.structs.replace(choice, ground=session.conversation.choice.ground)


def _chosen(session: Session, choice: RoutingChoice) -> Told:
    session.choose(choice)
    return Told((describe(choice),))
