"""A form as a list: a row for each value, chosen by arrows or a click, typed in a line of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from dlm_core.safetext import visible_line

_MUTED = Style(dim=True)


@dataclass(frozen=True)
class Field:
    """One value of a form.

    Args:
        key: its name for who asks.
        label: its name for the user.
        value: as it is shown.
        about: a sentence on what it is, shown while it is highlighted.
        choices: what Enter and the arrows step through; empty: Enter asks for a line.
        off: why it cannot be set now; "" where it can.
        blank: what no value means, shown in its place.
        note: a remark at the right end, such as where the value comes from.
    """

    key: str
    label: str
    value: str
    about: str = ""
    choices: tuple[str, ...] = ()
    off: str = ""
    blank: str = "…"
    note: str = ""


class Fields(OptionList):
    """The rows. Enter, a click and right take the next choice, left the one before; or a line is typed."""

    DEFAULT_CSS = """
    Fields { height: auto; border: none; background: $surface; padding: 0; scrollbar-size-vertical: 1; }
    Fields { text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "step(1)", "Next value", show=False),
        Binding("left", "step(-1)", "Value before", show=False),
    ]

    class Chosen(Message):
        """A field has another value now, one of its choices."""

        def __init__(self, key: str, value: str) -> None:
            super().__init__()
            self.key, self.value = key, value

    class Typing(Message):
        """A line is to be typed for a field."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    class Highlit(Message):
        """Another field is highlighted."""

        def __init__(self, field: Field | None) -> None:
            super().__init__()
            self.field = field

    def __init__(self) -> None:
        super().__init__(id="fields", compact=True)
        self._fields: tuple[Field, ...] = ()

    @property
    def field(self) -> Field | None:
        """The highlighted field."""
        row = self.highlighted
        return self._fields[row] if row is not None and row < len(self._fields) else None

    def show(self, fields: Sequence[Field]) -> None:
        """Show these, the highlight where it is."""
        fields = tuple(fields)
        if fields == self._fields:
            return
        kept = [f.key for f in fields] == [f.key for f in self._fields]
        self._fields = fields
        texts = [self._text(field) for field in fields]
        if kept:
            for row, text in enumerate(texts):
                self.replace_option_prompt_at_index(row, text)
        else:
            self.clear_options()
            self.add_options([Option(text) for text in texts])
            self.highlighted = 0 if fields else None
        self.post_message(self.Highlit(self.field))

    def _text(self, field: Field) -> Text:
        width = max(len(f.label) for f in self._fields) + 2
        text = Text(f"{field.label:<{width}}", no_wrap=True, overflow="ellipsis")
        shown = visible_line(field.value)
        if field.off:
            text.append(f"{shown}  ({field.off})" if shown and shown != field.off else field.off, _MUTED)
        elif field.choices:
            text.append("◂ ", _MUTED).append(shown, Style(bold=True)).append(" ▸", _MUTED)
        else:
            text.append(shown or field.blank, Style(bold=bool(shown), dim=not shown))
        if field.note:
            room = max(20, self.size.width - 2) if self.size.width else 70
            text.truncate(max(10, room - cell_len(field.note) - 2), overflow="ellipsis", pad=True)
            text.append(f"  {field.note}", _MUTED)
        return text

    def on_resize(self) -> None:
        """Remarks stand at the right end."""
        for row, field in enumerate(self._fields):
            self.replace_option_prompt_at_index(row, self._text(field))

    def action_step(self, by: int) -> None:
        """Take the choice that many places on; a typed field is asked for."""
        field = self.field
        if field is None or field.off:
            self.app.bell()
        elif not field.choices:
            self.post_message(self.Typing(field))
        else:
            at = field.choices.index(field.value) if field.value in field.choices else -by
            self.post_message(self.Chosen(field.key, field.choices[(at + by) % len(field.choices)]))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_step(1)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Highlit(self.field))
