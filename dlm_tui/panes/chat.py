"""The chat pane: questions and replies, the routing of the next one as it is typed, slash commands."""

from functools import partialmethod
from typing import ClassVar

from msgspec import structs
from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from dlm_core.events import Routing
from dlm_core.requests import Message as Said
from dlm_core.requests import RoutingChoice
from dlm_tui.actions import bindings
from dlm_tui.panes.chat_words import rival, rivals, welcome
from dlm_tui.panes.pane import Pane
from dlm_tui.session import reports
from dlm_tui.session.commands import Invocation, find
from dlm_tui.session.conversation import Conversation, describe
from dlm_tui.session.dispatch import carry_out, submit
from dlm_tui.session.front import Asked
from dlm_tui.session.handlers.keeping import save_beside
from dlm_tui.session.handlers.teaching import choose_between
from dlm_tui.session.reports import Look
from dlm_tui.session.session import Session
from dlm_tui.session.shown import Entered, Failed, Shown
from dlm_tui.widgets.chat_input import ChatInput
from dlm_tui.widgets.dialogs import ChoiceScreen, ask
from dlm_tui.widgets.focus import give_keys
from dlm_tui.widgets.reply_view import Comparison, NoteView, QuestionView, ReplyView
from dlm_tui.widgets.routing_bars import RoutingBars, mode_line
from dlm_tui.widgets.styled_lines import adapter_signs, rich_text

SHOWN_TURNS = 40
"""Turns of an earlier session that are brought back on screen; the model sees all of them."""
_STATES = {
    "ready": "",
    "starting": "the base is loading",
    "loading": "the base is loading",
    "comparing": "methods are compared; replies wait",
}


class ChatPane(Pane):
    """One conversation with the document, as the session has it; Escape ends a reply."""

    pane_name = "chat"
    title = "Chat"
    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")

    def __init__(self, session: Session, *, blink: bool = True) -> None:
        super().__init__()
        self.session = session
        self._blink = blink
        self._standing: tuple[RoutingChoice, Routing | None, str] | None = None

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
    def conversation(self) -> Conversation:
        """The session's conversation."""
        return self.session.conversation

    @property
    def ready(self) -> bool:
        """Whether a question is answered at once."""
        return self.session.engine.state == "ready"

    @property
    def busy(self) -> bool:
        """Whether a reply is under way, or waits."""
        return self.session.replies.busy

    @property
    def _talk(self) -> VerticalScroll:
        return self.query_one("#talk", VerticalScroll)

    def on_mount(self) -> None:
        self._talk.can_focus = False
        self.query_one(ChatInput).cursor_blink = self._blink
        self._talk.anchor()
        self.show_standing()
        self._show_empty()

    # What the session has to show

    def show(self, shown: Shown) -> None:
        """Say something in the chat that is no reply."""
        if isinstance(shown, Entered) or not self.is_attached:
            return
        look = Look(adapter_signs(self.looks), max(22, self._talk.size.width - 3))
        text = rich_text(reports.report(shown, look), self.looks)
        self._mount(NoteView(text, error=isinstance(shown, Failed)))

    @property
    def last_reply(self) -> ReplyView | None:
        """The last reply on screen."""
        return self.query(ReplyView).last() if self.query(ReplyView) else None

    async def open_reply(self, asked: Asked) -> ReplyView:
        """Show a question; its reply goes into the view that is returned."""
        view = ReplyView(asked.messages)
        first: list[Widget] = [QuestionView(asked.question)]
        if asked.taught and asked.before is not None:
            first += [NoteView("before"), ReplyView(asked.messages, asked.before), NoteView("now, taught")]
        elif asked.before is not None:
            first = [NoteView(f"again, {describe(asked.choice)}")]
        await self._talk.mount(*first, view)
        self._talk.anchor()
        self._show_empty()
        return view

    def show_turns(self) -> None:
        """Show the conversation as it is, the last turns of it; what is said after that stands below."""
        # Not waited for: a task that is cancelled while it waits takes the tasks of what it removes along,
        # and the app, which waits for them too, would end without a word.
        self._talk.remove_children("QuestionView, ReplyView, NoteView, Comparison")
        turns = self.conversation.turns
        shown: list[Widget] = []
        if len(turns) > SHOWN_TURNS:
            shown.append(NoteView(f"{len(turns) - SHOWN_TURNS} earlier turns are kept but not shown"))
        for turn in turns[-SHOWN_TURNS:]:
            shown += [QuestionView(turn.question), ReplyView((Said("user", turn.question),), turn.answer)]
        self._talk.mount(*shown)
        self._welcome(not shown)

    def remember_questions(self) -> None:
        """The questions of the conversation can be called back into the line."""
        self.query_one(ChatInput).remember([turn.question for turn in self.conversation.turns])

    def show_standing(self) -> None:
        """Show what is on screen all the time: the routing of the next reply, and what is under way."""
        if not self.is_attached:
            return
        session = self.session
        waiting = max(0, session.replies.waiting - (not session.replies.begun))
        queued = f", {waiting} waiting" if waiting else ""
        note = _STATES.get(session.engine.state, "no engine")
        note = f"replying{queued}, Escape stops" if self.busy else note
        standing = (session.conversation.choice, session.live.routing, note)
        if standing == self._standing:
            return
        self._standing = standing
        self.tell(note)
        self.query_one(RoutingBars).show_routing(session.live.routing)
        self.query_one("#next-mode", Static).update(self._mode(session.live.routing))

    def _mode(self, routing: Routing | None) -> Text:
        if routing is not None:
            return Text(end="").append("next: ", style="dim").append_text(mode_line(routing, self.looks))
        text = Text(end="", no_wrap=True, overflow="ellipsis")
        text.append(describe(self.conversation.choice), style="bold")
        hint = "   F7 gate  Alt+N pin"
        if text.cell_len + len(hint) <= self.size.width - 2:
            text.append(hint, style=Style(color=self.looks.colors.secondary))
        return text

    def adapters_changed(self) -> None:
        for view in self.query(ReplyView):
            view.redraw()
        self.query_one(RoutingBars).redraw()
        self._standing = None
        self.show_standing()
        self._show_empty()

    def _mount(self, *widgets: Widget) -> None:
        self._talk.mount(*widgets)
        self._talk.anchor()
        self.call_later(self._show_empty)

    def _show_empty(self) -> None:
        self._welcome(not self.query("QuestionView, ReplyView, NoteView"))

    def _welcome(self, wanted: bool) -> None:
        empty = self.query_one("#talk-empty", Static)
        empty.display = wanted
        if wanted:
            empty.update(welcome(self.looks))

    # What the user does

    @on(ChatInput.Submitted)
    def _submitted(self, message: ChatInput.Submitted) -> None:
        self.session.typed("")
        state = self.session.engine.state
        waits = state in ("starting", "loading", "comparing")
        if waits and (not message.text.startswith("/") or message.text.startswith("//")):
            why = "Methods are compared now" if state == "comparing" else "The base is still loading"
            self._mount(NoteView(f"{why}; the question is asked as soon as the base is there."))
        submit(self.session, message.text)

    @on(ChatInput.Changed)
    def _typed(self, message: ChatInput.Changed) -> None:
        self.session.typed(message.text_area.text)

    def action_interrupt(self) -> None:
        """Stop the reply; what was said stays."""
        self.session.interrupt_reply()

    def action_compare(self) -> None:
        """The last question under the routing of now and under another, side by side, same seed."""
        if self.busy or self.conversation.last is None:
            self.notify("Ask something first." if not self.busy else "A reply is under way: Escape stops it.")
            return
        with_what = ChoiceScreen(f"Compare “{describe(self.conversation.choice)}” with", rivals(self.looks))
        ask(self, with_what, lambda answer: self.session.replies.compare(rival(answer), self._open_pair))

    async def _open_pair(self, asked: Asked, seed: int) -> tuple[ReplyView, ReplyView]:
        left, right = ReplyView(asked.messages), ReplyView(asked.messages)
        await self._talk.mount(NoteView(f"compared, seed {seed}: {asked.question}"), Comparison(left, right))
        self._talk.anchor()
        return left, right

    def action_pin(self) -> None:
        """Pin the next adapter; after the last one, back to the gate."""
        names, choice = self.looks.names, self.conversation.choice
        index = names.index(choice.adapter) + 1 if choice.mode == "pin" and choice.adapter in names else 0
        pinned = RoutingChoice(mode="pin", adapter=names[index]) if index < len(names) else RoutingChoice()
        self.session.choose(structs.replace(pinned, ground=choice.ground))

    def prefer(self, view: ReplyView) -> None:
        """Teach to prefer a reply to the newest other one that answers the same question."""
        others = [
            other.answer
            for other in self.query(ReplyView)
            if other is not view and other.asked[-1] == view.asked[-1] and other.answer is not None
        ]
        if view.answer is None or not others:
            self.notify("There is one reply to this question. Answer it again, or compare routings.")
            return
        taught = choose_between(self.session, view.asked, view.answer, others[-1])
        self.session.spawn(taught, "command")

    def action_mix(self) -> None:
        """Put a mix into the line, to be filled in."""
        names = self.looks.names
        share = f"{1 / len(names):.1f}" if names else "1"
        self._put_into_line("/mix " + ",".join(f"{name}:{share}" for name in names))

    def action_edit_last(self) -> None:
        """Take the last question back into the line."""
        last = self.conversation.last
        if last is None or self.busy:
            return
        self.conversation.turns.pop()
        self.session.keep()
        self._put_into_line(last.question)
        self.call_later(self.show_turns)

    def action_save_chat(self) -> None:
        """Write the chat beside the document."""
        self.session.spawn(save_beside(self.session), "command")

    def action_newline(self) -> None:
        """A line break in the message."""
        self.query_one(ChatInput).insert("\n")

    def _command(self, name: str) -> None:
        carry_out(self.session, Invocation(find(name)))

    # Keys that do what a slash command does.
    action_regenerate = partialmethod(_command, "again")
    action_ground = partialmethod(_command, "ground")
    action_teach = partialmethod(_command, "teach")
    action_copy_reply = partialmethod(_command, "copy")
    action_clear = partialmethod(_command, "clear")

    def _put_into_line(self, text: str) -> None:
        line = self.query_one(ChatInput)
        line.load_text(text)
        line.move_cursor(line.document.end)
        give_keys(line)
