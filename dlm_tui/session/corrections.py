"""Corrections on their way: written into the document, trained in one run, asked again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dlm_core.errors import DlmError
from dlm_core.events import RunEnded
from dlm_core.requests import Message, RoutingChoice
from dlm_tui.session.conversation import Answer


@dataclass(frozen=True)
class Correction:
    """A reply that was corrected in the document: what it answers, under which routing, what it is to be."""

    messages: tuple[Message, ...]
    answer: Answer
    choice: RoutingChoice
    expected: str

    @property
    def question(self) -> str:
        return self.messages[-1].content


class Corrections:
    """The corrections of a session that are not learned yet; those that wait share a run.

    `idle` waits until no run is under way, `train` trains the document as it stands on disk and answers how
    that ended. `learned` gets every correction once a run that saw it is done; `lost` is told how many were
    in a run that did not end well.
    """

    def __init__(
        self,
        *,
        spawn: Callable[[Awaitable[object], str], None],
        idle: Callable[[], Awaitable[None]],
        train: Callable[[], Awaitable[RunEnded | None]],
        learned: Callable[[Correction], None],
        lost: Callable[[int], None],
    ) -> None:
        self._spawn, self._idle, self._train = spawn, idle, train
        self._learned, self._lost = learned, lost
        self._waiting: list[Correction] = []
        self._at_work = False

    @property
    def under_way(self) -> bool:
        """Whether a correction is being trained, or waits to be."""
        return self._at_work

    def add(self, correction: Correction) -> None:
        """Train what was written, with all else that waits, and ask again."""
        self._waiting.append(correction)
        if not self._at_work:
            self._at_work = True
            self._spawn(self._work(), "run")

    async def _work(self) -> None:
        taken: list[Correction] = []
        try:
            while self._waiting:
                await self._idle()
                taken, self._waiting = self._waiting, []
                ended = await self._train()
                if ended is None:  # a newer run took its place, and sees the same document
                    self._waiting = [*taken, *self._waiting]
                elif ended.status == "done":
                    for correction in taken:
                        self._learned(correction)
                else:
                    self._lost(len(taken))
                taken = []
        except DlmError:
            self._lost(len(taken) + len(self._waiting))
            self._waiting = []
            raise
        finally:
            self._at_work = False
