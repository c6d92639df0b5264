"""Weights as bars of text with numbers beside them: for the one-shot prompt, the REPL and the workbench."""

from collections.abc import Mapping
from dataclasses import dataclass

from dlm_tui.session.signs import AdapterSign

_EIGHTHS = " ▏▎▍▌▋▊▉"
_MIN_BAR, _MIN_NOTED_BAR, _MAX_BAR = 3, 6, 30
_BASE_COLOR = "#8a8a8a"


@dataclass(frozen=True)
class BarLine:
    """One adapter's weight, in pieces that can be coloured apart.

    `name` is padded so that the bars of one routing stand in a column; `bar` has the width asked for;
    `number` is the weight with two decimals; `note` says more, with two spaces before it, or is empty.
    """

    sign: AdapterSign
    name: str
    bar: str
    number: str
    note: str = ""

    @property
    def plain(self) -> str:
        """The whole line without colour."""
        return f"{self.sign.sign} {self.name} {self.bar} {self.number}{self.note}".rstrip()


def bar(share: float, width: int, *, unicode: bool = True) -> str:
    """A bar of exactly `width` cells, filled for `share` (clipped to 0..1; not a number counts as 0).

    A share above 0 always shows something; only a full share fills the last cell.
    """
    if width <= 0:
        return ""
    share = min(1.0, max(0.0, share)) if share == share else 0.0
    if not unicode:
        full = round(share * width)
        full = min(max(full, int(share > 0)), width - int(share < 1))
        return "#" * full + "." * (width - full)
    eighths = round(share * width * 8)
    eighths = min(max(eighths, int(share > 0)), width * 8 - int(share < 1))
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[rest] if rest else "")
    return filled.ljust(width)


def bar_lines(
    weights: Mapping[str, float],
    signs: Mapping[str, AdapterSign],
    *,
    width: int,
    unicode: bool = True,
    notes: Mapping[str, str] | None = None,
    base: float = 0.0,
) -> list[BarLine]:
    """A line per adapter, in declared order, none wider than `width` cells; one more for the base where it
    has a share of its own.

    Names are cut before bars fall under three cells. Bars make room for notes down to six cells; where that
    is not enough, all notes are left out.
    """
    shown = [(sign, weights[name]) for name, sign in signs.items() if name in weights]
    if base > 0:
        shown.append((base_sign(len(shown), unicode=unicode), base))
    if not shown:
        return []
    longest = max(len(sign.name) for sign, _ in shown)
    name_width = max(1, min(longest, width - _MIN_BAR - 8))
    told = {name: f"  {note}" for name, note in (notes or {}).items() if note}
    room = width - name_width - 8
    if room - max(map(len, told.values()), default=0) < _MIN_NOTED_BAR:
        told = {}
    bar_width = min(_MAX_BAR, max(_MIN_BAR, room - max(map(len, told.values()), default=0)))
    lines = []
    for sign, weight in shown:
        name = cut(sign.name, name_width, unicode=unicode).ljust(name_width)
        drawn = bar(weight, bar_width, unicode=unicode)
        lines.append(BarLine(sign, name, drawn, f"{weight:.2f}", told.get(sign.name, "")))
    return lines


def base_sign(index: int = 0, *, unicode: bool = True) -> AdapterSign:
    """How the base is shown where it stands among adapters."""
    return AdapterSign("base", "·" if unicode else "-", _BASE_COLOR, index)


def cut(text: str, width: int, *, unicode: bool = True) -> str:
    """`text` in at most `width` characters, with a mark where something was cut off."""
    if len(text) <= width:
        return text
    mark = "…" if unicode else "~"
    return text[: max(0, width - 1)] + mark if width > 0 else ""
