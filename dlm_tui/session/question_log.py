"""What was asked of a document and how the replies were judged, and whether a run lost what was right."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable

from dlm_core.errors import DlmError, StoreError
from dlm_core.requests import Message
from dlm_core.store.asked import AskedQuestion, AskedQuestions, Verdict
from dlm_core.store.paths import StorePaths, dlm_home
from dlm_tui.session.conversation import Answer

CHECKED = 20
"""Questions that are asked again after a run, the newest of those that were right."""
SAME_FROM = 0.8
"""The word F1 with what a reply was, or is to be, from which it says the same."""

Reply = Callable[[tuple[Message, ...]], Awaitable[str | None]]


class QuestionLog:
    """The questions of a session's document, kept once `open` was called; each write in a thread, in turn.

    Args:
        trouble: told once, in a sentence, when nothing can be kept.
    """

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        self._kept: AskedQuestions | None = None
        self._turn = asyncio.Lock()

    def open(self, dlm_id: str) -> None:
        """Keep the questions of this document from now on. Raises StoreError for an id that is none."""
        self._kept = AskedQuestions(StorePaths(dlm_home(), dlm_id).asked)

    def close(self) -> None:
        """Keep nothing from now on; what was kept stays."""
        self._kept = None

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._kept is not None

    async def note(
        self, messages: tuple[Message, ...], reply: str, verdict: Verdict = "", answer: str = ""
    ) -> bool:
        """Keep a question and its reply, with what was said of it; answers whether it is kept."""
        kept = self._kept
        return kept is not None and await self._do(lambda: kept.keep(messages, reply, verdict, answer))

    async def clear(self) -> None:
        """Forget all questions."""
        if (kept := self._kept) is not None:

            def clear() -> bool:
                kept.clear()
                return True

            await self._do(clear)

    async def lost(self, ask: Reply) -> list[AskedQuestion]:
        """Ask again what was answered right, and return what is not any more.

        `ask` gives the reply to some messages; None ends the checking, for something else has come up.
        """
        found: list[AskedQuestion] = []
        for entry in await self._right():
            reply = await ask(entry.messages)
            if reply is None:
                break
            if not says_the_same(reply, entry.answer):
                found.append(entry)
        return found

    async def _right(self) -> list[AskedQuestion]:
        if self._kept is None:
            return []
        try:
            async with self._turn:
                entries = await asyncio.to_thread(self._kept.load)
        except DlmError:
            return []
        return [entry for entry in reversed(entries) if was_right(entry)][:CHECKED]

    async def _do(self, work: Callable[[], bool]) -> bool:
        async with self._turn:
            try:
                return await asyncio.to_thread(work)
            except StoreError as error:
                self._kept = None
                self._trouble(f"what was asked cannot be kept: {error}")
                return False


def was_right(entry: AskedQuestion) -> bool:
    """Whether the last reply to a question was as it should be, as far as the user said how that is."""
    return (
        entry.verdict in ("right", "taught")
        and bool(entry.answer)
        and says_the_same(entry.reply, entry.answer)
    )


def says_the_same(reply: str, answer: str) -> bool:
    """Whether a reply is an answer, but for a few words: word F1, as in `dlm eval`."""
    mine, other = _bag(reply), _bag(answer)
    common = sum((mine & other).values())
    return bool(common) and 2 * common / (mine.total() + other.total()) >= SAME_FROM


def is_the_documents(answer: Answer) -> bool:
    """Whether a reply is whole, and the document's own: not pinned, mixed or of the bare base."""
    return answer.finish_reason == "stop" and answer.routing.mode in ("auto", "uniform")


def _bag(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))
