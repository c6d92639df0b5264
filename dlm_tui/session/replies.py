"""Questions and their replies: one at a time, in the order in which they were asked."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from msgspec import structs

from dlm_core.errors import DlmError
from dlm_core.events import Log, Reply, Routed, Token
from dlm_core.requests import Generate, Message, RoutingChoice
from dlm_tui.session.conversation import Answer, Conversation, Turn
from dlm_tui.session.engine_session import EngineSession
from dlm_tui.session.front import Asked, Front, ReplySink

Job = Callable[[], Awaitable[None]]
Pair = Callable[[Asked, int], Awaitable[tuple[ReplySink, ReplySink]]]
"""Opens two replies side by side, for a question and the seed that both are drawn with."""
COMPARE_SEED = 7
"""Drawn with by both replies of a comparison, where the user has set no seed."""


@dataclass(kw_only=True)
class Replies:
    """The line of questions of one conversation, and the reply under way.

    `front` gives the place where replies are shown. `on_log` gets what the engine says beside a reply,
    `on_answer` every reply, `on_failure` what went wrong with a job; `on_kept` is called after a turn or an
    answer was added, `on_change` where something is under way or no more.
    """

    engine: EngineSession
    conversation: Conversation
    front: Callable[[], Front]
    on_log: Callable[[Log], None]
    on_answer: Callable[[Asked, Answer], None]
    on_kept: Callable[[], None]
    on_change: Callable[[], None]
    on_failure: Callable[[Exception], None]
    begun: bool = field(default=False, init=False)
    """Whether the engine is replying."""
    _jobs: deque[Job] = field(default_factory=deque, init=False)
    _job: asyncio.Task[None] | None = field(default=None, init=False)
    _replying: str = field(default="", init=False)  # the request id, from when it is sent
    _closing: bool = field(default=False, init=False)

    @property
    def busy(self) -> bool:
        """Whether a question is being answered, or waits."""
        return self._job is not None

    @property
    def asked(self) -> bool:
        """Whether the engine was asked for a reply that has not ended."""
        return bool(self._replying)

    @property
    def waiting(self) -> int:
        """How many questions wait for their turn."""
        return len(self._jobs) + (self._job is not None and not self.begun)

    def ask(self, question: str, choice: RoutingChoice | None = None, *, keep: bool = True) -> None:
        """Put a question in line.

        Args:
            choice: the routing for it alone; None takes the conversation's at its turn.
            keep: whether question and answer become a turn of the conversation.
        """
        self.in_turn(lambda: self._ask(question, choice, keep))

    def again(self, choice: RoutingChoice | None) -> None:
        """Put the last question in line once more; which it is, is seen at its turn."""
        self.in_turn(lambda: self._ask_again(choice or self.conversation.choice))

    def ask_in_place(self, asked: Asked) -> None:
        """Put a question in line once more; its reply takes the place of `asked.before`."""
        self.in_turn(lambda: self._ask_in_place(asked))

    def compare(self, other: RoutingChoice, sinks: Pair) -> None:
        """Answer the last question under the conversation's routing and under `other`, with one seed."""
        self.in_turn(lambda: self._compare(other, sinks))

    def in_turn(self, job: Job) -> None:
        """Do something once every question before it has been answered."""
        self._jobs.append(job)
        if self._job is None:
            self._next_job()
        self.on_change()

    def with_last(self, use: Callable[[tuple[Message, ...], Turn], None]) -> None:
        """Do something with the last turn, and the messages it answers; which it is, is seen at its turn."""

        async def begin() -> None:
            use(*self.conversation.asked_last())

        self.in_turn(begin)

    def interrupt(self) -> int | None:
        """Stop the reply under way, and withdraw what waits for its turn.

        Returns:
            How many questions were withdrawn; None where nothing was under way.
        """
        if self._job is None:
            return None
        withdrawn = len(self._jobs)
        self._jobs.clear()
        if self._replying:
            stopping = asyncio.create_task(self.engine.stop(self._replying))
            stopping.add_done_callback(lambda _: None)
        else:
            self._job.cancel()
        return withdrawn

    async def idle(self) -> None:
        """Wait until every question has been answered."""
        while self._job is not None:
            await asyncio.wait((self._job,))
            await asyncio.sleep(0)  # what is called once the job is done, is called after this

    async def close(self) -> None:
        """Nothing is asked any more; the reply under way is left."""
        self._closing = True
        self._jobs.clear()
        if self._job is not None:
            self._job.cancel()
            await asyncio.gather(self._job, return_exceptions=True)

    async def _ask(self, question: str, choice: RoutingChoice | None, keep: bool) -> None:
        asked = Asked(self.conversation.messages(question), choice or self.conversation.choice)
        await self._reply(asked, partial(self.conversation.answered, question) if keep else None)

    async def _ask_again(self, choice: RoutingChoice) -> None:
        messages, last = self.conversation.asked_last()
        await self._reply(Asked(messages, choice, last.answer), self.conversation.answered_again)

    async def _ask_in_place(self, asked: Asked) -> None:
        before = asked.before
        await self._reply(asked, partial(self.conversation.corrected, before) if before else None)

    async def _reply(self, asked: Asked, keep: Callable[[Answer], None] | None) -> None:
        """Answer a question where the front shows it; `keep` is given the answer."""
        answer = await self._answered(asked, await self.front().open_reply(asked))
        if answer is not None and keep is not None:
            keep(answer)
            self.on_kept()

    async def _compare(self, other: RoutingChoice, sinks: Pair) -> None:
        messages, _ = self.conversation.asked_last()
        seed = self.conversation.sampling.seed
        seed = COMPARE_SEED if seed is None else seed
        mine = Asked(messages, self.conversation.choice)
        for asked, sink in zip((mine, replace(mine, choice=other)), await sinks(mine, seed), strict=True):
            await self._answered(asked, sink, seed)

    async def _answered(self, asked: Asked, sink: ReplySink, seed: int | None = None) -> Answer | None:
        try:
            await self.engine.until_ready()
            answer = await self._streamed(asked.messages, asked.choice, sink, seed)
        except DlmError as error:
            sink.failed(error)
            return None
        except asyncio.CancelledError:
            sink.failed(None)
            raise
        if answer is None:
            sink.failed(None)
            return None
        self.on_answer(asked, answer)
        sink.finished(answer)
        return answer

    async def _streamed(
        self, messages: tuple[Message, ...], choice: RoutingChoice, sink: ReplySink, seed: int | None
    ) -> Answer | None:
        sampling = self.conversation.sampling
        if seed is not None:
            sampling = structs.replace(sampling, seed=seed)
        request = Generate(
            request_id=self.engine.new_id(), messages=messages, choice=choice, sampling=sampling
        )
        answer: Answer | None = None
        said: list[tuple[str, dict[str, float]]] = []
        self._replying = request.request_id
        self.on_change()
        try:
            async for event in self.engine.stream(request):
                match event:
                    case Routed():
                        self.begun = True
                        sink.routed(event.routing)
                        self.on_change()
                    case Token():
                        said.append((event.text, dict(event.openness)))
                        sink.token(event)
                    case Reply():
                        answer = Answer.of(event, said)
                    case Log():
                        self.on_log(event)
        finally:
            self._replying, self.begun = "", False
            self.on_change()
        return answer

    def _next_job(self) -> None:
        self._job = asyncio.create_task(self._work(self._jobs.popleft()), name="reply")
        self._job.add_done_callback(self._job_done)  # a task that is cancelled before it begins runs no code

    async def _work(self, job: Job) -> None:
        try:
            await job()
        except Exception as error:
            self.on_failure(error)

    def _job_done(self, job: "asyncio.Task[None]") -> None:
        self._job = None
        if self._jobs and not self._closing:
            self._next_job()
        self.on_change()
