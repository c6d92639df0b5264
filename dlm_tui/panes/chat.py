"""The chat pane: questions and replies, the routing of the next one as it is typed, slash commands."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import msgspec
from rich.style import Style
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.client import EngineClient
from dlm_core.errors import DlmError, UsageError
from dlm_core.events import Reply, Routed, Token
from dlm_core.requests import Generate, Route, RoutingChoice
from dlm_core.requests import Message as Said
from dlm_tui.actions import bindings
from dlm_tui.panes.chat_words import choice_of, help_text, rivals, welcome
from dlm_tui.panes.pane import Pane
from dlm_tui.session.chat_history import ChatHistory
from dlm_tui.session.commands import Invocation, find, parse_again, parse_train, read_line, shown_params
from dlm_tui.session.conversation import Answer, Conversation, apply, describe
from dlm_tui.widgets.chat_input import ChatInput
from dlm_tui.widgets.dialogs import ChoiceScreen
from dlm_tui.widgets.reply_view import Comparison, NoteView, QuestionView, ReplyView
from dlm_tui.widgets.routing_bars import RoutingBars, mode_line

COMPARE_SEED = 7
SHOWN_TURNS = 40
"""Turns of an earlier session that are brought back on screen; the model sees all of them."""


class ChatPane(Pane):
    """One conversation with the document. `answer` runs one reply at a time; Escape ends it."""

    pane_name = "chat"
    title = "Chat"
    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")

    class Command(Message):
        """A slash command that is for the workbench as a whole."""

        def __init__(self, invocation: Invocation, request: msgspec.Struct | None = None) -> None:
            super().__init__()
            self.invocation, self.request = invocation, request

    class BusyChanged(Message):
        """A reply began or ended."""

    class ChoiceMade(Message):
        """The routing of the next reply is another."""

        def __init__(self, choice: RoutingChoice) -> None:
            super().__init__()
            self.choice = choice

    def __init__(
        self, client: Callable[[], EngineClient | None], *, route_delay: float = 0.12, blink: bool = True
    ) -> None:
        super().__init__()
        self.conversation = Conversation()
        self.busy = False
        self.ready = False
        self._not_ready = "the base is loading"
        self._client = client
        self._route_delay, self._blink = route_delay, blink
        self._route_timer: Timer | None = None
        self._route_id = ""
        self._reply_id = ""
        self.history = ChatHistory(self._history_trouble)
        self._waiting: str | None = None

    def compose(self) -> ComposeResult:
        yield self.heading
        with VerticalScroll(id="talk"):
            yield Static("", id="talk-empty")
        with Vertical(id="next"):
            yield Static("", id="next-mode")
            yield RoutingBars(id="next-bars")
        yield ChatInput(lambda: self.looks.names)

    @property
    def default_focus(self) -> Widget:
        return self.query_one(ChatInput)

    @property
    def _talk(self) -> VerticalScroll:
        return self.query_one("#talk", VerticalScroll)

    def on_mount(self) -> None:
        self._talk.can_focus = False
        self.query_one(ChatInput).cursor_blink = self._blink
        self._talk.anchor()
        self._show_mode()
        self._show_empty()

    # The document and the engine

    async def open_history(self, path: Path) -> None:
        """Bring back what was said about this document, and keep it there from now on."""
        try:
            await self.history.open(path, self.conversation)
        except DlmError as error:
            await self._note(error.message, error=True)
        await self._show_turns()
        self.query_one(ChatInput).remember([turn.question for turn in self.conversation.turns])
        self._choice_changed()

    async def _show_turns(self) -> None:
        # Not waited for: a worker that is cancelled while it waits takes the tasks of what it removes along,
        # and the app, which waits for them too, would end without a word.
        self._talk.remove_children("QuestionView, ReplyView, NoteView, Comparison")
        turns = self.conversation.turns
        shown: list[Widget] = []
        if len(turns) > SHOWN_TURNS:
            shown.append(NoteView(f"{len(turns) - SHOWN_TURNS} earlier turns are kept but not shown"))
        for turn in turns[-SHOWN_TURNS:]:
            shown += [QuestionView(turn.question), ReplyView((Said("user", turn.question),), turn.answer)]
        if shown:
            await self._talk.mount(*shown)
        self._show_empty()

    def engine_ready(self) -> None:
        """The engine takes questions; one that was waiting is asked now."""
        self.ready = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.answer(waiting)
        self._show_mode()

    def engine_starting(self) -> None:
        """The engine takes questions soon."""
        self._not_ready = "the base is loading"
        self._show_mode()

    def engine_gone(self) -> None:
        """The engine does not answer any more."""
        self.ready, self._not_ready = False, "no engine"
        self._show_mode()

    def adapters_changed(self) -> None:
        for view in self.query(ReplyView):
            view.redraw()
        self.query_one(RoutingBars).redraw()
        self._show_mode()
        self._show_empty()

    # Asking

    @on(ChatInput.Submitted)
    async def _submitted(self, message: ChatInput.Submitted) -> None:
        self.query_one(RoutingBars).show_routing(None)
        try:
            read = read_line(message.text)
        except UsageError as error:
            await self._note(str(error), error=True)
            return
        if isinstance(read, Invocation):
            await self._command(read)
        elif self.busy:
            self.query_one(ChatInput).load_text(message.text)
            self.notify("A reply is under way: Escape stops it.")
        elif not self.ready:
            self._waiting = read
            await self._note("The base is still loading; the question is asked as soon as it is there.")
        else:
            self.answer(read)

    def answer(self, question: str) -> None:
        """Ask `question` as the next turn."""
        asked = self.conversation.messages(question)

        def keep(answer: Answer) -> None:
            self.conversation.answered(question, answer)

        self._run_reply(asked, self.conversation.choice, keep, question)

    @work(exclusive=True, group="reply", exit_on_error=False)
    async def _run_reply(
        self,
        asked: tuple[Said, ...],
        choice: RoutingChoice,
        keep: Callable[[Answer], None],
        question: str | None = None,
    ) -> None:
        view = ReplyView(asked)
        await self._talk.mount(*([QuestionView(question)] if question is not None else []), view)
        self._show_empty()
        self._talk.anchor()
        answer = await self._stream_into(view, asked, choice, self.conversation.sampling.seed)
        if answer is not None:
            keep(answer)
            self._save_history()

    async def _stream_into(
        self, view: ReplyView, asked: tuple[Said, ...], choice: RoutingChoice, seed: int | None
    ) -> Answer | None:
        client = self._client()
        if client is None:
            view.fail("the engine is not running")
            return None
        sampling = msgspec.structs.replace(self.conversation.sampling, seed=seed)
        request = Generate(request_id=client.new_id(), messages=asked, choice=choice, sampling=sampling)
        self._reply_id = request.request_id
        self._set_busy(True)
        answer: Answer | None = None
        try:
            async for event in client.stream(request):
                match event:
                    case Routed():
                        view.show_routing(event.routing)
                    case Token():
                        view.grow(event.text, event.openness)
                    case Reply():
                        answer = Answer.of(event, view.pieces)
                        view.finish(answer)
                    case _:
                        pass
        except DlmError as error:
            view.fail(str(error))
        finally:
            self._reply_id = ""
            self._set_busy(False)
        return answer

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        self.post_message(self.BusyChanged())
        self._show_mode()

    async def action_interrupt(self) -> None:
        """Stop the reply; what was said stays."""
        client = self._client()
        if client is not None and self._reply_id:
            await client.stop(self._reply_id)

    async def action_regenerate(self) -> None:
        """Answer the last question anew."""
        await self._again(None)

    async def _again(self, choice: RoutingChoice | None) -> None:
        if self.busy:
            self.notify("A reply is under way: Escape stops it.")
            return
        try:
            asked = self.conversation.messages_of_last()
        except UsageError as error:
            await self._note(str(error), error=True)
            return
        wanted = choice or self.conversation.choice
        await self._note(f"again, {describe(wanted)}")
        self._run_reply(asked, wanted, self.conversation.answered_again)

    def action_compare(self) -> None:
        """The last question under the routing of now and under another, side by side, same seed."""
        if self.busy or self.conversation.last is None:
            self.notify("Ask something first." if not self.busy else "A reply is under way: Escape stops it.")
            return

        def chosen(answer: str | None) -> None:
            if answer is not None:
                self._compare(choice_of(answer))

        here = describe(self.conversation.choice)
        self.app.push_screen(ChoiceScreen(f"Compare “{here}” with", rivals(self.looks)), chosen)

    @work(exclusive=True, group="reply", exit_on_error=False)
    async def _compare(self, other: RoutingChoice) -> None:
        asked = self.conversation.messages_of_last()
        seed = self.conversation.sampling.seed
        seed = COMPARE_SEED if seed is None else seed
        left, right = ReplyView(asked), ReplyView(asked)
        row = Comparison(left, right)
        await self._talk.mount(NoteView(f"compared, seed {seed}: {asked[-1].content}"), row)
        self._talk.anchor()
        await self._stream_into(left, asked, self.conversation.choice, seed)
        await self._stream_into(right, asked, other, seed)

    # The routing of the next reply

    @on(ChatInput.Changed)
    def _typed(self, message: ChatInput.Changed) -> None:
        if self._route_timer is not None:
            self._route_timer.stop()
        text = message.text_area.text.strip()
        if not text or text.startswith("/") or not self.ready:
            self.query_one(RoutingBars).show_routing(None)
            self._show_mode()
            return
        self._route_timer = self.set_timer(self._route_delay, self._route_line)

    @work(exclusive=True, group="route", exit_on_error=False)
    async def _route_line(self) -> None:
        client = self._client()
        text = self.query_one(ChatInput).text.strip()
        if client is None or not client.alive or not text:
            return
        asked = self.conversation.messages(text)
        request = Route(request_id=client.new_id(), messages=asked, choice=self.conversation.choice)
        with contextlib.suppress(DlmError):
            async for event in client.stream(request):
                if isinstance(event, Routed) and self.query_one(ChatInput).text.strip() == text:
                    self.query_one(RoutingBars).show_routing(event.routing)
                    self.query_one("#next-mode", Static).update(
                        Text(end="")
                        .append("next: ", style="dim")
                        .append_text(mode_line(event.routing, self.looks))
                    )

    def toggle_gate(self) -> None:
        """From auto to off; from anything else back to auto."""
        self.conversation.toggle_gate()
        self._choice_changed()

    def action_pin(self) -> None:
        """Pin the next adapter; after the last one, back to the gate."""
        names, choice = self.looks.names, self.conversation.choice
        index = names.index(choice.adapter) + 1 if choice.mode == "pin" and choice.adapter in names else 0
        if index < len(names):
            self.conversation.choice = RoutingChoice(mode="pin", adapter=names[index])
        else:
            self.conversation.choice = RoutingChoice()
        self._choice_changed()

    def action_mix(self) -> None:
        """Put a mix into the line, to be filled in."""
        names = self.looks.names
        share = f"{1 / len(names):.1f}" if names else "1"
        line = self.query_one(ChatInput)
        line.load_text("/mix " + ",".join(f"{name}:{share}" for name in names))
        line.move_cursor(line.document.end)
        line.focus()

    def _choice_changed(self) -> None:
        self.post_message(self.ChoiceMade(self.conversation.choice))
        self._show_mode()
        if self.query_one(ChatInput).text.strip():
            self._route_line()
        self._save_history()

    def _show_mode(self) -> None:
        if not self.is_attached:
            return
        muted = Style(color=self.looks.theme.spec.colors.secondary)
        text = Text(end="", no_wrap=True, overflow="ellipsis")
        text.append(describe(self.conversation.choice), style="bold")
        hint = "   F7 gate  Alt+N pin"
        if text.cell_len + len(hint) <= self.size.width - 2:
            text.append(hint, style=muted)
        self.query_one("#next-mode", Static).update(text)
        state = "" if self.ready else self._not_ready
        self.tell("replying, Escape stops" if self.busy else state)

    # Commands

    async def _command(self, invocation: Invocation) -> None:
        try:
            told = apply(invocation, self.conversation, self.looks.names)
            if told is not None:
                if invocation.name == "clear":
                    await self._show_turns()
                await self._note(told)
                self._choice_changed()
                return
            await self._carry_out(invocation)
        except DlmError as error:
            await self._note(str(error), error=True)

    async def _carry_out(self, invocation: Invocation) -> None:
        argument = invocation.argument
        match invocation.name:
            case "again":
                await self._again(parse_again(argument, self.looks.names))
            case "base" if argument:
                asked = (Said("user", argument),)
                self._run_reply(asked, RoutingChoice(mode="base"), lambda answer: None, argument)
            case "base":
                await self._again(RoutingChoice(mode="base"))
            case "train":
                self.post_message(self.Command(invocation, parse_train(argument)))
            case "why":
                views = list(self.query(ReplyView))
                if not views:
                    raise UsageError("nothing has been asked yet", "ask something first")
                views[-1].action_why()
            case "history":
                turns = self.conversation.turns
                lines = [f"{n}. {turn.question}" for n, turn in enumerate(turns, 1)]
                await self._note("\n".join(lines) or "nothing has been said yet")
            case "save":
                path = Path(argument).expanduser()
                self.conversation.save(path)
                await self._note(f"saved as {path}")
            case "load":
                self.conversation.load(Path(argument).expanduser())
                await self._show_turns()
                self._choice_changed()
            case "copy":
                self.action_copy_reply()
            case "params":
                await self._note(shown_params(self.conversation.sampling))
            case "help":
                await self._note(help_text(argument))
            case _:
                self.post_message(self.Command(invocation))

    async def say(self, text: str | Text, *, error: bool = False) -> None:
        """Say something in the chat that is no reply."""
        await self._note(text, error=error)

    async def _note(self, text: str | Text, *, error: bool = False) -> None:
        await self._talk.mount(NoteView(text, error=error))
        self._talk.anchor()
        self._show_empty()

    # The rest

    def action_copy_reply(self) -> None:
        """Put the last reply on the clipboard."""
        last = self.conversation.last
        if last is None:
            self.notify("There is no reply yet.")
            return
        self.app.copy_to_clipboard(last.answer.text)
        self.notify("The reply is on the clipboard.")

    def action_edit_last(self) -> None:
        """Take the last question back into the line."""
        last = self.conversation.last
        if last is None or self.busy:
            return
        self.conversation.turns.pop()
        self._save_history()
        line = self.query_one(ChatInput)
        line.load_text(last.question)
        line.move_cursor(line.document.end)
        line.focus()
        self.call_later(self._show_turns)

    def action_save_chat(self) -> None:
        """Write the chat beside the document."""
        self.post_message(self.Command(Invocation(find("save"))))

    async def action_clear(self) -> None:
        """Start a new conversation."""
        await self._command(Invocation(find("clear")))

    def action_newline(self) -> None:
        """A line break in the message."""
        self.query_one(ChatInput).insert("\n")

    def _show_empty(self) -> None:
        empty = self.query_one("#talk-empty", Static)
        has_talk = bool(self.query("QuestionView, ReplyView, NoteView"))
        empty.display = not has_talk
        if has_talk:
            return
        empty.update(welcome(self.looks))

    def _save_history(self) -> None:
        self.history.keep(self.conversation)

    def _history_trouble(self, sentence: str) -> None:
        self.notify(sentence, severity="warning", markup=False)
