"""How a base speaks: messages to text and tokens by its chat template, the same in training and in inference.

A base without a template gets a plain one:

    System text

    User: question
    Assistant:
    answer<end of text>

Blank lines part the turns; a prompt ends with the line "Assistant:", and the answer begins on the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dlm_core.bases.encoding import TextEncoding
from dlm_core.document.model import Turn
from dlm_core.errors import BaseModelError
from dlm_core.requests import Message
from dlm_core.safetext import visible_line

_MARK = "zqjxkvmark"
# What templates add unasked must be the same in training and afterwards: no reasoning, no date of today.
_TEMPLATE_SETTINGS = {"enable_thinking": False, "date_string": "26 Jul 2024"}


@dataclass(frozen=True)
class TurnShape:
    """What the template puts around an answer: `lead` before, `tail` after, up to and with its end token.

    `end_id` is the token that ends a reply, None where the tokenizer knows none.
    """

    lead: str
    tail: str
    end_id: int | None


class Chat:
    """A tokenizer of transformers and its template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.encoding = TextEncoding(tokenizer)

    @property
    def has_template(self) -> bool:
        """Whether the base brings a template of its own."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def render(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        """The conversation as text, ready to be continued by a reply if `add_generation_prompt`.

        Without a system message the template's own default stays. A template that refuses or drops the
        system turn gets its text at the head of the first user turn. Raises BaseModelError where it refuses
        the conversation for another reason.
        """
        if not self.has_template:
            return self._bos + _plain(messages, add_generation_prompt, self._eos)
        if not any(m.role == "system" and m.content.strip() for m in messages):
            return self._apply([m for m in messages if m.role != "system"], add_generation_prompt)
        return self._apply(
            messages if self._takes_system else _system_in_user(messages), add_generation_prompt
        )

    def encode(self, messages: Sequence[Message], add_generation_prompt: bool) -> list[int]:
        """Token ids of `render`; what the messages say never becomes a control token."""
        return self.encoding.ids(self._marked(messages, add_generation_prompt))

    def encode_text(self, text: str) -> list[int]:
        """Token ids of plain text, begun as the tokenizer begins a document, without an end token."""
        return self.encoding.ids(self._bos + self.encoding.marked(text))

    def encode_row(
        self, question: str, answer: str, system: str | None, before: Sequence[Turn] = ()
    ) -> tuple[list[int], list[bool]]:
        """A question with its answer: token ids [T], and a mask [T], True at the answer and its end token.

        The ids before the answer are those that `encode` gives the question as a prompt, after the turns
        `before`: training sees what inference will. Where the tokenizer would join prompt and answer in one
        token, they are encoded apart.
        """
        prompt = self._marked(conversation(question, system, before), add_generation_prompt=True)
        shape = self.turn_shape
        prompt_ids = self.encoding.ids(prompt)
        continuation = shape.lead + self.encoding.marked(answer) + shape.tail
        ids = self.encoding.ids(prompt + continuation)
        if ids[: len(prompt_ids)] != prompt_ids:
            ids = prompt_ids + self.encoding.after(continuation)
        if shape.end_id is not None and (not shape.tail or ids[-1] != shape.end_id):
            ids = [*ids, shape.end_id]
        return ids, [i >= len(prompt_ids) for i in range(len(ids))]

    def reply_text(self, ids: Sequence[int]) -> str:
        """The text of a whole reply, without what the template puts before an answer."""
        return self.encoding.decode(ids).removeprefix(self.reply_lead)

    @cached_property
    def reply_lead(self) -> str:
        """White space that a reply's tokens begin with and its text does not."""
        ids, loss = self.encode_row("question", _MARK, None)
        text = self.encoding.decode(ids[loss.index(True) :])
        return _blank(text.partition(_MARK)[0]) if _MARK in text else ""

    @cached_property
    def turn_shape(self) -> TurnShape:
        """Found by rendering a marked answer and looking at what stands before and after it."""
        eos = self.tokenizer.eos_token_id
        if not self.has_template:
            return TurnShape("", "", eos)
        asked = [Message("user", "question")]
        prompt = self._apply(asked, add_generation_prompt=True)
        whole = self._apply([*asked, Message("assistant", _MARK)], add_generation_prompt=False)
        before, _, after = whole.rpartition(_MARK)
        lead = before[len(prompt) :] if before.startswith(prompt) else ""
        ends = [(at, token) for token in self._special_tokens if (at := after.find(token)) >= 0]
        if not ends:
            return TurnShape(_blank(lead), "", eos)
        at, token = min(ends, key=lambda end: (end[0], -len(end[1])))
        end_id = self.tokenizer.convert_tokens_to_ids(token)
        return TurnShape(_blank(lead), after[: at + len(token)], end_id)

    @cached_property
    def _takes_system(self) -> bool:
        """Whether a system message shows up in what the template renders."""
        probe = [Message("system", _MARK), Message("user", "question")]
        try:
            return _MARK in self._apply(probe, add_generation_prompt=True)
        except BaseModelError:
            return False

    @cached_property
    def _special_tokens(self) -> tuple[str, ...]:
        added = [
            str(token.content) for token in self.tokenizer.added_tokens_decoder.values() if token.special
        ]
        return tuple({t for t in (*added, *self.tokenizer.all_special_tokens) if t.strip()})

    @cached_property
    def _bos(self) -> str:
        """The begin token's text where the tokenizer puts one before plain text by itself, else ""."""
        bos = self.tokenizer.bos_token_id
        ids = self.tokenizer("a", add_special_tokens=True)["input_ids"]
        return str(self.tokenizer.bos_token) if bos is not None and ids[:1] == [bos] else ""

    @property
    def _eos(self) -> str:
        return str(self.tokenizer.eos_token or "")

    def _marked(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        """`render`, with marks around what would be read as control tokens."""
        marked = [Message(m.role, self.encoding.marked(m.content)) for m in messages]
        return self.render(marked, add_generation_prompt)

    def _apply(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        try:
            rendered = self.tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in messages],
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                **_TEMPLATE_SETTINGS,
            )
        except Exception as error:  # a template is a program, and may fail in any way
            why = visible_line(str(error)) or type(error).__name__
            raise BaseModelError(
                f"the base's chat template refuses this conversation: {why}",
                "most templates want user and assistant to take turns, the user first",
            ) from error
        return str(rendered)


def conversation(question: str, system: str | None, before: Sequence[Turn] = ()) -> list[Message]:
    """The messages of a conversation that ends in a question."""
    head = [Message("system", system)] if system else []
    turns = [(Message("user", turn.question), Message("assistant", turn.answer)) for turn in before]
    return [*head, *(message for turn in turns for message in turn), Message("user", question)]


def _blank(lead: str) -> str:
    """A lead counts only as white space; more (an empty reasoning block, say) does not follow a prompt."""
    return lead if not lead.strip() else ""


def _system_in_user(messages: Sequence[Message]) -> list[Message]:
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    turns = [m for m in messages if m.role != "system"]
    if not turns or turns[0].role != "user":
        return [Message("user", system), *turns]
    return [Message("user", f"{system}\n\n{turns[0].content}"), *turns[1:]]


def _plain(messages: Sequence[Message], add_generation_prompt: bool, eos: str) -> str:
    turns = []
    for message in messages:
        if message.role == "system":
            turns.append(message.content)
        elif message.role == "user":
            turns.append(f"User: {message.content}")
        else:
            turns.append(f"Assistant:\n{message.content}{eos}")
    text = ""
    for index, turn in enumerate(turns):
        is_answer = index > 0 and messages[index].role == "assistant"
        text += ("\n" if is_answer else "\n\n") * (index > 0) + turn
    return text + ("\nAssistant:\n" if add_generation_prompt else "")
