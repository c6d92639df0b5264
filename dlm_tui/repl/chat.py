"""The chat itself: what a line does, replies one after another, routing as it is typed, the document."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from dlm_core.client import EngineClient
from dlm_core.errors import DlmError, HostError, UsageError
from dlm_core.events import AnyEvent, Log, Reply, Routed, Token
from dlm_core.requests import Generate, Message, RoutingChoice, Train
from dlm_core.safetext import visible
from dlm_tui.repl.errands import Errands
from dlm_tui.repl.front import Front
from dlm_tui.repl.toolbar import Standing
from dlm_tui.session import reports
from dlm_tui.session.commands import Invocation, read_line
from dlm_tui.session.conversation import Answer, Conversation, apply, describe
from dlm_tui.session.document_state import Situation, Warned
from dlm_tui.session.document_watch import FollowedDocument
from dlm_tui.session.engine_session import RESTART_HINT, EngineLink
from dlm_tui.session.live_routing import LiveRouting
from dlm_tui.session.reports import Look
from dlm_tui.session.runs import Runs
from dlm_tui.session.signs import AdapterSign, adapter_signs
from dlm_tui.session.text import NOTE, STRONG, WARNING, Line, failure, sentences
from dlm_tui.session.wording import lines

Job = Callable[[], Awaitable[None]]


class Chat:
    """One conversation about one document. A front shows it, and hands lines and keys on to it."""

    def __init__(
        self,
        path: Path,
        client: EngineClient,
        conversation: Conversation,
        situation: Situation,
        *,
        watch: bool,
    ) -> None:
        self.path = path
        self.conversation = conversation
        self.document = FollowedDocument(
            situation,
            on_change=self._changed,
            on_saved=self._on_saved,
            on_committed=self._on_committed,
        )
        self.watch = watch
        self.link = EngineLink(
            client, path, on_event=self._on_event, on_state=self._on_state, on_trouble=self._on_trouble
        )
        self.live = LiveRouting(self.link, self._changed)
        self.runs = Runs(self.link, tell=self.tell, on_log=self._on_event, on_change=self._changed)
        self._front: Front | None = None
        self._line = ""
        self._version = ""
        self._logged: list[Warned] = []
        self._jobs: deque[Job] = deque()
        self._job: asyncio.Task[None] | None = None
        self._replying = ""  # the request id, from when it is sent
        self._begun = False  # whether the engine has taken it up
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._errands = Errands(self)

    @property
    def adapters(self) -> tuple[str, ...]:
        """The document's adapters, as it stands on disk or else as the engine has it."""
        return self.document.situation.adapters or (self.link.ready.adapters if self.link.ready else ())

    def signs(self) -> dict[str, AdapterSign]:
        """The adapters' signs for this front."""
        return adapter_signs(self.adapters, unicode=self.front.unicode)

    @property
    def look(self) -> Look:
        """How reports are drawn here and now."""
        return Look(self.signs(), self.front.width, self.front.unicode)

    @property
    def front(self) -> Front:
        assert self._front is not None, "attach comes first"
        return self._front

    @property
    def warnings(self) -> list[Warned]:
        """The warnings that stand, each once."""
        seen = {w.message for w in self.document.situation.warnings}
        known_codes = {w.code for w in self.document.situation.warnings}
        fresh = [w for w in self._logged if w.message not in seen and w.code not in known_codes]
        return [*self.document.situation.warnings, *fresh]

    def standing(self) -> Standing:
        """What the toolbar shows."""
        ready = self.link.ready
        return Standing(
            state=self.link.state,
            detail=self.link.detail,
            base=ready.base if ready else "",
            version=self._version,
            choice=self.conversation.choice,
            routing=self.live.routing,
            stale=self.live.stale,
            step=self.runs.step,
            training=self.runs.under_way,
            replying=self._begun,
            waiting=len(self._jobs) + (self._job is not None and not self._begun),
            warnings=len(self.warnings),
            untrained=self.document.situation.untrained if self.document.situation.generation else 0,
            document_errors=len(self.document.situation.errors),
        )

    def attach(self, front: Front) -> None:
        """The front that everything is shown in from now on."""
        self._front = front

    async def start(self) -> None:
        """Start the engine behind the prompt, and begin to watch the document."""
        self.spawn(self.document.follow())
        await self.link.start()

    async def close(self) -> None:
        """Stop what goes on, let the engine save and leave."""
        self._closing = True
        self._jobs.clear()
        self.live.cancel()
        for task in (*self._tasks, *([self._job] if self._job else [])):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.link.close()

    def submit(self, line: str) -> None:
        """A line was sent: a question, or a command. Nothing is raised: what is wrong is shown."""
        if not line.strip():
            return
        try:
            read = read_line(line)
        except UsageError as error:
            self._show_failure(error)
            return
        if isinstance(read, str):
            self.ask(read)
        else:
            self._echo(line.strip(), NOTE)
            self._carry_out(read)

    def typed(self, line: str) -> None:
        """The line that is being typed is now this one."""
        self._line = line
        text = line.strip()
        routable = bool(text) and (not text.startswith("/") or text.startswith("//"))
        choice = self.conversation.choice
        needs_engine = routable and choice.mode == "auto"
        self.live.want(self.conversation.messages(text) if needs_engine else None, choice)
        self._changed()

    def routing_changed(self) -> None:
        """The conversation's routing is another now: show it for the line that is being typed."""
        self.typed(self._line)

    def ask(self, question: str, choice: RoutingChoice | None = None) -> None:
        """Put a question in line; `choice` is for it alone, None takes the conversation's at its turn."""
        self.in_turn(lambda: self._ask(question, choice))

    def answer_again(self, choice: RoutingChoice | None) -> None:
        """Put the last question in line once more; which it is, is seen at its turn."""
        self.in_turn(lambda: self._answer_again(choice or self.conversation.choice))

    def in_turn(self, job: Job) -> None:
        """Do something once every question before it has been answered; what goes wrong in it is shown."""
        self._jobs.append(job)
        if self._job is None:
            self._next_job()
        self._changed()

    async def run(self, request: Train) -> None:
        """Train, and take up what came of it."""
        self._logged.clear()
        ended = await self.runs.train(request)
        now = await self.document.look_again()
        if ended is not None and ended.status == "done":
            newest = max(ended.versions.values(), default="")
            self._version = f"g{now.generation}" if now.generation else newest
            self.link.committed(ended.versions, self._version)
        self.routing_changed()

    def toggle_gate(self) -> None:
        """Switch between `auto` and `off`."""
        self.conversation.toggle_gate()
        self.typed(self._line)
        self.tell([describe(self.conversation.choice)])

    def interrupt_reply(self) -> bool:
        """Stop the reply under way, or withdraw what waits for its turn. False where there is neither."""
        if self._job is None:
            return False
        if self._jobs:
            self.tell(["what waited for its turn is withdrawn"])
            self._jobs.clear()
        if self._replying:
            self.spawn(self.link.stop(self._replying))
        else:
            self._job.cancel()
        return True

    def interrupt_run(self) -> bool:
        """Stop the training under way. False where there is none."""
        if not self.runs.under_way:
            return False
        self.tell(["stopping at the next step"])
        self.spawn(self.runs.stop())
        return True

    def tell(self, texts: Sequence[str], style: str = NOTE) -> None:
        """Say something to the person, in sentences."""
        self.front.show(sentences(texts, self.look.room, style))

    def spawn(self, work: Awaitable[object], name: str = "aside") -> None:
        """Let something go on beside the rest; what goes wrong in it is shown."""
        task = asyncio.create_task(self._guarded(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait until every question has been answered and every command carried out."""
        while busy := [
            *([self._job] if self._job else []),
            *(t for t in self._tasks if t.get_name() == "command"),
        ]:
            await asyncio.wait(busy)

    # Questions and replies

    async def _ask(self, question: str, choice: RoutingChoice | None) -> None:
        self._echo(question)
        chosen = choice or self.conversation.choice
        answer = await self._answered(self.conversation.messages(question), chosen)
        if answer is not None:
            self.conversation.answered(question, answer)
            self._report(answer)

    async def _answer_again(self, choice: RoutingChoice) -> None:
        messages = self.conversation.messages_of_last()
        last = self.conversation.last
        assert last is not None
        self._echo(last.question)
        self.front.show([[(STRONG, "before")]])
        self.front.say(visible(last.answer.text))
        self.front.end_reply()
        self.front.show([*self._reply_report(last.answer), [(STRONG, f"now, {describe(choice)}")]])
        answer = await self._answered(messages, choice)
        if answer is not None:
            self.conversation.answered_again(answer)
            self._report(answer)

    async def _answered(self, messages: tuple[Message, ...], choice: RoutingChoice) -> Answer | None:
        await self.link.until_ready()
        request = Generate(
            request_id=self.link.new_id(),
            messages=messages,
            choice=choice,
            sampling=self.conversation.sampling,
        )
        reply: Reply | None = None
        self._replying = request.request_id
        self._changed()
        try:
            async for event in self.link.stream(request):
                match event:
                    case Token():
                        self.front.say(visible(event.text))
                    case Reply():
                        reply = event
                    case Routed():
                        self._begun = True
                        self._changed()
                    case Log():
                        self._on_event(event)
        finally:
            self._replying = ""
            self._begun = False
            self.front.end_reply()
            self._changed()
        if reply is None:
            self.tell(["stopped before it began"], WARNING)
            return None
        self._version = reply.version
        return Answer.of(reply)

    def _report(self, answer: Answer) -> None:
        self.front.show([*self._reply_report(answer), [("", "")]])

    def _reply_report(self, answer: Answer) -> list[Line]:
        ready = self.link.ready
        return reports.reply_report(answer, self.look, ready.context_length if ready else 0)

    def _echo(self, line: str, style: str = STRONG) -> None:
        if self.front.echoes:
            self.front.show(reports.shown_line(line, self.look, style))

    # Commands

    def _carry_out(self, invocation: Invocation) -> None:
        try:
            said = apply(invocation, self.conversation, self.adapters)
        except UsageError as error:
            self._show_failure(error)
            return
        if said is not None:
            self.tell([said])
            self.typed(self._line)
        else:
            self.spawn(self._errands.run(invocation), "command")

    # News

    def _on_saved(self) -> None:
        now = self.document.situation
        if now.errors or now.stamp is None:
            return
        if self.link.state == "refused":
            self.link.reopen()
        if self.watch and (now.untrained or now.changes.get("gone")):
            self.spawn(self.run(Train(request_id="")))

    def _on_committed(self) -> None:
        if not self.runs.under_way and self.link.state == "ready":
            self.tell(["trained by another process; the next reply comes from its version"])
            self.link.reopen()

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, Log):
            if event.level == "warning":
                self._logged.append(Warned(event.message, event.hint, event.code))
            if event.code != "cold_start":
                self.tell(lines(event), WARNING if event.level != "info" else NOTE)
        self._changed()

    def _on_state(self) -> None:
        if self.link.state == "ready" and self.link.ready is not None:
            self._version = self.link.ready.version
            self.routing_changed()
        self._changed()

    def _on_trouble(self, error: DlmError) -> None:
        if self._front is not None and not (isinstance(error, HostError) and self._replying):
            self._show_failure(error)

    def _changed(self) -> None:
        if self._front is not None:
            self._front.changed()

    def _show_failure(self, error: DlmError) -> None:
        gone = isinstance(error, HostError) and self.link.state == "dead"
        hint = RESTART_HINT if gone else error.hint
        self.front.show(failure(DlmError(error.message, hint), self.look.room))

    # Work in order

    def _next_job(self) -> None:
        self._job = asyncio.create_task(self._work(self._jobs.popleft()), name="reply")

    async def _work(self, job: Job) -> None:
        try:
            await self._guarded(job())
        finally:
            self._job = None
            if self._jobs:
                self._next_job()
            self._changed()

    async def _guarded(self, work: Awaitable[object]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            if asyncio.current_task() is self._job and not self._closing:
                self.tell(["stopped before it began"], WARNING)
            else:
                raise
        except DlmError as error:
            self._show_failure(error)
