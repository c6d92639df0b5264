"""A section found by some letters of its questions, its text or its adapter: the best match first."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dlm_core.document.model import Section
from dlm_core.safetext import visible_line
from dlm_tui.session.section_states import SectionState
from dlm_tui.widgets.dialog_keys import DialogKeys
from dlm_tui.widgets.dialogs import ClosedOnce
from dlm_tui.widgets.looks import looks_of

SHOWN = 60
"""Sections in the list at most."""
_TEXT = 200  # characters of prose that are looked through


class SectionJump(ClosedOnce[int | None]):
    """Type to find one of `states`, Enter goes there; answers its first line, from 1."""

    DEFAULT_CSS = """
    SectionJump { align: center top; }
    SectionJump > Vertical { width: 90; max-width: 95%; height: auto; max-height: 80%; margin: 2 0 0 0; }
    SectionJump Input, SectionJump Input:focus { border: none; height: 1; padding: 0; }
    SectionJump Input { margin: 0 0 1 0; background: $surface; }
    SectionJump OptionList { height: auto; max-height: 60vh; text-wrap: nowrap; text-overflow: ellipsis; }
    SectionJump OptionList:ansi > .option-list--option-highlighted { background: ansi_bright_black; }
    SectionJump Static { color: $secondary; }
    """
    KEYS = (
        Binding("enter", "go", "goes there", tooltip="Go to the section."),
        Binding("escape", "dismiss(None)", "stays", tooltip="Stay where you are."),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *KEYS,
        Binding("down", "move(1)", "next section", show=False, priority=True),
        Binding("up", "move(-1)", "section before", show=False, priority=True),
        Binding("pagedown", "move(10)", "ten sections on", show=False, priority=True),
        Binding("pageup", "move(-10)", "ten sections back", show=False, priority=True),
    ]

    def __init__(self, states: Sequence[SectionState], here: SectionState | None) -> None:
        super().__init__()
        self._entries = [(state, words_of(state.section)) for state in states if state.section is not None]
        self._here = here
        self._found: list[SectionState] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Input(placeholder="some letters of a question, an answer, an adapter …")
            yield OptionList()
            yield Static("", id="jump-count")
            yield DialogKeys(self.KEYS)

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._look("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._look(event.value)

    def _look(self, query: str) -> None:
        matcher = Matcher(query.strip())
        ranked = ranking(self._entries, query.strip(), matcher)
        self._found = [state for state, _ in ranked[:SHOWN]]
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options([Option(self._line(state, words, matcher)) for state, words in ranked[:SHOWN]])
        here = self._found.index(self._here) if not query and self._here in self._found else 0
        listed.highlighted = here if ranked else None
        count = f"{len(ranked)} of {len(self._entries)}" if query else f"{len(self._entries)}"
        self.query_one("#jump-count", Static).update(Text(f"{count} sections"))

    def _line(self, state: SectionState, words: str, matcher: Matcher) -> Text:
        looks = looks_of(self)
        assert state.section is not None
        adapter = state.adapter or ""
        line = Text(no_wrap=True, overflow="ellipsis", end="")
        number = (state.section.fence or state.section.span).line
        line.append(f"{number:>5} ", Style(color=looks.colors.secondary))
        line.append(f"{looks.sign(adapter) if adapter else ' '} ", looks.style(adapter))
        found = Text(visible_line(words))
        if matcher.query:
            style = Style(color=looks.colors.accent, bold=True)
            for span in matcher.highlight(visible_line(words)).spans:
                found.stylize(style, span.start, span.end)
        return line.append_text(found)

    def action_move(self, by: int) -> None:
        """Move in the list while the letters are typed."""
        listed = self.query_one(OptionList)
        if listed.option_count:
            here = (listed.highlighted or 0) + by
            listed.highlighted = (
                here % listed.option_count if abs(by) == 1 else min(max(0, here), listed.option_count - 1)
            )

    @on(Input.Submitted)
    def action_go(self) -> None:
        """Go to the highlighted section."""
        here = self.query_one(OptionList).highlighted
        self._go(here if here is not None else -1)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._go(event.option_index)

    def _go(self, row: int) -> None:
        if 0 <= row < len(self._found):
            section = self._found[row].section
            assert section is not None
            self.dismiss((section.fence or section.span).line)


def words_of(section: Section) -> str:
    """What a section is found by, in a line: its questions, or what it says."""
    asked = [wording for question in section.questions for wording in question.wordings]
    asked += [preference.prompt for preference in section.preferences]
    asked += [probe.question for probe in section.probes]
    said = " / ".join(asked) if asked else section.text[:_TEXT]
    return " ".join(said.split())


def ranking(
    entries: Sequence[tuple[SectionState, str]], query: str, matcher: Matcher
) -> list[tuple[SectionState, str]]:
    """The entries that have the letters of a query in their order, the best first; all, without one.

    A word that stands there as it was typed comes before letters that are scattered.
    """
    if not query:
        return list(entries)
    wanted = query.casefold()
    scored = []
    for place, (state, words) in enumerate(entries):
        text = f"{state.adapter or ''} {words}".casefold()
        if wanted in text:
            scored.append((-2.0 if f" {wanted}" in text else -1.0, place))
        elif _has_letters(text, wanted) and (score := matcher.match(f"{state.adapter or ''} {words}")) > 0:
            scored.append((1.0 / (1.0 + score), place))
    return [entries[place] for _, place in sorted(scored)]


def _has_letters(text: str, wanted: str) -> bool:
    """Whether the letters stand in a text in their order, whatever is between them."""
    letters = iter(text)
    return all(letter in letters for letter in wanted if letter != " ")
