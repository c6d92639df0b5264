"""From a file to a document or an error in words, and diagnostics as people and programs get them."""

import json
import os
from pathlib import Path

import pytest

from dlm_core.document import Diagnostic, Span, load, parse_file, parse_text
from dlm_core.document.report import as_dict, as_text
from dlm_core.errors import DocumentError

GOOD = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n---\ntext\n"


def test_a_good_file_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "a.dlm"
    file.write_text(GOOD, encoding="utf-8")
    document = load(file)
    assert document.path == file
    assert [section.text for section in document.sections] == ["text"]


def test_load_lists_every_error_with_its_place_and_hint(tmp_path: Path) -> None:
    file = tmp_path / "a.dlm"
    file.write_text(GOOD.replace("base_model", "base_modle") + "::Prose::\nx\n", encoding="utf-8")
    with pytest.raises(DocumentError) as raised:
        load(file)
    message = raised.value.message
    assert (
        f"{file}:3:1: error: unknown key `base_modle` (unknown-key)\n  hint: did you mean `base_model`?"
        in message
    )
    assert f"{file}:6:1: error:" in message
    assert f"{file}:1:1: error: `base_model` is missing (missing-key)" in message


def test_load_passes_over_warnings(tmp_path: Path) -> None:
    file = tmp_path / "a.dlm"
    file.write_text(GOOD + "::prose::\n", encoding="utf-8")
    assert load(file).sections


def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (
        tmp_path / "none.dlm",
        tmp_path,
        tmp_path / "pipe",
        tmp_path / "a\0b",
        tmp_path / ("x" * 5000),
    ):
        parsed = parse_file(path)
        assert parsed.document is None
        assert [d.code for d in parsed.diagnostics] == ["unreadable"]
    with pytest.raises(DocumentError, match="cannot be read: No such file"):
        load(tmp_path / "none.dlm")


def test_a_file_name_cannot_steer_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "\x1b]0;owned\x07.dlm"
    file.write_text("no", encoding="utf-8")
    with pytest.raises(DocumentError) as raised:
        load(file)
    assert "\x1b" not in str(raised.value)
    assert "␛" in str(raised.value)


def test_json_has_exactly_the_promised_keys() -> None:
    (diagnostic,) = parse_text("\x1b[31m").diagnostics
    assert list(as_dict(diagnostic)) == [
        "line", "column", "end_line", "end_column", "severity", "code", "message", "hint"
    ]  # fmt: skip
    assert json.loads(json.dumps(as_dict(diagnostic))) == as_dict(diagnostic)


def test_text_has_place_severity_message_code_and_hint() -> None:
    diagnostic = Diagnostic(Span(2, 3, 2, 5), "warning", "no-effect", "a\x1bb", "c\nd")
    assert as_text(diagnostic, Path("x.dlm")) == "x.dlm:2:3: warning: a␛b (no-effect)\n  hint: c␊d"


def test_control_characters_of_a_document_never_reach_a_message() -> None:
    hostile = "\x1b[2J\x9b31m\u202e"
    text = f'---\n"{hostile}": 1\n---\n::{hostile}::\n::prose#{hostile}::\nx\n'
    shown = "".join(
        as_text(d) + json.dumps(as_dict(d), ensure_ascii=False) for d in parse_text(text).diagnostics
    )
    assert not {"\x1b", "\x9b", "\u202e"} & set(shown)
