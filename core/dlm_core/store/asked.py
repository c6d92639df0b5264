"""What a document was asked, and what the user said of the replies: never packed, never sent."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from dlm_core.errors import NOT_JSON, StoreError
from dlm_core.requests import Message
from dlm_core.store import atomic, envelope

MOST = 500
"""Questions that are kept; the oldest without a verdict go first."""
BEFORE = 6
"""Messages before a question that are kept with it."""
_FORMAT = 1

Verdict = Literal["", "right", "wrong", "taught"]


class AskedQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """One question: the messages that end in it, the last reply to it, and what the user said of that.

    `answer` is what a reply is held against: the one that was right, or what was taught; "" where neither is
    known. `at` is when it was asked last, in seconds since the epoch.
    """

    messages: tuple[Message, ...]
    reply: str
    verdict: Verdict = ""
    answer: str = ""
    at: float = 0.0

    @property
    def question(self) -> str:
        return self.messages[-1].content


class AskedQuestions:
    """The questions of one document, in one file of its store; nothing is kept where there is no store."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock

    def load(self) -> tuple[AskedQuestion, ...]:
        """All that is kept, oldest first.

        Raises:
            StoreError: the file is damaged, or from a newer version.
        """
        if not self._path.is_file():
            return ()
        content, form = envelope.read(self._path)
        if form != _FORMAT:
            raise StoreError(f"{atomic.shown(self._path)} was written by a newer dlm", "upgrade dlm")
        try:
            return msgspec.convert(content, tuple[AskedQuestion, ...])
        except NOT_JSON as error:
            raise StoreError(f"{atomic.shown(self._path)} is damaged: {error}") from error

    def keep(
        self, messages: tuple[Message, ...], reply: str, verdict: Verdict = "", answer: str = ""
    ) -> bool:
        """Keep a question, in place of what was kept of it; without a verdict the one it has stays.

        Returns:
            Whether it is kept: not where the document has no store yet.

        Raises:
            StoreError: what is there cannot be read, or cannot be written.
        """
        if not self._path.parent.is_dir():
            return False
        messages = messages[-1 - BEFORE :]
        kept = list(self.load())
        before = next((entry for entry in kept if entry.messages == messages), None)
        if before is not None:
            kept.remove(before)
            verdict, answer = (verdict, answer) if verdict else (before.verdict, before.answer)
        kept.append(
            AskedQuestion(messages=messages, reply=reply, verdict=verdict, answer=answer, at=self._clock())
        )
        while len(kept) > MOST:
            kept.remove(next((entry for entry in kept if not entry.verdict), kept[0]))
        envelope.write(self._path, kept, _FORMAT)
        return True

    def clear(self) -> None:
        """Forget all of it. Raises StoreError where that cannot be done."""
        if self._path.exists():
            atomic.remove_file(self._path)
