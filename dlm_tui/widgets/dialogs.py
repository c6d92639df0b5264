"""Small dialogs: choose one of a list, answer a question, type a line."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option

from dlm_core.safetext import visible
from dlm_tui.widgets.dialog_keys import HELP, DialogKeys

T = TypeVar("T")
CLOSE = Binding("escape", "dismiss(None)", "closes", tooltip="Close this; nothing is changed.")
CHOOSE = Binding("enter", "choose", "takes it")


@dataclass(frozen=True)
class Choice:
    """One entry: what the dialog answers with, how it reads, and a muted remark; `style` is the label's."""

    answer: str
    label: str
    remark: str = ""
    style: Style = field(default_factory=Style)


class ClosedOnce(ModalScreen[T]):
    """A framed box over a screen, which closes once: a second Escape, sent before it is gone, would close
    what lies below it. F1 says all its keys.
    """

    DEFAULT_CSS = """
    ClosedOnce { align: center middle; background: $background 60%; }
    ClosedOnce > Vertical { background: $surface; border: round $border; padding: 0 1; }
    ClosedOnce .dialog-title { text-style: bold; margin: 0 0 1 0; }
    ClosedOnce OptionList, ClosedOnce OptionList:focus { border: none; background: $surface; padding: 0; }
    ClosedOnce OptionList, ClosedOnce VerticalScroll, ClosedOnce DataTable { scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [HELP]

    def on_mount(self) -> None:
        """Cursors blink here, too, only as the settings say."""
        loaded = getattr(self.app, "loaded", None)
        if loaded is not None and not loaded.settings.cursor_blink:
            for line in self.query(Input):
                line.cursor_blink = False
            for area in self.query(TextArea):
                area.cursor_blink = False

    def action_help(self) -> None:
        """All keys that do something here."""
        from dlm_tui.widgets.dialog_help import DialogHelp

        self.app.push_screen(DialogHelp(self))

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Close, with a result for who opened it; nothing, if it is closed already."""
        if not self.is_current:
            return AwaitComplete()
        try:
            return super().dismiss(result)
        except (
            asyncio.InvalidStateError
        ):  # who waited for the result was cancelled, and the screen is still here
            return self.app.pop_screen()


def ask(node: DOMNode, dialog: Screen[T | None], then: Callable[[T], Any]) -> None:
    """Show a dialog over what `node` is on; `then`, which may be a coroutine, gets its answer, if any."""

    def answered(answer: T | None) -> Any:
        return then(answer) if answer is not None else None

    node.app.push_screen(dialog, answered)


class Dialog(ClosedOnce[T]):
    """A small box: a title, what `body` gives, and its `keys`, which `labels` may word otherwise. Escape
    answers nothing.
    """

    DEFAULT_CSS = """
    Dialog > Vertical { width: 72; max-width: 95%; height: auto; max-height: 80%; padding: 1 2; }
    Dialog OptionList { height: auto; max-height: 16; }
    Dialog Input { border: tall $border-blurred; }
    Dialog DialogKeys { margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [CLOSE]
    keys: ClassVar[Sequence[Binding]] = (CHOOSE, CLOSE)
    labels: ClassVar[dict[str, str]] = {}

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(visible(self._title)), classes="dialog-title")
            yield from self.body()
            yield DialogKeys(self.keys, dict(self.labels))

    def body(self) -> Iterable[Widget]:
        """What stands under the title."""
        return ()


class ListDialog(Dialog[T]):
    """A dialog about a list of choices."""

    def __init__(self, title: str, choices: Sequence[Choice]) -> None:
        super().__init__(title)
        self._choices = list(choices)

    def body(self) -> Iterable[Widget]:
        yield OptionList(*(Option(self._text(choice)) for choice in self._choices))

    @abstractmethod
    def _text(self, choice: Choice) -> Text:
        """A choice as it stands in the list."""

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()


class ChoiceScreen(ListDialog[str | None]):
    """Choose one of a list with arrows, Enter or a click; answers the choice's `answer`."""

    DEFAULT_CSS = """
    ChoiceScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    ChoiceScreen OptionList:focus > .option-list--option-highlighted {
        background: $primary 20%; color: $foreground; text-style: bold;
    }
    ChoiceScreen OptionList:ansi:focus > .option-list--option-highlighted {
        background: ansi_bright_black; color: ansi_default; text-style: bold;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [CHOOSE]

    def action_choose(self) -> None:
        """Answer what is highlighted."""
        self.query_one(OptionList).action_select()

    def _text(self, choice: Choice) -> Text:
        text = Text(visible(choice.label), style=choice.style, no_wrap=True, overflow="ellipsis")
        return text.append(f"  {visible(choice.remark)}" if choice.remark else "", Style(dim=True))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index].answer)


class TwoLineScreen(ChoiceScreen):
    """Choose one of a list whose remarks stand under the labels."""

    DEFAULT_CSS = """
    TwoLineScreen > Vertical { width: 96; }
    """

    def _text(self, choice: Choice) -> Text:
        text = Text(visible(choice.label), style=choice.style, no_wrap=True, overflow="ellipsis")
        return text.append(f"\n    {visible(choice.remark)}", Style(dim=True)) if choice.remark else text


class TextScreen(Dialog[str | None]):
    """Write some lines; Enter answers them, Ctrl+J begins a new one. Answers None for no text."""

    DEFAULT_CSS = """
    TextScreen TextArea { height: auto; min-height: 4; max-height: 14; border: round $border-blurred; }
    TextScreen TextArea:focus { border: round $border; }
    """
    keys = (
        Binding("enter", "answer", "takes it", priority=True),
        Binding("ctrl+j", "newline", "new line", priority=True),
        CLOSE,
    )
    labels: ClassVar[dict[str, str]] = {"dismiss(None)": "leaves all as it is"}
    BINDINGS: ClassVar[list[BindingType]] = [*keys]

    def __init__(self, title: str, text: str = "") -> None:
        super().__init__(title)
        self._first = text

    def body(self) -> Iterable[Widget]:
        yield TextArea(self._first, soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False)

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.focus()
        area.select_all()

    def action_answer(self) -> None:
        """Answer what was written, letters that are still on their way to the area included."""
        area = self.query_one(TextArea)

        def answer() -> None:  # gives nothing back: the area would wait for its own end
            self.dismiss(area.text.strip() or None)

        area.call_later(answer)

    def action_newline(self) -> None:
        """Begin a new line."""
        area = self.query_one(TextArea)
        area.call_later(area.insert, "\n")


class LineScreen(Dialog[str | None]):
    """Type a line; answers it, or None; with `takes_nothing` an empty line too."""

    BINDINGS: ClassVar[list[BindingType]] = [CHOOSE]

    def __init__(
        self, title: str, value: str = "", placeholder: str = "", *, takes_nothing: bool = False
    ) -> None:
        super().__init__(title)
        self._value, self._placeholder = value, placeholder
        self._nothing = "" if takes_nothing else None

    def body(self) -> Iterable[Widget]:
        yield Input(self._value, placeholder=self._placeholder)

    async def action_choose(self) -> None:
        """Answer the line as it stands."""
        await self.query_one(Input).action_submit()

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or self._nothing)


class ManyScreen(ListDialog[list[str] | None]):
    """Choose any number of a list: Space or a click marks, Enter takes the marked ones, in order."""

    keys = (
        Binding("space", "mark", "marks", priority=True),
        Binding("enter", "answer", "takes the marked ones", priority=True),
        CLOSE,
    )
    BINDINGS: ClassVar[list[BindingType]] = [*keys]

    def __init__(self, title: str, choices: Sequence[Choice], marked: Sequence[str]) -> None:
        super().__init__(title, choices)
        self._marked = set(marked)

    def _text(self, choice: Choice) -> Text:
        marked = choice.answer in self._marked
        text = Text("✔ " if marked else "· ", no_wrap=True, overflow="ellipsis")
        return text.append(visible(choice.label), Style(bold=marked))

    @on(OptionList.OptionSelected)
    def action_mark(self) -> None:
        """Mark what is highlighted, or take the mark back."""
        chosen = self.query_one(OptionList)
        if (row := chosen.highlighted) is not None:
            self._marked ^= {self._choices[row].answer}
            chosen.replace_option_prompt_at_index(row, self._text(self._choices[row]))

    def action_answer(self) -> None:
        """Answer what is marked."""
        self.dismiss([choice.answer for choice in self._choices if choice.answer in self._marked])
