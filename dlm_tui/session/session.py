"""One user's work with one document, whatever shows it: conversation, routing, engine, runs, document."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

from dlm_core.client import EngineClient
from dlm_core.errors import DlmError, HostError
from dlm_core.events import Event, Log, Place, Reply, RunEnded, Why
from dlm_core.requests import Generate, Message, RoutingChoice, Train
from dlm_core.safetext import visible_line, whole
from dlm_core.store.asked import Verdict
from dlm_tui.session import mishaps
from dlm_tui.session.chat_history import ChatHistory
from dlm_tui.session.commands import parse_gate
from dlm_tui.session.conversation import Answer, Conversation
from dlm_tui.session.corrections import Correction, Corrections
from dlm_tui.session.document_state import DocumentState, Warned
from dlm_tui.session.document_watch import DocumentWatch
from dlm_tui.session.engine_session import EngineSession
from dlm_tui.session.file_watch import Stamp, stamp_of
from dlm_tui.session.front import Asked, Front
from dlm_tui.session.live_routing import REST_S, LiveRouting, choice_of
from dlm_tui.session.question_log import QuestionLog, is_the_documents, says_the_same
from dlm_tui.session.replies import Replies
from dlm_tui.session.runs import Runs
from dlm_tui.session.shown import Failed, Told

ALONE_TOKENS = 40
"""So much is shown of what the weights would have said without the document."""


class Session:
    """What every front end does, once. A front shows it, and hands lines and keys on to it.

    Args:
        document: what is known of the document before it is looked at.
        watch: train whenever the document is saved.
        route_delay: seconds without a key before the line that is typed is routed.
    """

    def __init__(
        self,
        path: Path,
        client: EngineClient,
        conversation: Conversation,
        document: DocumentState,
        *,
        watch: bool = False,
        route_delay: float = REST_S,
    ) -> None:
        self.path = path
        self.watch = watch
        self.conversation = conversation
        self.document = DocumentWatch(
            state=document, on_change=self._changed, on_saved=self._on_saved, on_committed=self._on_committed
        )
        self.engine = EngineSession(
            client, path, on_log=self._on_log, on_state=self._on_state, on_trouble=self._on_trouble
        )
        self.live = LiveRouting(self.engine, self._changed, route_delay)
        self.runs = Runs(
            engine=self.engine,
            on_event=self._on_run_event,
            on_waiting=lambda: self.tell("a run is under way; this one follows it"),
            on_change=self._changed,
        )
        self.replies = Replies(
            engine=self.engine,
            conversation=conversation,
            front=lambda: self.front,
            on_log=self._on_log,
            on_answer=self._on_answer,
            on_kept=self.keep,
            on_change=self._changed,
            on_failure=self.fail,
        )
        self.corrections = Corrections(
            spawn=self.spawn,
            idle=self.runs.idle,
            train=lambda: self._train(Train(request_id=""), save=False),
            learned=self._on_learned,
            lost=self._on_lost,
        )
        self.asking = asyncio.Lock()
        """Held while the user is asked something: one thing at a time."""
        self.replied_at: Stamp = None
        """The document's file as it stood at the last reply: the lines that are cited are those of then."""
        self.questions = QuestionLog(lambda sentence: self.tell(sentence, warning=True))
        """What the document was asked, where that is kept."""
        self.history = ChatHistory(lambda sentence: self.tell(sentence, warning=True))
        self.version = ""
        """The version that answers, as far as it is known."""
        self._front: Front | None = None
        self._line = ""
        self._logged: list[Warned] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # Where it is shown

    def attach(self, front: Front) -> None:
        """The front that everything is shown in from now on."""
        self._front = front

    @property
    def front(self) -> Front:
        assert self._front is not None, "attach comes first"
        return self._front

    @property
    def adapters(self) -> tuple[str, ...]:
        """The document's adapters, as it stands on disk or else as the engine has it."""
        return self.document.state.adapters or (self.engine.ready.adapters if self.engine.ready else ())

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """The warnings that stand, each once."""
        standing = self.document.state.warnings
        seen, codes = {w.message for w in standing}, {w.code for w in standing}
        fresh = [w for w in self._logged if w.message not in seen and w.code not in codes]
        return (*standing, *fresh)

    def tell(self, *sentences: str, warning: bool = False) -> None:
        """Say something to the user."""
        self.front.show(Told(sentences, warning))

    def fail(self, error: Exception, *, of_run: bool = False) -> None:
        """Say what did not work; an error that nobody foresaw is one sentence, and its traceback in a log."""
        self.front.show(Failed(error if isinstance(error, DlmError) else mishaps.unforeseen(error), of_run))

    # Start and end

    async def start(self) -> None:
        """Start the engine, and begin to watch the document."""
        self.spawn(self.document.follow())
        await self.engine.start()

    async def close(self) -> None:
        """Stop what goes on, let the engine save and leave."""
        self.live.cancel()
        notes = [task for task in self._tasks if task.get_name() == "note"]
        await asyncio.gather(*notes, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self.replies.close(), *self._tasks, return_exceptions=True)
        await self.history.flush()
        await self.engine.close()

    async def idle(self, *, runs: bool = False) -> None:
        """Wait until every question is answered and every command carried out; with `runs`, every run too."""
        names = ("command", "note", "run", "check") if runs else ("command", "note")
        while True:
            if busy := [task for task in self._tasks if task.get_name() in names]:
                await asyncio.wait(busy)
            elif self.replies.busy:
                await self.replies.idle()
            else:
                return

    # What the user does

    def typed(self, line: str) -> None:
        """The line that is being typed is now this one."""
        self._line = line = whole(line)
        text = line.strip()
        routable = bool(text) and (not text.startswith("/") or text.startswith("//"))
        messages = self.conversation.messages(text) if routable else None
        self.live.want(messages, self.conversation.choice, self.adapters)
        self._changed()

    def toggle_gate(self) -> None:
        """Switch between `auto` and `off`."""
        self.choose(parse_gate("", self.conversation.choice))

    def choose(self, choice: RoutingChoice) -> None:
        """Route by `choice` from now on."""
        self.conversation.choice = choice
        self.choice_changed()

    def choice_changed(self) -> None:
        """The conversation's routing is another now: keep it, and show it for the line being typed."""
        self.keep()
        self.typed(self._line)

    def interrupt_reply(self) -> bool:
        """Stop the reply under way, or withdraw what waits for its turn. False where there is neither."""
        withdrawn = self.replies.interrupt()
        if withdrawn:
            self.tell("what waited for its turn is withdrawn")
        return withdrawn is not None

    def interrupt_run(self) -> bool:
        """Stop the run under way. False where there is none."""
        if not self.runs.under_way:
            return False
        self.tell("stopping at the next step")
        self.spawn(self.runs.stop())
        return True

    def train(self, request: Train, *, save: bool = True) -> None:
        """Train the document, beside everything else; `save`: what is being edited is written first."""
        self.spawn(self._train(request, save), "run")

    async def _train(self, request: Train, save: bool) -> RunEnded | None:
        if save and not await self.front.save_document():
            return None
        self._logged.clear()
        before = self.version
        ended = await self.runs.train(request)
        state = await self.document.look_again()
        if ended is not None and ended.status == "done":
            self.version = f"g{state.generation}" if state.generation else _newest(ended)
            self.engine.committed(ended.versions, self.version)
            if self.questions.keeps and self.version != before:
                self.spawn(self._check_what_was_right(), "check")
        self.typed(self._line)
        return ended

    async def _check_what_was_right(self) -> None:
        """Ask again what was answered right before a run, and say what is not any more."""
        await asyncio.sleep(0)  # what was taught is asked first
        if lost := await self.questions.lost(self._aside):
            listed = ", ".join(f"“{visible_line(entry.question)}”" for entry in lost[:3])
            is_, more = ("is", "") if len(lost) == 1 else ("are", ", …" if len(lost) > 3 else "")
            self.tell(
                f"{len(lost)} of what was answered right {is_} not any more: {listed}{more}",
                "/rollback goes back to the run before",
                warning=True,
            )

    async def _aside(self, messages: tuple[Message, ...]) -> str | None:
        """The reply to some messages, shown to nobody; None where something else has come up."""
        await self.replies.idle()
        if self.runs.under_way or self.engine.state != "ready":
            return None
        request = Generate(request_id=self.engine.new_id(), messages=messages)
        reply: str | None = None
        async for event in self.engine.stream(request):
            if isinstance(event, Reply):
                reply = event.reply
        return reply

    async def explain(self, asked: tuple[Message, ...], answer: Answer) -> Why:
        """What stands behind a reply, under the routing that it had, and where the document decided tokens of
        it, what the weights alone would have said. Raises DlmError as the engine does.
        """
        alone = ALONE_TOKENS if answer.overruled else 0
        return await self.engine.explain(asked, choice_of(answer.routing), alone=alone)

    async def places(self, asked: tuple[Message, ...], answer: Answer) -> tuple[Place, ...]:
        """The sections that fit a question, best first. Raises DlmError as the engine does."""
        return (await self.engine.explain(asked, choice_of(answer.routing))).candidates

    def keep(self) -> None:
        """The conversation is another: keep it, where a history is kept."""
        self.history.keep(self.conversation)

    def spawn(self, work: Awaitable[object], name: str = "aside") -> None:
        """Let something go on beside the rest; what goes wrong in it is shown."""
        task = asyncio.create_task(self._guarded(work, of_run=name == "run"), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # News

    def _on_saved(self) -> None:
        now = self.document.state
        self.front.document_changed()
        if now.errors or now.stamp is None:
            return
        if self.engine.state == "refused":
            self.engine.reopen()
        if self.watch and not self.corrections.under_way and (now.untrained or now.changes.get("gone")):
            self.train(Train(request_id=""))

    def _on_committed(self) -> None:
        if not self.runs.under_way and self.engine.state == "ready":
            self.tell("trained by another process; the next reply comes from its version")
            self.engine.reopen()

    def _on_run_event(self, event: Event) -> None:
        if isinstance(event, Log):
            self._on_log(event)
        else:
            self.front.run_event(event)

    def _on_log(self, event: Log) -> None:
        if event.level == "warning":
            self._logged.append(Warned(event.message, event.hint, event.code))
        self.front.run_event(event)
        self._changed()

    def _on_answer(self, asked: Asked, answer: Answer) -> None:
        self.version = answer.version
        self.replied_at = stamp_of(self.path)
        if asked.taught and not says_the_same(answer.text, asked.taught):
            self.tell("that is not yet what was taught: another wording of it helps", warning=True)
        if self.questions.keeps and is_the_documents(answer):
            verdict: Verdict = "taught" if asked.taught else ""
            self.spawn(self.questions.note(asked.messages, answer.text, verdict, asked.taught), "note")

    def _on_learned(self, correction: Correction) -> None:
        if self.front.asks_again:
            asked = Asked(correction.messages, correction.choice, correction.answer, correction.expected)
            self.replies.ask_in_place(asked)

    def _on_lost(self, count: int) -> None:
        what = "a correction is" if count == 1 else f"{count} corrections are"
        self.tell(f"{what} in the document, but not learned: /train", warning=True)

    def _on_state(self) -> None:
        if self.engine.state == "ready" and self.engine.ready is not None:
            self.version = self.engine.ready.version
            self.typed(self._line)
        self._changed()

    def _on_trouble(self, error: DlmError) -> None:
        if self._front is not None and not (isinstance(error, HostError) and self.replies.asked):
            self.fail(error, of_run=True)

    def _changed(self) -> None:
        if self._front is not None:
            self._front.changed()

    async def _guarded(self, work: Awaitable[object], *, of_run: bool) -> None:
        try:
            await work
        except Exception as error:
            self.fail(error, of_run=of_run)


def _newest(ended: RunEnded) -> str:
    return max(ended.versions.values(), default="")
