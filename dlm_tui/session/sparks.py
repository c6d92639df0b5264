"""Sparklines: a row of numbers between 0 and 1 as a row of characters."""

from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN = "_.-=^"


def spark(values: Sequence[float], width: int, *, unicode: bool = True) -> str:
    """At most `width` characters, each as high as its share of 0..1; of many values the newest in each part.

    The last value is always the last character; what is not a number counts as 0.
    """
    levels = _LEVELS if unicode else _PLAIN
    count = len(values)
    if width < 1 or not count:
        return ""
    places = range(count) if count <= width else ((n + 1) * count // width - 1 for n in range(width))
    shown = (min(1.0, max(0.0, values[place])) if values[place] == values[place] else 0.0 for place in places)
    return "".join(levels[min(len(levels) - 1, int(share * len(levels)))] for share in shown)
