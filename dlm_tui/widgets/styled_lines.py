"""The session's styled lines (see `session.text`) as Rich text in the colours of a theme."""

from collections.abc import Iterable, Mapping

from rich.style import Style
from rich.text import Text

from dlm_tui.session.signs import AdapterSign
from dlm_tui.session.text import ERROR, MARKED, NOTE, STRONG, WARNING, Line
from dlm_tui.widgets.looks import Looks


def adapter_signs(looks: Looks) -> dict[str, AdapterSign]:
    """The adapters' signs and colours, as reports draw them."""
    return {
        name: AdapterSign(name, looks.sign(name), looks.color(name), n) for n, name in enumerate(looks.names)
    }


def rich_text(lines: Iterable[Line], looks: Looks) -> Text:
    """The lines as one text; what wraps again is left to the widget."""
    colors = looks.colors
    known: Mapping[str, Style] = {
        NOTE: Style(color=colors.secondary),
        ERROR: Style(color=colors.error, bold=True),
        WARNING: Style(color=colors.warning),
        MARKED: Style(color=colors.warning, underline=True),
        STRONG: Style(color=colors.foreground, bold=True),
        "": Style(color=colors.foreground),
    }
    rows = []
    for line in lines:
        row = Text(end="")
        for style, text in line:
            row.append(text, known[style] if style in known else Style(color=style.removeprefix("fg:")))
        row.rstrip()
        rows.append(row)
    return Text("\n", end="").join(rows)
