"""Which panes are on screen and how wide: from the width, what was focused last, and what is hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

PaneName = Literal["editor", "dashboard", "chat"]
PANES: tuple[PaneName, ...] = ("editor", "dashboard", "chat")
TITLES: Mapping[PaneName, str] = {"editor": "Document", "dashboard": "Training", "chat": "Chat"}
THREE_FROM, TWO_FROM = 120, 90
DEFAULT_SHARES: Mapping[PaneName, float] = {"editor": 5.0, "dashboard": 4.0, "chat": 4.0}
STEP, LEAST, MOST = 1.25, 1.5, 14.0


@dataclass(frozen=True)
class Layout:
    """`visible` panes in their order, each with its share of the width; `tabs` where not all of them fit."""

    visible: tuple[PaneName, ...]
    shares: tuple[float, ...]
    tabs: bool


def arrange(
    width: int,
    recent: Sequence[PaneName],
    *,
    hidden: Sequence[PaneName] = (),
    zoomed: bool = False,
    shares: Mapping[PaneName, float] = DEFAULT_SHARES,
) -> Layout:
    """Lay the panes out.

    Args:
        width: columns of the terminal: three panes from 120, two from 90, one below.
        recent: panes by when they had the focus, latest first. The first one is always visible.
        hidden: panes the person took away; they count as absent unless focused.
        zoomed: only the focused pane.
        shares: relative widths.
    """
    order = list(dict.fromkeys([*recent, *PANES]))
    wanted = [pane for pane in order if pane == order[0] or pane not in hidden]
    room = 3 if width >= THREE_FROM else 2 if width >= TWO_FROM else 1
    chosen = wanted[: 1 if zoomed else room]
    visible = tuple(pane for pane in PANES if pane in chosen)
    widths = tuple(shares.get(pane, DEFAULT_SHARES[pane]) for pane in visible)
    return Layout(visible, widths, tabs=room < 3 or zoomed)


def resized(shares: Mapping[PaneName, float], pane: PaneName, *, wider: bool) -> dict[PaneName, float]:
    """The shares after making `pane` wider or narrower by one step, within bounds."""
    current = {name: shares.get(name, DEFAULT_SHARES[name]) for name in PANES}
    factor = STEP if wider else 1 / STEP
    current[pane] = min(MOST, max(LEAST, current[pane] * factor))
    return current
