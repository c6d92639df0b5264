"""Not a terminal: a prompt a line on stdin, replies alone on stdout, everything else on stderr."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from dlm_core.client import EngineClient
from dlm_core.errors import DlmError, UsageError
from dlm_core.events import BaseProgress, Log, Ready, Reply
from dlm_core.requests import Generate, Open, RoutingChoice
from dlm_core.safetext import visible
from dlm_tui.repl.plain import stdin_lines
from dlm_tui.session.commands import Invocation, parse_again, read_line
from dlm_tui.session.conversation import Answer, Conversation, apply, left_out
from dlm_tui.session.output import as_json, reply_document
from dlm_tui.session.wording import lines

INTERRUPTED = 130


class Pipe:
    """A conversation whose prompts come from a stream. Commands about routing and sampling work in it."""

    def __init__(
        self,
        path: str,
        client: EngineClient,
        conversation: Conversation,
        adapters: Sequence[str],
        *,
        json: bool,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self._path = path
        self._client = client
        self._conversation = conversation
        self._adapters = tuple(adapters)
        self._json = json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._load_s = 0.0
        self._replying = ""
        self._interrupted = False
        self._leaving = False
        self._failed = False

    async def run(self) -> int:
        """Answer every prompt; the exit code is 0, 1 if any of them failed, 130 after Ctrl-C."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGINT, self._interrupt, task)
        try:
            await self._client.start()
            await self._open()
            async for line in stdin_lines():
                await self._take(line)
                if self._interrupted or self._leaving:
                    break
        except asyncio.CancelledError:
            self._interrupted = True
        except DlmError as error:
            self._fail(error)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            await self._client.close()
        return INTERRUPTED if self._interrupted else int(self._failed)

    async def _open(self) -> None:
        async for event in self._client.stream(Open(request_id=self._client.new_id(), path=self._path)):
            match event:
                case Ready():
                    self._load_s = event.load_s
                case Log():
                    self._tell(lines(event))
                case BaseProgress():
                    pass

    async def _take(self, line: str) -> None:
        if not line.strip():
            return
        try:
            read = read_line(line)
            if isinstance(read, str):
                await self._ask(read)
            else:
                await self._carry_out(read)
        except DlmError as error:
            if not self._client.alive:
                raise
            self._fail(error)

    async def _ask(self, question: str, choice: RoutingChoice | None = None) -> None:
        chosen = choice or self._conversation.choice
        reply = await self._reply(
            Generate(
                request_id=self._client.new_id(),
                messages=self._conversation.messages(question),
                choice=chosen,
                sampling=self._conversation.sampling,
            )
        )
        self._conversation.answered(question, Answer.of(reply))

    async def _carry_out(self, invocation: Invocation) -> None:
        said = apply(invocation, self._conversation, self._adapters)
        if said is not None:
            self._tell([said])
            return
        match invocation.name:
            case "again":
                await self._again(parse_again(invocation.argument, self._adapters))
            case "base" if invocation.argument:
                await self._ask(invocation.argument, RoutingChoice(mode="base"))
            case "base":
                await self._again(RoutingChoice(mode="base"))
            case "exit":
                self._leaving = True
            case name:
                raise UsageError(f"/{name} needs a terminal", "without one, routing and sampling can be set")

    async def _again(self, choice: RoutingChoice | None) -> None:
        reply = await self._reply(
            Generate(
                request_id=self._client.new_id(),
                messages=self._conversation.messages_of_last(),
                choice=choice or self._conversation.choice,
                sampling=self._conversation.sampling,
            )
        )
        self._conversation.answered_again(Answer.of(reply))

    async def _reply(self, request: Generate) -> Reply:
        reply: Reply | None = None
        self._replying = request.request_id
        try:
            async for event in self._client.stream(request):
                if isinstance(event, Reply):
                    reply = event
        finally:
            self._replying = ""
        if reply is None:
            raise DlmError("the engine gave no reply")
        if self._json:
            self._out.write(as_json(reply_document(reply, self._load_s)) + "\n")
        else:
            self._out.write(visible(reply.reply) + "\n")
        self._out.flush()
        if reply.dropped_turns:
            self._tell([left_out(reply.dropped_turns)])
        return reply

    def _interrupt(self, task: "asyncio.Task[Any]") -> None:
        self._interrupted = True
        if self._replying:
            stopping = asyncio.create_task(self._client.stop(self._replying))
            stopping.add_done_callback(lambda _: None)
        else:
            task.cancel()

    def _fail(self, error: DlmError) -> None:
        self._failed = True
        self._tell([f"error: {error.message}", *([f"  hint: {error.hint}"] if error.hint else [])])

    def _tell(self, texts: Sequence[str]) -> None:
        for text in texts:
            self._err.write(visible(text) + "\n")
        self._err.flush()
