"""The text of a document: highlighted, problems underlined, each section along its adapter's colour."""

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Self

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets.text_area import Edit, EditResult, TextAreaTheme, WrappedDocument

from dlm_core.document.highlight import HighlightKind
from dlm_core.document.model import Diagnostic, SectionKind
from dlm_tui.widgets.area_rows import Frame, RowPlaces, by_line, columns
from dlm_tui.widgets.area_states import LOSS_PARTS, AreaState, Place, asks_once, carries_loss, read_line
from dlm_tui.widgets.cluster_area import ClusterArea
from dlm_tui.widgets.graphemes import ClusterText, shown
from dlm_tui.widgets.line_states import LineStates
from dlm_tui.widgets.looks import SEVERITY_SIGNS, looks_of
from dlm_tui.widgets.loss_marks import Marks, Passage
from dlm_tui.widgets.rows import Rows

_IN_ADAPTER_COLOR = (HighlightKind.FENCE, HighlightKind.FENCE_TAG, HighlightKind.HEADING)


class DocumentArea(ClusterArea):
    """The editor's text area. It knows lines and colours; files, checks and engines are others' business."""

    DEFAULT_CSS = """
    DocumentArea { border: none; padding: 0; background: $background; height: 1fr; }
    DocumentArea:focus { border: none; }
    DocumentArea .text-area--gutter { color: $secondary 60%; background: $background; }
    DocumentArea .text-area--cursor-gutter { color: $foreground; background: $panel 60%; text-style: bold; }
    DocumentArea .text-area--cursor-line { background: $panel 60%; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+home", "document_end(-1)", "Beginning", show=False),
        Binding("ctrl+end", "document_end(1)", "End", show=False),
        Binding("ctrl+shift+home", "document_end(-1, True)", "Select to the beginning", show=False),
        Binding("ctrl+shift+end", "document_end(1, True)", "Select to the end", show=False),
    ]

    def __init__(self, *, soft_wrap: bool = True) -> None:
        self.completer: Callable[[str, int], str] | None = None
        """Answers the rest of what fits after the text of a line, given its number; "" for nothing."""
        self._whole: str | None = None
        self._stale = True
        self._painted: LRUCache[tuple[object, ...], Strip] = LRUCache(2048)
        self._cut: LRUCache[tuple[object, ...], Sequence[Text]] = LRUCache(256)
        self._epoch = self._styled_for = 0
        self._ground_style: Style | None = None
        self._rows = Rows()
        self._compares = False
        self._tall = 0  # rows before a resize
        super().__init__(
            id="document-area",
            show_line_numbers=True,
            tab_behavior="indent",
            soft_wrap=soft_wrap,
            max_checkpoints=500,
        )
        self.indent_width = 2
        self.match_cursor_bracket = False
        self.show_loss = False
        self._tokens: Marks = {}
        self._exact: frozenset[int] = frozenset()
        self._adapters: tuple[str, ...] = ()
        self._states = self._fresh_states()
        self._diagnostics: dict[int, tuple[Diagnostic, ...]] = {}
        self._matches: dict[int, tuple[tuple[int, int], ...]] = {}
        self._shown_diagnostics: tuple[Diagnostic, ...] = ()

    # What Textual asks for once per painted line is kept between edits: 100 ms on 10,000 lines otherwise.

    @property
    def wrapped_document(self) -> RowPlaces:
        return self._wrapped

    @wrapped_document.setter
    def wrapped_document(self, wrapped: WrappedDocument) -> None:
        self._wrapped = RowPlaces(wrapped.document, tab_width=self.indent_width)

    @property
    def text(self) -> str:
        """The whole text."""
        if self._whole is None:
            self._whole = self.document.text
        return self._whole

    @text.setter
    def text(self, text: str) -> None:
        self.load_text(text)

    def _edited(self) -> None:
        """The text is another: nothing that was worked out from it holds."""
        self._stale, self._whole = True, None

    # Lines and their states

    def _fresh_states(self) -> LineStates[AreaState]:
        adapters = self._adapters
        return LineStates(lambda text, state: read_line(text, state, adapters)[0], AreaState())

    def state_at(self, line: int) -> AreaState:
        """What holds where `line` (from 0) begins."""
        if self._stale:
            self._states.sync(self.document.lines)
            self._stale = False
        return self._states[line]

    def place_of(self, line: int) -> Place:
        """What `line` (from 0) is part of."""
        raw, state = self.document.get_line(line), self.state_at(line)
        after, _ = read_line(raw, state, self._adapters)
        now = after.line
        tokens = len(self._tokens.get(line, ())) if self.show_loss and line in self._exact else None
        learned = self._learned(line, raw, state, after)
        return Place(now.section, now.adapter, after.part, learned, tokens, after.wordings)

    def set_adapters(self, adapters: tuple[str, ...]) -> None:
        """The declared adapters: fences with other tags are shown as errors."""
        if adapters != self._adapters:
            self._adapters = adapters
            self._states = self._fresh_states()
            self._stale = True
        self._repaint()

    def follow_theme(self) -> None:
        """Take the theme's colours for the cursor's line, which leaves the text's own colours alone."""
        spec = looks_of(self).theme.spec
        ground = Style() if spec.ansi else Style(bgcolor=spec.colors.panel)
        self.register_theme(TextAreaTheme(f"dlm-{spec.name}", cursor_line_style=ground))
        self.theme = f"dlm-{spec.name}"

    def _repaint(self) -> None:
        self.notify_style_update()
        self.refresh(self.size.region)

    def notify_style_update(self) -> None:
        self._epoch += 1
        self._ground_style = None
        super().notify_style_update()

    def edit(self, edit: Edit) -> EditResult:
        self._edited()
        result = super().edit(edit)
        self._edited()
        return result

    def undo(self) -> None:
        self._edited()
        super().undo()
        self._edited()

    def redo(self) -> None:
        self._edited()
        super().redo()
        self._edited()

    def load_text(self, text: str) -> None:
        self._edited()
        super().load_text(text)
        self._edited()

    # What is marked

    def show_diagnostics(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Underline these, and mark their lines."""
        if tuple(diagnostics) == self._shown_diagnostics:
            return
        self._shown_diagnostics = tuple(diagnostics)
        self._diagnostics = by_line((diagnostic.span.line - 1, diagnostic) for diagnostic in diagnostics)
        self.refresh()

    def diagnostics_at(self, line: int) -> Sequence[Diagnostic]:
        """The problems that begin on `line` (from 0)."""
        return self._diagnostics.get(line, ())

    def show_matches(self, matches: Sequence[tuple[int, int, int]]) -> None:
        """Mark matches, each as line, start and end."""
        if not matches and not self._matches:
            return
        self._matches = by_line((line, (start, end)) for line, start, end in matches)
        self.refresh()

    def show_tokens(self, marks: Marks, exact: Collection[int]) -> None:
        """The tokens that carry loss, on the lines (from 0) that are known `exact`ly; others go by line."""
        self._tokens, self._exact = marks, frozenset(exact)
        self.refresh()

    def passages(self, first: int, end: int) -> list[Passage]:
        """What is learned in the lines from `first` to `end` (from 0, end excluded), in their order."""
        found: list[Passage] = []
        begin, part = -1, ""
        for line in range(first, min(end, self.document.line_count) + 1):
            raw = self.document.get_line(line) if line < min(end, self.document.line_count) else None
            learned = False
            if raw is not None:
                state = self.state_at(line)
                after, _ = read_line(raw, state, self._adapters)
                prose = after.line.section is SectionKind.PROSE
                learned = state.part == after.part and (prose or after.part in LOSS_PARTS)
                learned = learned and state.line.section is after.line.section
                if learned and begin >= 0 and after.part != part:
                    found.append(self._passage(begin, line))
                    begin = -1
                part = after.part
            if learned and begin < 0:
                begin = line
            elif not learned and begin >= 0:
                found.append(self._passage(begin, line))
                begin = -1
        return found

    def _passage(self, begin: int, end: int) -> Passage:
        return Passage(begin, tuple(self.document.get_line(line) for line in range(begin, end)))

    def toggle_loss(self) -> bool:
        """Shade what the loss is taken on, or stop to; answers whether it is shaded now."""
        self.show_loss = not self.show_loss
        self._repaint()
        return self.show_loss

    # Painting

    def on_resize(self, event: events.Resize) -> None:
        """Keep the cursor in view where it was; Textual wraps the text anew after this."""
        row = self.wrapped_document.location_to_offset(self.cursor_location).y - self.scroll_offset.y
        if 0 <= row < self._tall:
            self.call_after_refresh(self.scroll_cursor_visible)
        self._tall = event.size.height

    def get_line(self, line_index: int) -> Text:
        """The line, styled. Called for every line that is painted."""
        looks = looks_of(self)
        raw = self.document.get_line(line_index)
        text = (Text if raw.isascii() else ClusterText)(shown(raw), end="", no_wrap=True)
        state = self.state_at(line_index)
        after, spans = read_line(raw, state, self._adapters)
        for span in spans:
            style = looks.theme.syntax[span.kind.value]
            if span.adapter is not None and span.kind in _IN_ADAPTER_COLOR:
                style = style + Style(color=looks.color(span.adapter))
            text.stylize(style, span.start, span.end)
        if self.show_loss:
            self._shade(text, line_index, carries_loss(raw, state, after))
        for start, end in self._matches.get(line_index, ()):
            text.stylize(Style(reverse=True), start, end)
        for diagnostic in self._diagnostics.get(line_index, ()):
            start, end = columns(diagnostic, len(raw))
            text.stylize(Style(underline=True, color=looks.severity_color(diagnostic.severity)), start, end)
        return text

    def _shade(self, text: Text, line: int, learned: bool) -> None:
        """Dim what carries no loss; every second token stands on a ground of its own, or is underlined."""
        if line not in self._exact:
            if not learned:
                text.stylize(Style(dim=True))
            return
        spec = looks_of(self).theme.spec
        plain = spec.ansi or bool(self.app.no_color)
        every_second = Style(underline=True) if plain else Style(bgcolor=spec.colors.panel)
        place = 0
        for number, (start, end) in enumerate(self._tokens.get(line, ())):
            text.stylize(Style(dim=True), place, start)
            if number % 2:
                text.stylize(every_second, start, end)
            place = end
        text.stylize(Style(dim=True), place)

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        """Paint again; where no region is named, the rows that differ: a keystroke changes one of fifty."""
        if regions or layout or recompose or not repaint or not self.is_mounted:
            return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        if not self._compares:
            self._compares = True
            self.call_next(self._refresh_rows)
        return self

    def _refresh_rows(self) -> None:
        self._compares = False
        width, height = self.size
        frame = self._frame()
        if regions := [
            Region(0, row, width, count)
            for row, count in self._rows.changed(height, lambda row: self._painted_row(row, frame))
        ]:
            super().refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """A row of the screen (from 0, in the widget)."""
        return self._rows.give(y, self._painted_row(y, self._frame()))

    def _frame(self) -> Frame:
        if self._theme is not None and self._styled_for != self._epoch:
            self._theme.apply_css(self)
            self._styled_for = self._epoch
        first, last = sorted(self.selection)
        left, top = self.scroll_offset
        gutter = self.gutter_width
        return Frame(top, left, gutter, self.scrollable_content_region.width - gutter, first, last)

    def _painted_row(self, y: int, frame: Frame) -> Strip:
        """A painted line: its number, two cells for the problem and the section's adapter, its text.

        Textual paints where the cursor or the selection is. The other rows are kept: it takes half a
        millisecond for each, longer in long lines, and every key asks for all of them.
        """
        place = self._wrapped.place(frame.top + y)
        if place is None or place[0] >= self.document.line_count:
            return super().render_line(y)
        line, part = place
        raw = self.document.get_line(line)
        here = frame.first[0] <= line <= frame.last[0]
        if "\t" in raw or (here and not self._beside_cursor(line, part, frame)):
            return self._marked(self._render_line(y), line, part)
        tokens = (line in self._exact, self._tokens.get(line)) if self.show_loss else None
        look = (self._diagnostics.get(line), self._matches.get(line), tokens, frame.width, self._epoch)
        key = (raw, self.state_at(line), here, self._wrapped.cells, *look)
        row_key = (part, line if part == 0 else -1, frame.left, frame.gutter, *key)
        if (painted := self._painted.get(row_key)) is None:
            strip = self._row_strip(line, part, self._parts(line, key), frame, here)
            painted = self._painted[row_key] = self._marked(strip, line, part).apply_style(self._ground())
        return painted

    def _beside_cursor(self, line: int, part: int, frame: Frame) -> bool:
        """Whether the cursor is on another row of the line than this, and nothing is selected."""
        if (
            frame.first != frame.last
            or self.suggestion
            or not (self.highlight_cursor_line and self._has_cursor)
        ):
            return False
        begins = self._wrapped.rows_of(line)
        column = frame.last[1]
        return not begins[part] <= column <= (begins[part + 1] if part + 1 < len(begins) else column)

    def _parts(self, line: int, key: tuple[object, ...]) -> Sequence[Text]:
        """The rows of a line as styled text. All are cut at once: each cut costs the whole line."""
        if (parts := self._cut.get(key)) is None:
            text = self.get_line(line)
            offsets = self._wrapped.get_offsets(line)
            parts = self._cut[key] = tuple(text.divide(offsets)) if offsets else (text,)
        return parts

    def _row_strip(self, line: int, part: int, parts: Sequence[Text], frame: Frame, here: bool) -> Strip:
        """A row as Textual paints it where the cursor is not; `here` is whether the line is the cursor's."""
        theme = self._theme
        over = theme.cursor_line_style if here and theme else None
        text = parts[part].copy()
        text.end = ""
        if over is not None:
            text.stylize(over)
        strip = Strip(text.render(self.app.console), text.cell_len)
        if not self.soft_wrap:
            strip = strip.crop(frame.left, frame.left + frame.width)
        strip = strip.extend_cell_length(frame.width, over)
        if frame.gutter:
            number = str(line + self.line_number_start) if part == 0 else ""
            style = (theme.cursor_line_gutter_style if here else theme.gutter_style) if theme else None
            strip = Strip.join(
                [Strip([Segment(f"{number:>{frame.gutter - 2}}  ", style)], frame.gutter), strip]
            )
        return strip.apply_style(self._ground())

    def _ground(self) -> Style:
        """The style under everything, looked up once per theme."""
        if self._ground_style is None:
            base = self._theme.base_style if self._theme else None
            self._ground_style = base if base is not None else self.rich_style
        return self._ground_style

    def _marked(self, strip: Strip, line: int, part: int) -> Strip:
        """A row with the marks of the problem and of the section in its gutter."""
        width = self.gutter_width
        if not self.show_line_numbers or width < 3:
            return strip
        background = next((s.style.bgcolor for s in strip if s.style and s.style.bgcolor), None)
        marks = [self._problem_mark(line if part == 0 else -1), self._section_mark(line)]
        painted = [Segment(s.text, (s.style or Style()) + Style(bgcolor=background)) for s in marks]
        return Strip.join([strip.crop(0, width - 2), Strip(painted, 2), strip.crop(width)])

    def _problem_mark(self, line: int) -> Segment:
        found = self._diagnostics.get(line)
        if not found:
            return self._wording_mark(line)
        worst = min((d.severity for d in found), key=tuple(SEVERITY_SIGNS).index)
        return Segment(SEVERITY_SIGNS[worst], Style(color=looks_of(self).severity_color(worst), bold=True))

    def _wording_mark(self, line: int) -> Segment:
        """A quiet sign at an answer that is asked for in one wording alone."""
        raw = self.document.get_line(max(line, 0))
        once = (
            line >= 0
            and "#" in raw
            and asks_once(raw, read_line(raw, self.state_at(line), self._adapters)[0])
        )
        return Segment("·" if once else " ", Style(color=looks_of(self).colors.secondary))

    def _section_mark(self, line: int) -> Segment:
        raw, state = self.document.get_line(line), self.state_at(line)
        after, spans = read_line(raw, state, self._adapters)
        adapter = after.line.adapter
        if after.line.section is None or adapter is None:
            return Segment(" ")
        looks = looks_of(self)
        opens = bool(spans) and spans[0].kind is HighlightKind.FENCE
        if opens:
            return Segment(looks.sign(adapter), looks.style(adapter, bold=True))
        loss = self.show_loss and self._learned(line, raw, state, after)
        return Segment("▐" if loss else "▏", looks.style(adapter))

    def _learned(self, line: int, raw: str, state: AreaState, after: AreaState) -> bool:
        return bool(self._tokens.get(line)) if line in self._exact else carries_loss(raw, state, after)

    # Editing

    def update_suggestion(self) -> None:
        """Ghost text at the end of a line: the rest of what fits best, if there is something to go on."""
        self.suggestion = ""
        row, column = self.cursor_location
        before = self.document.get_line(row)
        if self.completer is None or column < len(before) or len(before.strip()) < 2:
            return
        rest = self.completer(before, row)
        self.suggestion = rest if "\n" not in rest else ""

    def action_document_end(self, direction: int, select: bool = False) -> None:
        """Move to the beginning (-1) or the end (1) of the document."""
        self.move_cursor((0, 0) if direction < 0 else self.document.end, select=select)

    async def _on_key(self, event: events.Key) -> None:
        put = ""
        if event.key == "tab":
            put = self.suggestion
        elif event.key == "enter" and not self.read_only and (indent := self._indent_of_frontmatter()):
            put = "\n" + indent
        if not put:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        self.insert(put)

    def _indent_of_frontmatter(self) -> str:
        row, column = self.cursor_location
        raw = self.document.get_line(row)
        if self.state_at(row).line.region not in ("frontmatter", "yaml-block") or column < len(raw.rstrip()):
            return ""
        lead = raw[: len(raw) - len(raw.lstrip(" "))]
        return lead + ("  " if raw.rstrip().endswith(":") and not raw.lstrip().startswith("#") else "")

    def put(self, text: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Replace a stretch as one undoable edit and leave the cursor behind it."""
        result = self.replace(text, start, end, maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    def replace_all(self, text: str) -> None:
        """Put `text` in place of everything as one undoable edit; the cursor stays where it can."""
        where = self.cursor_location
        self.history.checkpoint()
        self._verbatim = True
        try:
            self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        finally:
            self._verbatim = False
        self.history.checkpoint()
        row = min(where[0], self.document.line_count - 1)
        self.move_cursor((row, min(where[1], len(self.document.get_line(row)))))
