"""Messages of a conversation, as OpenAI, ShareGPT and their relatives write them, to turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlm_core.data.rows import Turn

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
}


class Unfit(Exception):
    """What was read is no row; the message says why."""


@dataclass(frozen=True)
class Conversation:
    """A conversation cut into turns. `pending` is a last question without an answer, empty without one;
    `unasked`: it began with a reply to nothing, which is no turn.
    """

    turns: tuple[Turn, ...]
    system: str = ""
    pending: str = ""
    unasked: bool = False


def read_conversation(messages: Sequence[Any]) -> Conversation:
    """The turns of a list of messages: `role` and `content`, or `from` and `value`.

    Messages of one role in a row are one, with a blank line between them. Raises Unfit for tools, images and
    roles that are not known.
    """
    system: list[str] = []
    turns: list[Turn] = []
    asked: list[str] = []
    answered: list[str] = []
    unasked = False
    for message in messages:
        role, text = _message(message)
        if role == "system":
            system.append(text)
        elif role == "user":
            if answered:
                turns.append(Turn("\n\n".join(asked), "\n\n".join(answered)))
                asked, answered = [], []
            asked.append(text)
        elif asked:
            answered.append(text)
        else:
            unasked = True
    if answered:
        turns.append(Turn("\n\n".join(asked), "\n\n".join(answered)))
        asked = []
    return Conversation(tuple(turns), "\n\n".join(filter(None, system)), "\n\n".join(asked), unasked)


def text_of(value: Any) -> str:
    """The text of a message, an answer or a cell: a text, a number, or a list of text parts."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case [*parts]:
            return "\n\n".join(map(_part, parts))
        case {"text": str() | list() as text}:  # as SQuAD writes its answers
            return text_of(text[0] if isinstance(text, list) and text else text or "")
        case {"content": inner} | {"value": inner}:
            return text_of(inner)
    raise Unfit("it holds something other than text")


def _message(message: Any) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise Unfit("a message is no object with a role and a text")
    written = message.get("role", message.get("from"))
    role = _ROLES.get(str(written).casefold())
    if message.get("tool_calls") or message.get("function_call"):
        raise Unfit("it calls tools")
    if role is None:
        what = "calls tools" if str(written) in ("tool", "function", "function_call", "observation") else None
        raise Unfit(f"it {what}" if what else f"nobody here is called {str(written)[:40]!r}")
    return role, text_of(message.get("content", message.get("value")))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise Unfit("it holds something other than text")
