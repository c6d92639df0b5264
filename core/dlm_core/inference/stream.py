"""Ids into text as they come: a character that needs several tokens is held back until it is whole."""

from typing import Protocol

_INCOMPLETE = "�"


class Decoder(Protocol):
    """The part of a tokenizer that turns ids into text."""

    def decode(self, ids: list[int], *, skip_special_tokens: bool = ...) -> str: ...


class TextStream:
    """Text of a growing reply.

    Decodes from the last known-good boundary, since tokenizers join bytes and spaces across tokens.
    """

    def __init__(self, tokenizer: Decoder) -> None:
        self._tokenizer = tokenizer
        self.ids: list[int] = []
        self._start = 0
        self._shown = 0
        self.text = ""

    def push(self, token: int) -> str:
        """Add a token; returns the text that became certain, maybe ""."""
        self.ids.append(token)
        return self._advance(final=False)

    def finish(self) -> str:
        """What was still held back, incomplete characters included."""
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        before = self._decode(self.ids[self._start : self._shown])
        now = self._decode(self.ids[self._start :])
        if len(now) <= len(before) or (now.endswith(_INCOMPLETE) and not final):
            return ""
        new = now[len(before) :]
        self._start, self._shown = self._shown, len(self.ids)
        self.text += new
        return new

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True) if ids else ""
