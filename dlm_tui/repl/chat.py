"""The chat itself: what a line does, replies one after another, routing as it is typed, the document."""

import asyncio
import os
import shlex
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path

from dlm_core.client import EngineClient
from dlm_core.errors import DlmError, HostError, UsageError
from dlm_core.events import AnyEvent, Log, Reply, Routed, Token, Why
from dlm_core.requests import Explain, Generate, Message, RoutingChoice, Train
from dlm_core.safetext import visible
from dlm_tui.cli.wording import lines
from dlm_tui.commands import Invocation, parse_again, parse_train, read_line
from dlm_tui.conversation import Answer, Conversation, apply, describe
from dlm_tui.repl import reports
from dlm_tui.repl.front import Front
from dlm_tui.repl.link import EngineLink
from dlm_tui.repl.live import LiveRouting
from dlm_tui.repl.reports import Look
from dlm_tui.repl.runs import Runs
from dlm_tui.repl.situation import Situation, Warned, look, stamp_of
from dlm_tui.repl.text import NOTE, STRONG, WARNING, Line, failure, sentences
from dlm_tui.repl.toolbar import Standing
from dlm_tui.signs import AdapterSign, adapter_signs

Job = Callable[[], Awaitable[None]]

KEYS = (
    ("Enter", "Send the line. Alt-Enter makes a new line in it."),
    ("Ctrl-G, F7", "Switch the gate between auto and off."),
    ("Ctrl-C", "Stop the reply; clear the line; stop the training."),
    ("Ctrl-D", "Leave."),
    ("Ctrl-R", "Search the questions of earlier sessions."),
    ("Ctrl-X Ctrl-E", "Write the line in $EDITOR."),
)
_POLL_S = 0.7


class Chat:
    """One conversation about one document. A front shows it and calls `submit`, `typed` and `interrupt`."""

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
        self.situation = situation
        self.watch = watch
        self.link = EngineLink(
            client, path, on_event=self._on_event, on_state=self._on_state, on_trouble=self._on_trouble
        )
        self.live = LiveRouting(self.link, self._changed)
        self.runs = Runs(self.link, tell=self._tell, on_log=self._on_event, on_change=self._changed)
        self._front: Front | None = None
        self._line = ""
        self._logged: list[Warned] = []
        self._jobs: deque[Job] = deque()
        self._job: asyncio.Task[None] | None = None
        self._replying = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._commands: Mapping[str, Callable[[str], Awaitable[None]]] = {
            "again": self._again,
            "base": self._base,
            "why": self._why,
            "show": self._show_document,
            "model": self._model,
            "warnings": self._warnings,
            "edit": self._edit,
            "train": self._train,
            "stop": self._stop,
            "history": self._history,
            "save": self._save,
            "load": self._load,
            "copy": self._copy,
            "restart": self._restart,
            "help": self._help,
            "exit": self._exit,
        }

    @property
    def adapters(self) -> tuple[str, ...]:
        """The document's adapters, as it stands on disk or else as the engine has it."""
        return self.situation.adapters or (self.link.ready.adapters if self.link.ready else ())

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
        seen = {w.message for w in self.situation.warnings}
        known_codes = {w.code for w in self.situation.warnings}
        fresh = [w for w in self._logged if w.message not in seen and w.code not in known_codes]
        return [*self.situation.warnings, *fresh]

    def standing(self) -> Standing:
        """What the toolbar shows."""
        ready = self.link.ready
        versions = self.runs.versions.values()
        return Standing(
            state=self.link.state,
            detail=self.link.detail,
            base=ready.base if ready else "",
            version=max(versions, default="") or (ready.version if ready else ""),
            choice=self.conversation.choice,
            routing=self.live.routing,
            stale=self.live.stale,
            step=self.runs.step,
            training=self.runs.under_way,
            replying=bool(self._replying),
            waiting=len(self._jobs) + (self._job is not None and not self._replying),
            warnings=len(self.warnings),
            untrained=self.situation.untrained if self.situation.generation else 0,
            document_errors=len(self.situation.errors),
        )

    def attach(self, front: Front) -> None:
        """The front that everything is shown in from now on."""
        self._front = front

    async def start(self) -> None:
        """Start the engine behind the prompt, and begin to watch the document."""
        self._spawn(self._follow_document())
        await self.link.start()

    async def close(self) -> None:
        """Stop what goes on, let the engine save and leave."""
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
            self._enqueue(lambda: self._ask(read))
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

    def toggle_gate(self) -> None:
        """Switch between `auto` and `off`."""
        self.conversation.toggle_gate()
        self.typed(self._line)
        self._tell([describe(self.conversation.choice)])

    def interrupt_reply(self) -> bool:
        """Stop the reply under way, or withdraw what waits for its turn. False where there is neither."""
        if self._job is None:
            return False
        self._jobs.clear()
        if self._replying:
            self._spawn(self.link.stop(self._replying))
        else:
            self._job.cancel()
        return True

    def interrupt_run(self) -> bool:
        """Stop the training under way. False where there is none."""
        if not self.runs.under_way:
            return False
        self._spawn(self._stop_runs())
        return True

    async def idle(self) -> None:
        """Wait until every question has been answered and every command carried out."""
        while busy := [
            *([self._job] if self._job else []),
            *(t for t in self._tasks if t.get_name() == "command"),
        ]:
            await asyncio.wait(busy)

    # Questions and replies

    async def _ask(self, question: str) -> None:
        self._echo(question)
        answer = await self._answered(self.conversation.messages(question), self.conversation.choice)
        if answer is not None:
            self.conversation.answered(question, answer)
            self._report(answer)

    async def _again(self, argument: str) -> None:
        choice = parse_again(argument, self.adapters)
        self.conversation.messages_of_last()
        self._enqueue(lambda: self._answer_again(choice or self.conversation.choice))

    async def _base(self, argument: str) -> None:
        bare = RoutingChoice(mode="base")
        if argument:
            self._enqueue(lambda: self._ask_base(argument))
        else:
            self.conversation.messages_of_last()
            self._enqueue(lambda: self._answer_again(bare))

    async def _ask_base(self, question: str) -> None:
        self._echo(question)
        bare = RoutingChoice(mode="base")
        answer = await self._answered(self.conversation.messages(question), bare)
        if answer is not None:
            self.conversation.answered(question, answer)
            self._report(answer)

    async def _answer_again(self, choice: RoutingChoice) -> None:
        last = self.conversation.last
        if last is None:
            return
        self._echo(last.question)
        self.front.show([[(STRONG, "before")]])
        self.front.say(visible(last.answer.text))
        self.front.end_reply()
        self.front.show([*self._reply_report(last.answer), [(STRONG, f"now, {describe(choice)}")]])
        answer = await self._answered(self.conversation.messages_of_last(), choice)
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
                    case Routed() | Log():
                        self._on_event(event)
        finally:
            self._replying = ""
            self.front.end_reply()
            self._changed()
        if reply is None:
            self._tell(["stopped before it began"], WARNING)
            return None
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
            self._tell([said])
            self.typed(self._line)
            return
        self._spawn(self._commands[invocation.name](invocation.argument), "command")

    async def _why(self, argument: str) -> None:
        del argument
        messages = self.conversation.messages_of_last()
        last = self.conversation.last
        assert last is not None
        await self.link.until_ready()
        request = Explain(request_id=self.link.new_id(), messages=messages)
        async for event in self.link.stream(request):
            if isinstance(event, Why):
                answer = last.answer
                self.front.show(reports.why_report(answer, answer.routing, event.neighbours, self.look))

    async def _show_document(self, argument: str) -> None:
        del argument
        await self._look_again()
        now = self.situation
        if now.errors:
            self.front.show(_diagnostics(now, self.look))
        else:
            self.front.show(reports.show_report(now, self.link.ready, self.conversation, self.look))

    async def _model(self, argument: str) -> None:
        del argument
        self.front.show(reports.model_report(self.link.ready, self.look))

    async def _warnings(self, argument: str) -> None:
        del argument
        self.front.show(reports.warnings_report(self.warnings, self.look))

    async def _history(self, argument: str) -> None:
        del argument
        self.front.show(reports.history_report(self.conversation, self.look))

    async def _help(self, argument: str) -> None:
        self.front.show(reports.help_report(argument, self.look, KEYS))

    async def _save(self, argument: str) -> None:
        path = _file(argument, "/save")
        self.conversation.save(path)
        self._tell([f"saved as {path}"])

    async def _load(self, argument: str) -> None:
        path = _file(argument, "/load")
        self.conversation.load(path)
        count = len(self.conversation.turns)
        self._tell(
            [f"{count} turn{'' if count == 1 else 's'} from {path}; {describe(self.conversation.choice)}"]
        )
        self.typed(self._line)

    async def _copy(self, argument: str) -> None:
        del argument
        last = self.conversation.last
        if last is None:
            raise UsageError("there is no reply to copy yet", "ask something first")
        self.front.copy(last.answer.text)
        self._tell(["sent to the terminal's clipboard"])

    async def _restart(self, argument: str) -> None:
        del argument
        self._tell(["starting the engine again"])
        await self.link.restart()

    async def _exit(self, argument: str) -> None:
        del argument
        self.front.leave()

    async def _stop(self, argument: str) -> None:
        del argument
        stopped = self.interrupt_reply()
        if not await self.runs.stop() and not stopped:
            self._tell(["nothing is under way"])

    async def _stop_runs(self) -> None:
        self._tell(["stopping at the next step"])
        await self.runs.stop()

    async def _edit(self, argument: str) -> None:
        del argument
        command = [*editor_command(os.environ), str(self.path)]
        try:
            code = await self.front.run_editor(command)
        except OSError as error:
            raise UsageError(
                f"{command[0]} cannot be run: {error.strerror}", "set EDITOR to an editor"
            ) from error
        if code != 0:
            self._tell([f"{command[0]} ended with code {code}"], WARNING)
        await self._look_again()
        if self.situation.errors:
            self.front.show(_diagnostics(self.situation, self.look))
        elif self.situation.untrained:
            self._tell([f"{self.situation.untrained} sections are new or changed: /train"])

    async def _train(self, argument: str) -> None:
        request = parse_train(argument)
        self._spawn(self._run(request))

    async def _run(self, request: Train) -> None:
        self._logged.clear()
        await self.runs.train(request)
        await self._look_again()
        self.typed(self._line)

    # The document on disk

    async def _follow_document(self) -> None:
        await self._look_again()
        seen = self.situation.stamp
        while True:
            await asyncio.sleep(_POLL_S)
            stamp = stamp_of(self.path)
            if stamp != seen:
                seen = stamp  # an editor may still be writing: look once the file has rested
                continue
            if stamp == self.situation.stamp:
                continue
            await self._look_again()
            if self.situation.errors or self.situation.stamp is None:
                continue
            if self.link.state == "refused":
                self.link.reopen()
            if self.watch and (self.situation.untrained or self.situation.changes.get("gone")):
                self._spawn(self._run(Train(request_id="")))

    async def _look_again(self) -> None:
        found = await asyncio.to_thread(look, self.path)
        if not found.adapters and self.situation.adapters:
            found = _with_adapters(found, self.situation)
        self.situation = found
        self._changed()

    # News

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, Log):
            if event.level == "warning":
                self._logged.append(Warned(event.message, event.hint, event.code))
            if event.code != "cold_start":
                self._tell(lines(event), WARNING if event.level != "info" else NOTE)
        self._changed()

    def _on_state(self) -> None:
        if self.link.state == "ready":
            self.typed(self._line)
        self._changed()

    def _on_trouble(self, error: DlmError) -> None:
        if self._front is not None and not (isinstance(error, HostError) and self._replying):
            self._show_failure(error)

    def _changed(self) -> None:
        if self._front is not None:
            self._front.changed()

    def _tell(self, texts: Sequence[str], style: str = NOTE) -> None:
        self.front.show(sentences(texts, self.look.room, style))

    def _show_failure(self, error: DlmError) -> None:
        self.front.show(failure(error, self.look.room))

    # Work in order

    def _enqueue(self, job: Job) -> None:
        self._jobs.append(job)
        if self._job is None:
            self._next_job()
        self._changed()

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

    def _spawn(
        self, work: Coroutine[object, object, object] | Awaitable[object], name: str = "aside"
    ) -> None:
        task = asyncio.create_task(self._guarded(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Awaitable[object]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            if asyncio.current_task() is self._job:
                self._tell(["stopped before it began"], WARNING)
            else:
                raise
        except DlmError as error:
            self._show_failure(error)


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The person's editor as words, never through a shell. Raises UsageError where there is none."""
    chosen = environment.get("VISUAL") or environment.get("EDITOR")
    if chosen:
        try:
            words = shlex.split(chosen)
        except ValueError:
            words = []
        if words:
            return words
        raise UsageError(f"EDITOR is `{chosen}`, which cannot be read", "set it to an editor, such as nano")
    found = next((path for name in ("nano", "vim", "vi") if (path := shutil.which(name))), None)
    if found is None:
        raise UsageError("there is no editor", "set EDITOR to one, such as nano")
    return [found]


def _file(argument: str, command: str) -> Path:
    if not argument:
        raise UsageError(f"{command} needs a file name", f"{command} talk.md")
    try:
        return Path(argument).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{argument} names no file: {error}") from error


def _diagnostics(now: Situation, look: Look) -> list[Line]:
    texts = [f"line {d.span.line}: {d.message}" + (f" ({d.hint})" if d.hint else "") for d in now.errors]
    return sentences([f"{now.path} cannot be used as it stands:", *texts], look.room, WARNING)


def _with_adapters(found: Situation, before: Situation) -> Situation:
    from dataclasses import replace

    return replace(found, adapters=before.adapters, dlm_id=before.dlm_id, generation=before.generation)
