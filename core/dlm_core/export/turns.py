"""A chat template taken apart: what it puts around each turn, found by rendering marked conversations.

Most templates are the same pattern with other words: something at the beginning, each message between a
fixed text before and a fixed text after it, and a text that asks for the answer. `take_apart` finds these
texts, and the conversations of `SAMPLES` tell whether the pattern says all there is to say.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dlm_core.errors import BaseModelError
from dlm_core.requests import Message

Render = Callable[[Sequence[Message]], str]
_MARKS = ("zqjxa", "zqjxb", "zqjxc", "zqjxd")


@dataclass(frozen=True)
class Turn:
    """What stands before and after a message's text."""

    before: str
    after: str


@dataclass(frozen=True)
class Turns:
    """A chat template as texts.

    `system` is how a system message is put: in a turn of its own (`own`), before the first user's text with
    `joint` between them (`in_user`). `unasked` is what stands in its place where a conversation has none.
    `ask` follows the last message and lets the answer begin.
    """

    placement: Literal["own", "in_user"]
    system: Turn
    joint: str
    unasked: str
    user: Turn
    assistant: Turn
    ask: str

    def render(self, messages: Sequence[Message]) -> str:
        """A conversation that ends with the user's message."""
        system = next((m.content for m in messages if m.role == "system" and m.content.strip()), "")
        text = self.unasked if not system else ""
        if system and self.placement == "own":
            text += self.system.before + system + self.system.after
        first = True
        for message in messages:
            if message.role == "user":
                lead = system + self.joint if first and system and self.placement == "in_user" else ""
                text += self.user.before + lead + message.content + self.user.after
                first = False
            elif message.role == "assistant":
                text += self.assistant.before + message.content + self.assistant.after
        return text + self.ask


def take_apart(render: Render, end: str = "") -> Turns | None:
    """The texts of a template, or None where a marked message does not show up as it should.

    Where one turn ends and the next begins is not to be seen in what is rendered; of all the cuts that render
    alike, those right after `end` (the text of the token that ends a turn) are taken, so that each message
    keeps its own.
    """
    a, b, c, d = _MARKS
    try:
        one = render([Message("user", a)])
        three = render([Message("user", a), Message("assistant", b), Message("user", c)])
        with_system = render(
            [Message("system", d), Message("user", a), Message("assistant", b), Message("user", c)]
        )
    except BaseModelError:
        return None
    if any(
        t.count(m) != 1
        for t, marks in ((one, (a,)), (three, (a, b, c)), (with_system, _MARKS))
        for m in marks
    ):
        return None
    opening, _, after_one = one.partition(a)
    first, _, rest = three.partition(a)
    between, _, rest = rest.partition(b)
    after_answer, _, tail = rest.partition(c)
    if first != opening or after_one != tail:
        return None
    # A question is followed by `user.after + ask` at the end, by `user.after + assistant.before` elsewhere.
    cuts = _natural_first(tail, len(_common(tail, between)), end)
    splits = _natural_first(after_answer, len(after_answer), end)
    for cut in cuts:
        for split in splits:
            assistant = Turn(between[cut:], after_answer[:split])
            user = Turn(after_answer[split:], tail[:cut])
            if not opening.endswith(user.before):
                continue
            unasked = opening[: len(opening) - len(user.before)]
            found = _with_system(with_system, user, assistant, unasked, tail[cut:])
            if found is not None and all(matches(found, render, sample) for sample in SAMPLES[:4]):
                return found
    return None


def _natural_first(text: str, most: int, end: str) -> list[int]:
    """Every place to cut `text` up to `most`, the one after `end` and the white space behind it first."""
    places = list(range(most, -1, -1))
    natural = re.match(re.escape(end) + r"\s*", text) if end else None
    if natural is not None and natural.end() <= most:
        places.remove(natural.end())
        places.insert(0, natural.end())
    return places


def _with_system(text: str, user: Turn, assistant: Turn, unasked: str, ask: str) -> Turns | None:
    before, _, rest = text.partition(_MARKS[3])
    between, _, _ = rest.partition(_MARKS[0])
    if between.endswith(user.before) and (user.before or not before.endswith(user.before)):
        system = Turn(before, between[: len(between) - len(user.before)])
        return Turns("own", system, "", unasked, user, assistant, ask)
    if before == unasked + user.before:
        return Turns("in_user", Turn("", ""), between, unasked, user, assistant, ask)
    return None


def matches(turns: Turns, render: Render, messages: Sequence[Message]) -> bool:
    """Whether both render a conversation to the same text."""
    try:
        return turns.render(messages) == render(messages)
    except BaseModelError:
        return False


def _common(a: str, b: str) -> str:
    length = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:length]


def _talk(*turns: str, system: str = "") -> tuple[Message, ...]:
    head = (Message("system", system),) if system else ()
    return head + tuple(Message("assistant" if i % 2 else "user", t) for i, t in enumerate(turns))


SAMPLES: tuple[tuple[Message, ...], ...] = (
    _talk("What is the port?"),
    _talk("What is the port?", system="Answer briefly."),
    _talk("Hello.", "Hello, how can I help?", "What is the port?"),
    _talk("Hello.", "Ahoy!", "And?", "Nothing.", "Why?", system="You are a pirate.\n\nA kind one."),
    _talk("Two\n\nparagraphs, and `code`:\n```\nif a < b {{ x }}:\n    pass\n```\nthat was it"),
    _talk("Größe? 你好! \U0001f600 <b>&amp;</b> \"quoted\" 'single' \\ back $x {{ .System }} {% x %}"),
    _talk("1", "2", "3", "4", "5", "6", "7", system="Count."),
    _talk(
        "What does <|nothing|> mean? [INST] no [/INST]", "It is text.", "And {{- }}?", system="{{ .Role }}"
    ),
)
UNTRIMMED: tuple[tuple[Message, ...], ...] = (
    _talk("  a line that begins and ends with spaces  "),
    _talk("ends with a newline\n", "so does this\n", "and this\n"),
    _talk("Hi.", system=" spaces around \n"),
)
