"""`dlm check` and `dlm init`: every problem with its place, and a beginning that has none."""

import json
from pathlib import Path

from dlm_core import oneshot
from dlm_core.oneshot import LossRow, LossToken
from tests.fakes.engine import FakeEngine
from tests.unit.cli.conftest import Run

SAMPLES = Path(__file__).parents[3] / "sample_docs"


def test_a_good_document_passes(run: Run, document: Path) -> None:
    result = run("check", document)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no problems" in result.stderr


def test_errors_are_listed_with_their_place_and_exit_1(run: Run) -> None:
    result = run("check", SAMPLES / "mistakes.dlm")
    assert result.exit_code == 1
    assert "mistakes.dlm:27:15: error: no adapter is called `tnoe`" in result.stdout
    assert "hint: did you mean `tone`?" in result.stdout
    assert "18 errors, 4 warnings" in result.stderr


def test_warnings_alone_pass(run: Run) -> None:
    result = run("check", SAMPLES / "cold-start.dlm")
    assert result.exit_code == 0
    assert "warning:" in result.stdout


def test_json_lists_diagnostics_under_the_promised_keys(run: Run) -> None:
    result = run("check", "--json", SAMPLES / "mistakes.dlm")
    assert result.exit_code == 1
    diagnostics = json.loads(result.stdout)["diagnostics"]
    keys = {"line", "column", "end_line", "end_column", "severity", "code", "message", "hint"}
    assert {key for diagnostic in diagnostics for key in diagnostic} == keys
    assert result.stderr == ""


def test_json_of_a_good_document_is_an_empty_list(run: Run, document: Path) -> None:
    assert json.loads(run("check", "--json", document).stdout) == {"diagnostics": []}


def test_a_missing_file_is_a_diagnostic_not_a_traceback(run: Run, tmp_path: Path) -> None:
    result = run("check", tmp_path / "nowhere.dlm", "--json")
    assert result.exit_code == 1
    assert "cannot be read" in json.loads(result.stdout)["diagnostics"][0]["message"]


def test_mask_marks_the_tokens_that_carry_loss(run: Run, document: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    class Masking(FakeEngine):
        def mask(self, path: Path) -> list[LossRow]:
            tokens = [("user: ", False), ("Why?\n", False), ("Because", True), (".", True), ("\x1b", False)]
            return [LossRow("Why?", "tone", tuple(LossToken(*token) for token in tokens))]

    monkeypatch.setattr(oneshot, "engine_factory", Masking)
    result = run("check", "--mask", document)
    assert result.stdout == "── Why? (tone) ──\nuser: Why?\n⟦Because.⟧␛\n\n"
    rows = json.loads(run("check", "--mask", "--json", document).stdout)["mask"]
    assert rows[0]["tokens"][2] == {"text": "Because", "carries_loss": True}


def test_mask_of_a_broken_document_lists_its_problems_only(run: Run, engine: FakeEngine) -> None:
    result = run("check", "--mask", SAMPLES / "mistakes.dlm")
    assert result.exit_code == 1
    assert engine.calls == []
