"""The line a person types into: grows with its text, Enter sends, slash commands complete as ghost text."""

from collections.abc import Callable, Sequence

from textual import events
from textual.message import Message
from textual.widgets import TextArea

from dlm_tui.session.commands import candidates


class ChatInput(TextArea):
    """A text area that sends on Enter. `adapters` says which names commands are completed with."""

    DEFAULT_CSS = """
    ChatInput { height: auto; max-height: 10; min-height: 3; border: round $border-blurred; padding: 0 1; }
    ChatInput:focus { border: round $border; }
    """

    class Submitted(Message):
        """The person pressed Enter on `text`."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, adapters: Callable[[], Sequence[str]]) -> None:
        super().__init__(
            id="chat-input",
            compact=False,
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
        )
        self.placeholder = "Ask, or / for commands"
        self._adapters = adapters
        self._past: list[str] = []
        self._back = 0
        self._draft = ""

    def remember(self, questions: Sequence[str]) -> None:
        """Questions of this document's history, oldest first; Up brings them back."""
        self._past = list(questions)
        self._back = 0

    def update_suggestion(self) -> None:
        """Ghost text: the rest of the first command or argument that fits."""
        text = self.text
        self.suggestion = ""
        if "\n" in text or not self.cursor_at_end_of_text:
            return
        if found := candidates(text, self._adapters()):
            self.suggestion = found[0].rest

    async def _on_key(self, event: events.Key) -> None:
        if self._takes(event.key):
            event.stop()
            event.prevent_default()
        else:
            await super()._on_key(event)

    def _takes(self, key: str) -> bool:
        """Do what a key does here; False where it is the text area's."""
        match key:
            case "enter":
                self._send()
                return True
            case "tab" if self.suggestion:
                self.insert(self.suggestion)
                return True
            case "up":
                return self.cursor_at_first_line and self._step(1)
            case "down":
                return self.cursor_at_last_line and self._step(-1)
        return False

    def _send(self) -> None:
        if text := self.text.strip():
            self._past.append(text)
            self._back, self._draft = 0, ""
            self.load_text("")
            self.post_message(self.Submitted(text))

    def _step(self, back: int) -> bool:
        wanted = self._back + back
        if not 0 <= wanted <= len(self._past):
            return False
        if self._back == 0:
            self._draft = self.text
        self._back = wanted
        self.load_text(self._past[-wanted] if wanted else self._draft)
        self.move_cursor(self.document.end)
        return True
