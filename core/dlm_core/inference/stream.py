"""Ids into text as they come: a character that needs several tokens is held back until it is whole."""

from collections.abc import Callable

_INCOMPLETE = "�"


class TextStream:
    """Text of a growing reply.

    Decodes from the last known-good boundary, since tokenizers join bytes and spaces across tokens. `lead` is
    white space that the first tokens may say and the reply does not begin with.
    """

    def __init__(self, decode: Callable[[list[int]], str], lead: str = "") -> None:
        self._decode = decode
        self._lead = lead
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
        new = self._without_lead(now[len(before) :])
        self._start, self._shown = self._shown, len(self.ids)
        self.text += new
        return new

    def _without_lead(self, new: str) -> str:
        while self._lead and new:
            if new[0] != self._lead[0]:
                self._lead = ""
                break
            new, self._lead = new[1:], self._lead[1:]
        return new
