"""A text of one's own in pieces."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.errors import DocumentError
from dlm_core.evaluation.texts import MOST_PIECES, PIECE, load_text, split


@given(st.lists(st.text("ab \n", max_size=PIECE * 2), max_size=8).map("\n\n".join))
def test_pieces_hold_every_word_in_order_and_none_is_too_long(text: str) -> None:
    pieces = split(text)
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_short_paragraphs_share_a_piece() -> None:
    assert split("One.\n\nTwo.\n\nThree.") == ("One.\n\nTwo.\n\nThree.",)


def test_a_long_text_is_read_so_far(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("word " * (PIECE * MOST_PIECES // 4))
    pieces, cut = load_text(path)
    assert cut and len(pieces) == MOST_PIECES
    path.write_text("word " * 30)
    assert load_text(path)[1] is False


def test_what_says_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("too short")
    with pytest.raises(DocumentError, match="fewer than 20 words"):
        load_text(path)
    path.write_bytes(b"abc \xff")
    with pytest.raises(DocumentError, match="byte 4"):
        load_text(path)
    with pytest.raises(DocumentError, match="cannot be read"):
        load_text(tmp_path / "missing")
