"""The live line: prompt, toolbar, completion and keys on a terminal, with replies scrolling above it."""

import asyncio
import base64
import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from prompt_toolkit.application import Application, in_terminal
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.history import History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.key_binding.bindings.auto_suggest import load_auto_suggest_bindings
from prompt_toolkit.layout import (
    BufferControl,
    CompletionsMenu,
    ConditionalContainer,
    Dimension,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.processors import AppendAutoSuggestion, HighlightIncrementalSearchProcessor
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import suspend_to_background_supported
from prompt_toolkit.widgets import SearchToolbar

from dlm_core.errors import UsageError
from dlm_tui.repl.completion import ChatCompleter
from dlm_tui.repl.terminal import TerminalFront, editor_command
from dlm_tui.repl.toolbar import standing, toolbar
from dlm_tui.session.conversation import describe
from dlm_tui.session.dispatch import submit
from dlm_tui.session.reports import prompt_mark
from dlm_tui.session.session import Session
from dlm_tui.session.signs import can_show_unicode, wants_color
from dlm_tui.session.text import Line, row_end

FLUSH_S = 0.04
"""Seconds between two paintings of what has come in: text is never held back longer."""
MAX_CLIPBOARD = 74_994
"""Bytes of base64 that terminals are known to take in one OSC 52 sequence (xterm's limit)."""

_STYLE = Style.from_dict(
    {
        "note": "#888888",
        "error": "bold ansired",
        "warning": "ansiyellow",
        "marked": "ansiyellow underline",
        "strong": "bold",
        "busy": "ansicyan",
        "key": "reverse",
        "rule": "#888888",
        "auto-suggestion": "#888888",
    }
)
_NO_COLOR_STYLE = Style.from_dict(
    {
        "note": "",
        "error": "bold",
        "warning": "bold",
        "marked": "underline",
        "strong": "bold",
        "busy": "",
        "key": "reverse",
    }
)


class Screen(TerminalFront):
    """A terminal that can move its cursor."""

    echoes = True

    def __init__(
        self,
        session: Session,
        *,
        history: History | None = None,
        keyboard: Input | None = None,
        output: Output | None = None,
        color: bool | None = None,
        unicode: bool | None = None,
    ) -> None:
        super().__init__(session)
        self.unicode = can_show_unicode(sys.stdout) if unicode is None else unicode
        color = wants_color() if color is None else color
        self._output = output or _output()
        self._saying = ""
        self._shown: list[Line] = []
        self._held: list[Line] = []
        self._flush_due: asyncio.TimerHandle | None = None
        self._lent = False
        self._awaited: asyncio.Future[str | None] | None = None
        """Set while the next line that is sent answers a question of the chat's own."""
        self._aside = Document()
        """What was being typed before that."""
        self._left = False
        self._style = _STYLE if color else _NO_COLOR_STYLE
        self._completer = ChatCompleter(lambda: session.adapters)
        self._buffer = Buffer(
            name="question",
            multiline=True,
            history=history or InMemoryHistory(),
            auto_suggest=AutoSuggestFromHistory(),
            completer=self._completer,
            complete_while_typing=Condition(lambda: self._buffer.text.startswith("/")),
            enable_history_search=False,
            tempfile_suffix=".md",
            on_text_changed=self._typed,
        )
        self._search = SearchToolbar(ignore_case=True)
        self._app: Application[None] = Application(
            layout=self._layout(),
            key_bindings=merge_key_bindings([load_auto_suggest_bindings(), self._bindings()]),
            style=self._style,
            color_depth=None if color else ColorDepth.DEPTH_1_BIT,
            erase_when_done=True,
            input=keyboard,
            output=self._output,
            enable_page_navigation_bindings=False,
        )
        self._app.ttimeoutlen = 0.1
        self._app.timeoutlen = 0.5

    async def run(self) -> None:
        """Take input until the person leaves."""
        if not self._left:
            await self._app.run_async(handle_sigint=True)

    # As a terminal

    @property
    def width(self) -> int:
        return self._output.get_size().columns

    def write_lines(self, lines: Sequence[Line]) -> None:
        # In the middle of a reply's line the rest of that line comes first.
        (self._held if self._saying else self._shown).extend(lines)
        self._schedule()

    def say(self, text: str) -> None:
        self._saying += text.expandtabs(4)
        self._schedule()

    def end_reply(self) -> None:
        if self._saying:
            self._shown += _rows(self._saying, self.width, last=True)
            self._saying = ""
        self._release()
        self._schedule()

    def changed(self) -> None:
        self._schedule()

    def leave(self) -> None:
        self._left = True
        if self._app.is_running:
            self._app.exit()

    def copy(self, text: str) -> None:
        write_clipboard(text, self._output, os.environ)

    async def run_editor(self, command: Sequence[str]) -> int:
        self._flush()
        async with in_terminal():
            self._lent = True
            try:
                process = await asyncio.create_subprocess_exec(*command)
                return await process.wait()
            finally:
                self._lent = False
                self._schedule()

    async def settle(self) -> None:
        """Write out what has not been painted yet, once the application has ended."""
        self.end_reply()
        if self._flush_due is not None:
            self._flush_due.cancel()
            self._flush_due = None
        self._print_shown()

    async def ask_line(self, text: str = "") -> str | None:
        self._aside = self._buffer.document
        self._awaited = awaited = asyncio.get_running_loop().create_future()
        self._buffer.document = Document(text, len(text))
        self._schedule()
        try:
            said = await awaited
        finally:
            if self._awaited is awaited:
                self._answer(None)
        return (said or "").strip() or None

    def _answer(self, said: str | None) -> bool:
        """Answer the chat's question, if there is one, and put back at once what was being typed: the next
        key goes there.
        """
        if self._awaited is None:
            return False
        if not self._awaited.done():
            self._awaited.set_result(said)
        self._awaited = None
        self._buffer.document = self._aside
        return True

    # Painting: text is collected and painted at most every FLUSH_S, so that keys never wait for it.

    def _schedule(self) -> None:
        if self._flush_due is None:
            self._flush_due = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        """Paint above the line. (`in_terminal` would leave raw mode, and lose keys pressed meanwhile.)"""
        self._flush_due = None
        if self._lent or not self._app.is_running:
            return
        self._take_full_rows()
        if self._shown:
            self._app.renderer.erase()
            self._print_shown()
        self._app.invalidate()

    def _release(self) -> None:
        self._shown += self._held
        self._held = []

    def _take_full_rows(self) -> None:
        *whole, self._saying = self._saying.split("\n")
        for line in whole:
            self._shown += _rows(line, self.width, last=True)
            self._release()
        rows = _rows(self._saying, self.width, last=False)
        self._shown += rows
        self._saying = self._saying[sum(len(text) for row in rows for _, text in row) :]

    def _print_shown(self) -> None:
        lines, self._shown = self._shown, []
        for line in lines:
            print_formatted_text(
                self._output,
                FormattedText([*line, ("", "\n")]),
                self._style,
                color_depth=self._app.color_depth,
            )

    # Layout

    def _layout(self) -> Layout:
        mark = prompt_mark(self.unicode)

        def prefix(line: int, wrap: int) -> StyleAndTextTuples:
            return [("class:strong", mark if line == 0 and wrap == 0 else " " * len(mark))]

        question = Window(
            BufferControl(
                self._buffer,
                search_buffer_control=self._search.control,
                input_processors=[HighlightIncrementalSearchProcessor(), AppendAutoSuggestion()],
                preview_search=True,
            ),
            height=self._question_height,
            get_line_prefix=prefix,
            wrap_lines=True,
            dont_extend_height=True,
        )
        saying = ConditionalContainer(
            Window(FormattedTextControl(lambda: [("", self._saying)]), height=1, dont_extend_height=True),
            filter=Condition(lambda: bool(self._saying)),
        )
        below = Window(FormattedTextControl(self._toolbar), dont_extend_height=True)
        body = HSplit([saying, question, self._search, below])
        menu = Float(
            CompletionsMenu(max_height=8, scroll_offset=1, extra_filter=~is_searching),
            xcursor=True,
            ycursor=True,
        )
        return Layout(FloatContainer(body, floats=[menu]), focused_element=question)

    def _question_height(self) -> Dimension:
        rows = self._output.get_size().rows
        menu = self._buffer.complete_state
        wanted = 1 + min(8, len(menu.completions)) if menu is not None else 1
        return Dimension(min=min(wanted, max(1, rows - 4)), max=max(1, rows - 4))

    def _toolbar(self) -> StyleAndTextTuples:
        lines = toolbar(standing(self.session), self.look.signs, self.width, unicode=self.unicode)
        shown: StyleAndTextTuples = []
        for n, line in enumerate(lines):
            shown += [("", "\n")] if n else []
            shown += line
        return shown

    # Keys

    def _typed(self, buffer: Buffer) -> None:
        if self._awaited is None:
            self.session.typed(buffer.text)

    def _bindings(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter", filter=~is_searching)
        def send(event: KeyPressEvent) -> None:
            buffer = self._buffer
            if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
                buffer.complete_state = None
                return
            text = buffer.text
            if self._answer(text):
                return
            buffer.reset(append_to_history=bool(text.strip()))
            self.session.typed("")
            submit(self.session, text)

        @keys.add("tab", filter=~is_searching)
        def complete(event: KeyPressEvent) -> None:
            """Complete before the next key is read, so that Tab and Enter may be typed in one go."""
            buffer = self._buffer
            if buffer.complete_state is not None:
                buffer.complete_next()
                return
            asked = CompleteEvent(completion_requested=True)
            found = list(self._completer.get_completions(buffer.document, asked))
            if len(found) == 1:
                buffer.apply_completion(found[0])
            elif found:
                buffer.start_completion(insert_common_part=True)

        @keys.add("escape", "enter")
        def new_line(event: KeyPressEvent) -> None:
            self._buffer.newline(copy_margin=False)

        @keys.add("c-x", "c-e")
        def edit_line(event: KeyPressEvent) -> None:
            event.app.create_background_task(self._edit_line())

        @keys.add("c-g", filter=~is_searching)
        @keys.add("f7")
        def toggle(event: KeyPressEvent) -> None:
            self.session.toggle_gate()
            self.session.tell(describe(self.session.conversation.choice))

        @keys.add("c-c", filter=~is_searching)
        @keys.add("<sigint>")
        def interrupt(event: KeyPressEvent) -> None:
            if self._answer(None):
                return
            if self.session.interrupt_reply():
                return
            if self._buffer.text:
                self._buffer.reset()
                self.session.typed("")
            elif not self.session.interrupt_run():
                self.write_lines([[("class:note", "Ctrl-D leaves")]])

        @keys.add("c-d", filter=Condition(lambda: not self._buffer.text))
        def leave(event: KeyPressEvent) -> None:
            self.leave()

        @keys.add("c-z", filter=Condition(suspend_to_background_supported))
        def suspend(event: KeyPressEvent) -> None:
            event.app.suspend_to_background()

        return keys

    async def _edit_line(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dlm-") as folder:
            draft = Path(folder) / "question.md"
            draft.write_text(self._buffer.text, encoding="utf-8")
            try:
                command = editor_command(os.environ)
                await self.run_editor([*command, str(draft)])
                text = draft.read_text(encoding="utf-8", errors="replace").rstrip("\n")
            except UsageError as error:
                self.session.fail(error)
            except OSError as error:
                self.session.fail(UsageError(f"the editor cannot be run: {error.strerror}"))
            else:
                self._buffer.document = Document(text, len(text))


def write_clipboard(text: str, output: Output, environment: Mapping[str, str]) -> None:
    """Send `text` to the terminal's clipboard (OSC 52), wrapped where tmux or screen has to pass it on.

    Raises:
        UsageError: the text is longer than terminals take.
    """
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode()
    if len(encoded) > MAX_CLIPBOARD:
        raise UsageError("the reply is too long for the terminal's clipboard", "/save FILE keeps it")
    sequence = f"\x1b]52;c;{encoded}\x07"
    if environment.get("TMUX"):
        sequence = "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    elif environment.get("TERM", "").startswith("screen"):
        pieces = [sequence[n : n + 76] for n in range(0, len(sequence), 76)]
        sequence = "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    output.write_raw(sequence)
    output.flush()


def _rows(text: str, width: int, *, last: bool) -> list[Line]:
    """`text` in rows that the terminal does not break; without `last` only those that are surely complete."""
    rows: list[Line] = []
    while end := row_end(text, max(8, width - 1)):
        rows.append([("", text[:end])])
        text = text[end:]
    if last:
        rows.append([("", text)])
    return rows


def _output() -> Output:
    output = create_output(sys.stdout)
    if isinstance(output, Vt100_Output):
        # Asking the terminal where its cursor is would cost a round trip before every line of a reply.
        output.enable_cpr = False
    return output


def open_history(path: Path) -> History:
    """The questions of earlier sessions, in a private file; in memory where that cannot be kept."""
    from prompt_toolkit.history import FileHistory

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()

    class Kept(FileHistory):
        """A full disk is no reason to lose the line that was typed."""

        def store_string(self, string: str) -> None:
            with contextlib.suppress(OSError):
                super().store_string(string)

    return Kept(str(path))
