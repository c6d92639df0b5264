"""One sign and one colour per adapter, the same everywhere; the sign tells it apart without colour."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

SIGNS = "●▲■◆✚★▼♠"
ASCII_SIGNS = "o^%*+x@&"

COLORS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#f0e442", "#0072b2")
"""Okabe and Ito's palette (Color Universal Design, 2008), told apart under all common colour deficiencies."""


@dataclass(frozen=True)
class AdapterSign:
    """How one adapter is shown.

    Args:
        name: the adapter.
        sign: one character, one cell wide.
        color: `#rrggbb`; a theme may put its own colour of the same index in its place.
        index: the adapter's place among those declared, from 0.
    """

    name: str
    sign: str
    color: str
    index: int


def adapter_signs(adapters: Sequence[str], *, unicode: bool = True) -> dict[str, AdapterSign]:
    """The signs by adapter, given in declared order; `unicode` False gives signs that any terminal has.

    There are more signs than colours, so that the pair of both repeats late.
    """
    signs = SIGNS if unicode else ASCII_SIGNS
    return {
        name: AdapterSign(name, signs[i % len(signs)], COLORS[i % len(COLORS)], i)
        for i, name in enumerate(adapters)
    }


def can_show_unicode(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether block characters and signs can be shown: by the stream's encoding and the terminal."""
    if environment.get("TERM") in ("dumb", "linux"):
        return False
    try:
        (SIGNS + "█▏").encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def wants_color(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether colours are welcome: no NO_COLOR (no-color.org: set and not empty), no dumb terminal."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
