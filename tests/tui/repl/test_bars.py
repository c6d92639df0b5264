"""Bars and signs: every adapter is told apart without colour, and widths hold."""

import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_tui.session.bars import bar, bar_lines, cut
from dlm_tui.session.signs import adapter_signs, can_show_unicode, wants_color

NAMES = ("knowledge", "tone", "procedure")


@given(st.floats(allow_nan=True), st.integers(0, 60), st.booleans())
def test_a_bar_has_exactly_its_width(share: float, width: int, unicode: bool) -> None:
    drawn = bar(share, width, unicode=unicode)
    assert len(drawn) == width
    assert unicode or drawn.isascii()


def test_a_little_shows_and_only_all_is_full() -> None:
    assert bar(0.0001, 5).strip()
    assert not bar(0.0, 5).strip()
    assert bar(1.0, 5) == "█████"
    assert bar(0.9999, 5) != "█████"
    assert bar(0.001, 5, unicode=False) == "#...."
    assert bar(0.999, 5, unicode=False) == "####."
    assert bar(math.nan, 3, unicode=False) == "..."


def test_more_weight_never_draws_a_shorter_bar() -> None:
    filled = [len(bar(n / 100, 20).rstrip()) for n in range(101)]
    assert filled == sorted(filled)


@given(
    st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True), min_size=1, max_size=9, unique=True),
    st.integers(20, 200),
    st.booleans(),
)
def test_lines_fit_and_carry_sign_and_number(names: list[str], width: int, unicode: bool) -> None:
    weights = {name: 1 / len(names) for name in names}
    lines = bar_lines(weights, adapter_signs(names, unicode=unicode), width=width, unicode=unicode)
    assert len(lines) == len(names)
    for line in lines:
        assert len(line.plain) <= width
        assert line.plain.startswith(line.sign.sign)
        assert line.plain.endswith(f"{1 / len(names):.2f}")


def test_lines_stand_in_declared_order_with_bars_in_a_column() -> None:
    lines = bar_lines({"tone": 0.2, "knowledge": 0.8}, adapter_signs(NAMES), width=60)
    assert [line.sign.name for line in lines] == ["knowledge", "tone"]
    assert len({len(line.name) for line in lines}) == 1


def test_a_note_is_shown_where_it_fits() -> None:
    signs, weights = adapter_signs(NAMES), {"tone": 1.0}
    notes = {"tone": "openness 0.21"}
    assert bar_lines(weights, signs, width=80, notes=notes)[0].plain.endswith("openness 0.21")
    narrow = bar_lines(weights, signs, width=38, notes=notes)[0].plain
    assert narrow.endswith("1.00  openness 0.21") and len(narrow) <= 38
    assert bar_lines(weights, signs, width=30, notes=notes)[0].plain.endswith("1.00")


@pytest.mark.parametrize("unicode", [True, False])
def test_no_two_adapters_of_a_document_look_alike(unicode: bool) -> None:
    signs = adapter_signs([f"a{n}" for n in range(40)], unicode=unicode)
    assert len({(s.sign, s.color) for s in signs.values()}) == 40
    assert all(len(s.sign) == 1 for s in signs.values())
    few = adapter_signs(NAMES, unicode=unicode)
    assert len({s.sign for s in few.values()}) == len({s.color for s in few.values()}) == 3


def test_unicode_depends_on_encoding_and_terminal() -> None:
    utf8 = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert can_show_unicode(utf8, {"TERM": "xterm-256color"})
    assert not can_show_unicode(utf8, {"TERM": "dumb"})
    assert not can_show_unicode(latin, {"TERM": "xterm"})


def test_color_can_be_declined() -> None:
    assert wants_color({"TERM": "xterm"})
    assert wants_color({"TERM": "xterm", "NO_COLOR": ""})
    assert not wants_color({"TERM": "xterm", "NO_COLOR": "1"})
    assert not wants_color({"TERM": "dumb"})


def test_cutting_marks_what_is_missing() -> None:
    assert cut("knowledge", 5) == "know…"
    assert cut("tone", 5) == "tone"
    assert cut("knowledge", 4, unicode=False) == "kno~"
    assert cut("knowledge", 0) == ""
