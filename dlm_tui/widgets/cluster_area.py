"""A text area that steps, deletes and wraps by grapheme cluster, and keeps every byte of what it loads."""

from rich.cells import cell_len
from textual import events
from textual._cells import cell_width_to_column_index
from textual.document._document_navigator import DocumentNavigator
from textual.expand_tabs import expand_tabs_inline
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult, Location, WrappedDocument

from dlm_core.safetext import whole
from dlm_tui.widgets.area_document import AreaDocument
from dlm_tui.widgets.graphemes import after, before, column_at, shown, snapped


class ClusterArea(TextArea):
    """TextArea over an `AreaDocument`."""

    _verbatim = False  # line ends of an edit stay as they are, and are not made those of the document

    def _set_document(self, text: str, language: str | None) -> None:
        self._highlight_query = None
        self.document = AreaDocument(text)
        self.wrapped_document = WrappedDocument(self.document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)
        self.move_cursor((0, 0))
        self._rewrap_and_refresh_virtual_size()

    def edit(self, edit: Edit) -> EditResult:
        """Make an edit; new lines end as the document's do."""
        edit.text = whole(edit.text)
        if not self._verbatim:
            edit.text = edit.text.replace("\r\n", "\n").replace("\n", self.document.newline)
        return super().edit(edit)

    async def _on_paste(self, event: events.Paste) -> None:
        # Terminals send a carriage return for a new line. TextArea's own handler runs after this one.
        event.text = event.text.replace("\r\n", "\n").replace("\r", "\n")

    def clamp_visitable(self, location: Location) -> Location:
        """The nearest place for the cursor, which is never inside a cluster."""
        row, column = super().clamp_visitable(location)
        return row, snapped(self.document[row], column)

    def get_cursor_left_location(self) -> Location:
        """One cluster to the left, or the end of the line above."""
        row, column = self.cursor_location
        return (row, before(self.document[row], column)) if column else super().get_cursor_left_location()

    def get_cursor_right_location(self) -> Location:
        """One cluster to the right, or the beginning of the line below."""
        row, column = self.cursor_location
        line = self.document[row]
        return (row, after(line, column)) if column < len(line) else super().get_cursor_right_location()

    def get_cursor_word_left_location(self) -> Location:
        """The beginning of the word before the cursor."""
        return self.clamp_visitable(super().get_cursor_word_left_location())

    def get_column_width(self, row: int, column: int) -> int:
        """Cells from the beginning of a line to a column."""
        return cell_len(expand_tabs_inline(shown(self.document[row])[:column], self.indent_width))

    def cell_width_to_column_index(self, cell_width: int, row_index: int) -> int:
        """The column of the cluster that a cell of a line belongs to."""
        line = shown(self.document[row_index])
        return column_at(line, cell_width, self.indent_width, cell_width_to_column_index)
