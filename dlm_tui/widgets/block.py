"""Text that changes while one looks: painted again where it differs, laid out again where its height does."""

from rich.text import Text
from textual.widgets import Static


class Block(Static):
    """A `Static` for text that is told anew several times a second; telling the same again costs nothing."""

    def __init__(self, text: Text | str = "", *, id: str | None = None, classes: str = "") -> None:  # noqa: A002
        super().__init__(text, id=id, classes=classes, markup=False)
        self._shown: Text | None = None
        self._rows = -1

    def show(self, text: Text | str) -> None:
        """Show `text`."""
        wanted = Text(text, end="") if isinstance(text, str) else text
        if wanted == self._shown and wanted.style == self._shown.style:
            return
        rows = self._height_of(wanted)
        self._shown = wanted
        self.update(wanted, layout=rows != self._rows or rows < 0)
        self._rows = rows

    def _height_of(self, text: Text) -> int:
        """Lines that the text takes at the width of now; -1 where there is no width yet."""
        width = self.size.width
        if width <= 0:
            return -1
        if text.no_wrap:
            return text.plain.count("\n") + 1
        return len(text.wrap(self.app.console, width))

    def on_resize(self) -> None:
        self._rows = self._height_of(self._shown) if self._shown is not None else -1
