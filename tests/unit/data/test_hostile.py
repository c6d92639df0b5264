"""Whatever a file holds: rows, notes or a sentence, in bounded time; never another exception."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dlm_core.data.columns import Columns
from dlm_core.data.formats import NAMED
from dlm_core.data.gather import Reading, Source, read_source
from dlm_core.data.importing import Wanted, prepare
from dlm_core.data.json_files import MAX_LINE
from dlm_core.data.rows import Topic
from dlm_core.errors import DlmError
from tests.unit.data.conftest import Read, asked, notes

pieces = st.sampled_from([
    b"question,answer\n", b'"', b",",
    b"\n", b"\r\n", b"a", b"\xff", b"\xef\xbb\xbf", b"\0", b"[", b"]", b"{", b"}",
    b'{"messages": [', b'{"role": "user", "content": "x"}', b'{"prompt": 1, "completion": [2]}',
    b'"chosen": ', b"null",
    b"# What?\n", b"**Why?**", b"<details>", b"<summary>", b"</summary>", b"</details>",
    b"<h2>", b"<dt>", b"<dd>",
    b"- ", b"1. ", b"```", b"> ", b"Q: ", b"\nA: ", b"<script type='application/ld+json'>",
    b"</script>", b"<!--",
    b"---\n", b"::prose::", b"|", b"\t",
])  # fmt: skip


@given(st.lists(st.one_of(pieces, st.binary(max_size=4)), max_size=20), st.sampled_from(NAMED))
@example([b"</summary>"], "html")
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused_in_words(tmp_path: Path, content: list[bytes], form: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"".join(content))
    for headings in ("auto", "all"):
        reading = Reading(columns=Columns(adapter=None), headings=headings)  # type: ignore[arg-type]
        try:
            list(read_source(Source("x", path, form), reading))
            prepare([str(path)], tmp_path / "x.dlm", None, Wanted(Reading(format=form)))
        except DlmError as error:
            assert error.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.json", b"[" * 100_000),
        ("deep.jsonl", b'{"prompt": ' + b'{"content": ' * 900 + b'"x"' + b"}" * 901),
        ("deep.html", b"<div>" * 50_000 + b"<h2>Why?</h2>so"),
        ("deep.html", b"<h2>Why?</h2>" + b"<b>" * 50_000),
        ("deep.md", b"> " * 20_000 + b"x"),
        ("open.md", b"</summary>" + b"<summary>" * 20_000),
        ("spaces.md", b"q" + b" " * 100_000 + b"x\n" + b"[" * 100_000),
        ("stars.md", b"**" * 20_000),
        ("quote.csv", b'question,answer\n"' + b"x,y\n" * 50_000),
    ],
)
@pytest.mark.slow
def test_nesting_and_repetition_take_no_time_and_no_stack(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    started = time.process_time()
    try:
        prepare([str(tmp_path / name)], tmp_path / "x.dlm", None, Wanted())
    except DlmError as error:
        assert error.message
    assert time.process_time() - started < 10


@pytest.mark.parametrize("name", ["x.md", "x.html", "x.json"])
def test_files_that_would_not_fit_into_memory_are_refused(
    read: Read, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("dlm_core.data.gather.MAX_PAGE_BYTES", 1 << 20)
    monkeypatch.setattr("dlm_core.data.json_files.MAX_JSON_BYTES", 1 << 20)
    with pytest.raises(DlmError, match="larger than 1 MiB"):
        read(name, b" " * (1 << 20) + b"x")


def test_a_line_beyond_all_bounds_is_named_and_the_next_is_read(read: Read) -> None:
    items = read("x.jsonl", b'{"a": "' + b"x" * MAX_LINE + b'"}\n{"prompt": "a", "completion": "b"}\n')
    assert asked(items) == [("a", "b")]
    (note,) = notes(items)
    assert note.topic is Topic.UNREADABLE and note.place.line == 1
