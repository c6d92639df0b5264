"""Nothing in shown text can steer a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.safetext import visible, visible_line, whole


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert visible("\x1b[31mred\x1b[0m") == "␛[31mred␛[0m"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [("\x00", "␀"), ("\r", "␍"), ("\x07", "␇"), ("\x7f", "␡"), ("\x9b", "\\x9b"), ("\u202e", "\\u202e")],
)
def test_each_steering_character_has_a_sign(raw: str, shown: str) -> None:
    assert visible(f"a{raw}b") == f"a{shown}b"


def test_lines_and_tabs_stay_in_text_and_are_shown_in_a_single_line() -> None:
    assert visible("a\n\tb") == "a\n\tb"
    assert visible_line("a\n\tb") == "a␊␉b"


def test_ordinary_text_in_any_script_is_untouched() -> None:
    text = "Größe 漢字 עברית 👩‍🚀 é"
    assert visible_line(text) == text


def test_a_file_name_that_is_not_utf8_can_be_written_out() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert visible_line(name).encode() == b"caf\\udce9"


@given(st.text(st.characters()))
def test_no_control_character_survives(text: str) -> None:
    shown = visible_line(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    shown.encode()


@given(st.text(), st.integers(min_value=0))
def test_a_stream_may_be_cut_anywhere(text: str, cut: int) -> None:
    at = cut % (len(text) + 1)
    assert visible(text[:at]) + visible(text[at:]) == visible(text)


@given(
    st.text(st.characters(), max_size=20)
    | st.binary(max_size=20).map(lambda b: b.decode(errors="surrogateescape"))
)
def test_whole_text_can_always_be_encoded_and_good_text_stays(text: str) -> None:
    whole(text).encode("utf-8")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        assert "\ufffd" in whole(text)
    else:
        assert whole(text) == text
