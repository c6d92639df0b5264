"""CSV and TSV: columns guessed or named, encodings found, places kept."""

import pytest

from dlm_core.data.columns import Columns
from dlm_core.data.gather import Reading
from dlm_core.data.rows import Topic
from dlm_core.errors import DataError, UsageError
from tests.unit.data.conftest import Read, asked, notes, rows


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_columns_are_found_by_their_headings_and_said(read: Read, sign: str) -> None:
    content = f"id{sign}Question{sign}Answer{sign}Adapter\n1{sign}Where?{sign}Here.{sign}Facts\n"
    items = read("faq.csv", content)
    assert asked(items) == [("Where?", "Here.")]
    assert rows(items)[0].adapter == "Facts"
    (note,) = notes(items)
    assert note.topic is Topic.GUESSED and "`Question`" in note.message and "`Answer`" in note.message


def test_two_columns_need_no_known_names(read: Read) -> None:
    assert asked(read("x.csv", "zig,zag\nWhere?,Here.\n")) == [("Where?", "Here.")]


def test_places_are_lines_of_the_file_also_below_cells_of_several_lines(read: Read) -> None:
    items = read("faq.csv", 'question,answer\n"a\nb",c\n\nd,e\n')
    assert [(row.place.row, row.place.line) for row in rows(items)] == [(1, 2), (2, 5)]
    assert asked(items)[0] == ("a\nb", "c")


def test_columns_may_be_named_or_numbered_and_a_table_may_have_no_headings(read: Read) -> None:
    content = "alpha,beta,gamma\n1,2,3\n"
    assert asked(read("x.csv", content, Reading(columns=Columns(("gamma",), "1")))) == [("3", "1")]
    plain = Reading(columns=Columns(("2",), "3"), header=False)
    assert asked(read("x.csv", content, plain)) == [("beta", "gamma"), ("2", "3")]


def test_a_table_that_begins_with_a_question_has_no_headings(read: Read) -> None:
    items = read("x.csv", "\nWhere is it?,Here.\nWho?,Me.\n")
    assert asked(items) == [("Where is it?", "Here."), ("Who?", "Me.")]
    assert [row.place.line for row in rows(items)] == [2, 3]


def test_what_excel_says_of_its_columns_is_understood(read: Read) -> None:
    assert asked(read("x.csv", 'sep=;\nquestion;answer, long\n"a;b";c\n')) == [("a;b", "c")]


def test_unknown_columns_are_an_error_that_lists_those_there_are(read: Read) -> None:
    with pytest.raises(DataError, match="`zig`, `zag`, `zog`") as raised:
        read("x.csv", "zig,zag,zog\n1,2,3\n")
    assert "--question" in raised.value.hint
    with pytest.raises(UsageError, match="no column 'nope'"):
        read("x.csv", "zig,zag\n1,2\n", Reading(columns=Columns(("nope",))))


def test_a_row_that_is_too_short_is_named_and_the_rest_goes_on(read: Read) -> None:
    items = read("x.csv", "question,answer\nalone\na,b\n")
    assert asked(items) == [("a", "b")]
    assert [n.place.line for n in notes(items) if n.topic is Topic.UNREADABLE] == [2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1251", "windows-1252"])
def test_encodings_are_found_and_guesses_said(read: Read, encoding: str) -> None:
    words = "Где находится библиотека и когда она открыта для всех читателей?"
    if encoding == "windows-1252":
        words = "Où se trouve la bibliothèque et à quelle heure ouvre-t-elle après l'été près du château?"
    content = f"question,answer\n{words},{words}\n" * 3
    items = read("faq.csv", content.encode(encoding))
    assert asked(items)[0] == (words, words)
    guessed = [n.message for n in notes(items) if n.topic is Topic.GUESSED and "read as" in n.message]
    assert len(guessed) == (encoding.startswith("windows"))


def test_an_encoding_may_be_named_and_must_exist_and_fit(read: Read) -> None:
    data = "question,answer\nä,ö\n".encode("cp437")
    assert asked(read("x.csv", data, Reading(encoding="cp437"))) == [("ä", "ö")]
    with pytest.raises(UsageError, match="no encoding called"):
        read("x.csv", data, Reading(encoding="klingon"))
    with pytest.raises(DataError, match=r"x\.csv:2: the bytes here are not utf-8"):
        read("x.csv", data, Reading(encoding="utf-8"))
    with pytest.raises(DataError, match="no text"):
        read("x.csv", b"\x89PNG\0\0\0\xff\xfe\0")
