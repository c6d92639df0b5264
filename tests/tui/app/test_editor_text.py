"""The editor keeps the bytes of what it opens, and treats what a reader sees as one character as one."""

from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style
from textual._cells import cell_width_to_column_index
from wcwidth import iter_graphemes

from dlm_core.document.lines import Lines, normalised
from dlm_tui.session import drafts
from dlm_tui.widgets.area_document import AreaDocument
from dlm_tui.widgets.area_rows import RowPlaces
from dlm_tui.widgets.graphemes import (
    ClusterText,
    after,
    before,
    column_at,
    in_cells,
    shown,
    snapped,
)
from tests.tui.app.conftest import DOCUMENT, Open

FAMILY, SKIN, HEART, FLAG = "👨‍👩‍👧‍👦", "👩🏽", "❤️", "🇩🇪"
CLUSTERS = (FAMILY, SKIN, HEART, FLAG, "e\u0301", "각", "🏴\U000e0067\U000e0062\U000e007f", "☕️")
PIECES = st.sampled_from(
    [
        "a",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x85",
        "\u2028",
        "\u2029",
        "\ufeff",
        "é",
        *CLUSTERS,
    ]
)
TEXTS = st.lists(PIECES, max_size=24).map("".join)
ODD = [
    b"",
    b"\n",
    b"no end",
    b"\xef\xbb\xbf---\r\nmixed\nends\r\n",
    b"\xef\xbb\xbf\xef\xbb\xbftwo marks\n",
    b"old\rmac\rends\r",
    b"form\x0cfeed\x0b\x1c\x1d\x1e\n\x0c",
    "next\x85line\u2028and\u2029paragraph\r\n".encode(),
    b"\r\r\n\n\r\n\r",
    b"\x00nul\n",
]


@given(st.binary(max_size=40) | TEXTS.map(str.encode))
@example(b"\r")
@example(b"\xef\xbb\xbf\r\n")
def test_what_opens_is_saved_as_the_same_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return  # it does not open
    bom = text.startswith("\ufeff")
    document = AreaDocument(text.removeprefix("\ufeff"))
    assert (("\ufeff" if bom else "") + document.text).encode() == data


@given(TEXTS)
def test_the_editor_has_the_lines_that_diagnostics_count(text: str) -> None:
    rows = Lines(normalised("\ufeff" + text)).rows
    assert [line.rstrip("\r") for line in AreaDocument(text).lines] == rows


@given(TEXTS, TEXTS, st.data())
def test_any_edit_is_an_edit_of_the_text_and_its_inverse_brings_the_bytes_back(
    text: str, new: str, data: st.DataObject
) -> None:
    document = AreaDocument(text)

    def place() -> tuple[int, int]:
        row = data.draw(st.integers(0, len(document.lines)))
        return row, data.draw(st.integers(0, len(document.lines[row]) if row < len(document.lines) else 3))

    start, end = sorted((place(), place()))
    head, tail = document.get_text_range((0, 0), start), document.get_text_range(end, document.end)
    result = document.replace_range(start, end, new)
    assert document.text == head + new + tail
    top = min(start, AreaDocument(head).end)
    document.replace_range(top, result.end_location, result.replaced_text)
    assert document.text == text


@pytest.mark.parametrize("data", ODD)
def test_reading_and_writing_a_file_is_the_same_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.dlm"
    path.write_bytes(data)
    seen = drafts.read(path)
    drafts.write(path, AreaDocument(seen.text).text, bom=seen.bom)
    assert path.read_bytes() == data


async def test_opening_and_saving_without_an_edit_changes_no_byte(open_workbench: Open) -> None:
    text = "\ufeff" + DOCUMENT.replace("\n", "\r\n", 3).replace("Ada does.", "Ada\x0c does\u2028 it\r here.")
    async with open_workbench(text=text) as stage:
        editor = stage.bench.editor
        assert not editor.unsaved and stage.path.read_bytes() == text.encode()
        await stage.pilot.press("f2")
        await stage.pilot.pause(0.2)
        assert not editor.unsaved and stage.path.read_bytes() == text.encode()
        await stage.pilot.press("ctrl+end", "x", "backspace", "f2")
        await stage.until(lambda: not editor.unsaved, "saving")
        assert stage.path.read_bytes() == text.encode()


async def test_a_new_line_ends_as_the_documents_do_and_undo_is_exact(open_workbench: Open) -> None:
    text = DOCUMENT.replace("\n", "\r\n")
    async with open_workbench(text=text) as stage:
        area = stage.bench.editor.area
        area.move_cursor(area.document.end)
        await stage.pilot.press("enter", "x")
        assert area.text == text + "\r\nx"
        area.undo()
        area.undo()
        assert area.text == text


async def test_a_paste_may_hold_anything(open_workbench: Open) -> None:
    from textual.events import Paste

    async with open_workbench() as stage:
        area = stage.bench.editor.area
        area.focus()
        area.move_cursor(area.document.end)
        stage.app.post_message(Paste("one\rtwo\r\nthree\x0cfour"))
        await stage.until(lambda: "three" in area.text, "the paste")
        assert area.text == DOCUMENT + "one\ntwo\nthree\x0cfour"


@given(st.lists(st.sampled_from(["a", "\t", "中", "\x0c", *CLUSTERS]), max_size=8))
def test_steps_land_between_clusters_and_nowhere_else(parts: list[str]) -> None:
    line = "x".join(parts)  # letters between them, or flags would pair anew
    borders, column = [0], 0
    while column < len(line):
        column = after(line, column)
        borders.append(column)
    assert [snapped(line, c) for c in range(len(line) + 1) if snapped(line, c) == c] == borders
    assert [before(line, c) for c in borders[1:]] == borders[:-1]


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_is_one_character_of_its_own_width(cluster: str) -> None:
    line = f"a{cluster}b"
    cells = in_cells(line)
    assert len(cells.text) == 3 and cell_len(cells.text) == cell_len(line)
    width = cell_len(cluster)
    assert column_at(line, 1, 2, cell_width_to_column_index) == 1
    assert column_at(line, 1 + width, 2, cell_width_to_column_index) == 1 + len(cluster)
    assert shown(line) == line


@given(
    st.text(
        st.sampled_from("ab ❤中각\u1100\u11a8\u0301\u200d\ufe0f👩🏽🇩🇪☕\u0600\u0915\u093f\r\t\xa9"),
        max_size=30,
    )
)
def test_clusters_are_those_of_the_library_wherever_they_are_looked_for(line: str) -> None:
    clusters = list(iter_graphemes(line))
    cells = in_cells(line)
    assert len(cells.text) == len(clusters)
    assert [cells.column(i) for i in range(len(clusters) + 1)] == [*accumulate(map(len, clusters), initial=0)]


def test_a_joiner_alone_is_shown_as_a_sign_and_columns_stay() -> None:
    assert shown("a\u200d\x0cb") == "a�␌b" or len(shown("a\u200d\x0cb")) == 4


def test_styles_never_begin_inside_a_cluster() -> None:
    text = ClusterText(f"a{FAMILY}b", end="")
    text.stylize(Style(reverse=True), 3, 4)
    assert [(span.start, span.end) for span in text.spans] == [(1, 1 + len(FAMILY))]


@given(st.lists(st.sampled_from(["a", "bb ", "中", *CLUSTERS]), max_size=30), st.integers(4, 12))
def test_rows_are_cut_between_clusters_and_fit(parts: list[str], width: int) -> None:
    line = "".join(parts)
    places = RowPlaces(AreaDocument(line), width, 2)
    cuts = [*places.rows_of(0), len(line)]
    assert all(snapped(line, cut) == cut for cut in cuts)
    rows = [line[a:b] for a, b in pairwise(cuts)]
    assert all(cell_len(row.rstrip()) <= width for row in rows)


async def test_one_key_steps_over_a_cluster_and_one_deletes_it(open_workbench: Open) -> None:
    text = DOCUMENT.replace("Ada does.", f"{FAMILY}{SKIN}{HEART}x")
    async with open_workbench(text=text) as stage:
        area = stage.bench.editor.area
        row = next(i for i, line in enumerate(area.document.lines) if line.startswith(FAMILY))
        area.focus()
        area.move_cursor((row, 0))
        await stage.pilot.press("right", "right")
        assert area.cursor_location == (row, len(FAMILY + SKIN))
        await stage.pilot.press("backspace")
        assert area.document.get_line(row) == f"{FAMILY}{HEART}x"
        await stage.pilot.press("delete")
        assert area.document.get_line(row) == f"{FAMILY}x"
        await stage.pilot.press("left", "down", "up")
        assert area.cursor_location == (row, 0)
        area.move_cursor((row, 3))
        assert area.cursor_location == (row, 0), "never inside"
        await stage.pilot.press("f2")
        await stage.until(lambda: not stage.bench.editor.unsaved, "saving")
        assert f"{FAMILY}x" in stage.path.read_text("utf-8")


async def test_borders_stay_where_they_are_beside_emoji(open_workbench: Open) -> None:
    text = DOCUMENT.replace("Ada does.", f"{FAMILY}{SKIN}{HEART}{FLAG} end")
    async with open_workbench(text=text) as stage:
        area = stage.bench.editor.area
        row = next(i for i, line in enumerate(area.document.lines) if line.startswith(FAMILY))
        area.focus()
        for column in (0, len(FAMILY), len(FAMILY + SKIN)):
            area.move_cursor((row, column))
            await stage.pilot.pause()
            y = area.wrapped_document.location_to_offset((row, 0)).y - area.scroll_offset.y
            strip = area.render_line(y)
            plain = area.render_line(y - 1)
            assert strip.cell_length == plain.cell_length == sum(cell_len(s.text) for s in strip)
