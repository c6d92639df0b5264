"""However a command ends, a person reads a sentence and scripts read an exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_core import oneshot
from tests.fakes.engine import FakeEngine, Script
from tests.unit.cli.conftest import Run


def test_an_unknown_command_names_the_nearest(run: Run) -> None:
    result = run("trian")
    assert result.exit_code == 2
    assert "train" in result.stderr


def test_an_unknown_option_is_a_usage_error(run: Run, document: Path) -> None:
    result = run("check", document, "--jsn")
    assert result.exit_code == 2
    assert "--json" in result.stderr


def test_what_nobody_foresaw_is_one_sentence_and_a_log(
    run: Run, document: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oneshot, "engine_factory", lambda: FakeEngine(Script(raise_on="boom")))
    result = run("prompt", document, "boom")
    assert result.exit_code == 1
    assert "ZeroDivisionError: a fault in the fake engine" in result.stderr
    assert "Traceback" not in result.output
    (log,) = (home / "logs").glob("error-*.log")
    assert str(log) in result.stderr
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_home_that_cannot_be_written_does_not_hide_the_failure(
    run: Run, document: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write_text("a file where a folder should be")
    monkeypatch.setattr(oneshot, "engine_factory", lambda: FakeEngine(Script(raise_on="boom")))
    result = run("prompt", document, "boom")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert "the log could not be written" in result.stderr


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_drama(document: Path) -> None:
    program = "from dlm_tui.cli import main; import sys; sys.argv = ['dlm', 'check', sys.argv[1]]; main()"
    mistakes = Path(__file__).parents[3] / "sample_docs" / "mistakes.dlm"
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(mistakes)],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writing)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


def test_escape_sequences_in_a_file_name_are_shown(run: Run, tmp_path: Path) -> None:
    for command in (["check"], ["show"], ["train"], ["prompt", "--gate", "off"]):
        result = run(command[0], tmp_path / "x\x1b[31m.dlm", *command[1:], stdin="hi")
        assert result.exit_code == 1
        assert "\x1b" not in result.output
