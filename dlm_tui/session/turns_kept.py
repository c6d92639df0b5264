"""A correction of a reply deep in a conversation: with the turns that its question goes on from, or alone."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlm_core.document.follow_ups import goes_on, thread
from dlm_core.document.model import Turn
from dlm_core.errors import DlmError
from dlm_core.requests import Message
from dlm_core.teaching import Edit
from dlm_tui.session.commands import TURN_FLAGS

Make = Callable[[tuple[Turn, ...]], Edit]
"""The edit that teaches a question after some turns."""


@dataclass(frozen=True)
class Offer:
    """An edit, and the `other` that may be taken in its place: with the turns before it, or without them."""

    edit: Edit
    other: Edit | None = None


def parse_turns(argument: str) -> tuple[bool | None, str]:
    """Whether the turns before the question are to be kept, and what else is said; None: nothing of it is."""
    flag, _, rest = argument.partition(" ")
    if flag not in TURN_FLAGS:
        return None, argument
    return flag == TURN_FLAGS[0], rest.strip()


async def offered(messages: Sequence[Message], turns: bool | None, make: Make) -> Offer:
    """The edit with the turns that the last of `messages` goes on from, and the one without them.

    `turns` says which stands first; None: the one with turns where the words of the question point back.

    Raises:
        DlmError: the edit that stands first cannot be made.
    """
    before = turns_of(messages)
    if not before:
        return Offer(await asyncio.to_thread(make, ()))
    keeps = goes_on(messages[-1].content) if turns is None else turns
    first, second = (before, ()) if keeps else ((), before)
    edit = await asyncio.to_thread(make, first)
    try:
        other = await asyncio.to_thread(make, second)
    except DlmError:
        return Offer(edit)
    return Offer(edit, other if other.after != edit.after else None)


def turns_of(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """The turns before the last of `messages` that it goes on from, or would if it did; oldest first."""
    said = [message for message in messages[:-1] if message.role != "system"]
    return thread([Turn(a.content, b.content) for a, b in zip(said[::2], said[1::2], strict=False)])
