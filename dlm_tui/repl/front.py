"""What the chat needs of the place it is shown in: a terminal with a live line, a dumb one, or a pipe."""

from collections.abc import Sequence
from typing import Protocol

from dlm_tui.session.text import Line


class Front(Protocol):
    """A place to show things. All calls come from the event loop and return at once, but for `run_editor`."""

    echoes: bool
    """Whether a question has to be shown again when its turn comes (a dumb terminal has it already)."""
    unicode: bool

    @property
    def width(self) -> int:
        """Columns there are now."""
        ...

    def show(self, lines: Sequence[Line]) -> None:
        """Show whole lines, after what a reply has said so far."""
        ...

    def say(self, text: str) -> None:
        """A reply goes on with `text`, which holds no control characters but newline and tab."""
        ...

    def end_reply(self) -> None:
        """The reply is over; its last line is complete."""
        ...

    def changed(self) -> None:
        """Something that the toolbar shows has changed."""
        ...

    async def run_editor(self, command: Sequence[str]) -> int:
        """Run a program that takes the terminal over, and return its exit code. Raises OSError."""
        ...

    def copy(self, text: str) -> None:
        """Put `text` on the person's clipboard. Raises UsageError where that cannot be done."""
        ...

    def leave(self) -> None:
        """End the session."""
        ...
