"""`dlm check` and `dlm init`: every problem with its place, and a beginning that has none."""

import json
import re
from itertools import count
from pathlib import Path

import pytest

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.events import MaskedRow
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


def test_json_of_a_good_document_lists_nothing_and_counts_its_wordings(run: Run, document: Path) -> None:
    assert json.loads(run("check", "--json", document).stdout) == {
        "diagnostics": [],
        "wordings": {"answers": 6, "single": 6},
    }


def test_answers_with_a_single_wording_are_counted_and_are_no_problem(run: Run, document: Path) -> None:
    assert "no problems; 6 of 6 answers have a single wording" in run("check", document).stderr
    numbers = count()
    asked = re.sub(
        "### A", lambda _: f"### Q\nOnce more, number {next(numbers)}?\n### A", document.read_text()
    )
    document.write_text(asked)
    assert run("check", document).stderr.strip().endswith("no problems")


def test_a_missing_file_is_a_diagnostic_not_a_traceback(run: Run, tmp_path: Path) -> None:
    result = run("check", tmp_path / "nowhere.dlm", "--json")
    assert result.exit_code == 1
    assert "cannot be read" in json.loads(result.stdout)["diagnostics"][0]["message"]


def test_init_writes_a_document_without_problems(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.dlm"
    result = run("init", path, "--adapters", "facts,style,steps", "--base", "qwen3-0.6b")
    assert result.exit_code == 0
    document = load(path)
    assert document.adapter_names == ("facts", "style", "steps")
    assert document.frontmatter.base_model == "qwen3-0.6b"
    assert document.frontmatter.training.gate.enabled
    assert {section.adapter for section in document.sections} >= {"facts", "style", "steps"}
    assert run("check", path).exit_code == 0


def test_every_document_has_an_id_of_its_own(run: Run, tmp_path: Path) -> None:
    for name in ("a.dlm", "b.dlm"):
        run("init", tmp_path / name)
    assert load(tmp_path / "a.dlm").dlm_id != load(tmp_path / "b.dlm").dlm_id


def test_init_never_overwrites(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.dlm"
    path.write_text("years of work")
    result = run("init", path)
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert path.read_text() == "years of work"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--base", "smollm2-135"], "smollm2-135m"),
        (["--adapters", "Tone"], "`Tone` cannot be the name of an adapter"),
        (["--adapters", "tone,tone"], "named twice"),
    ],
)
def test_init_refuses_what_would_not_train(run: Run, tmp_path: Path, flags: list[str], said: str) -> None:
    result = run("init", tmp_path / "new.dlm", *flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.glob("*.dlm")) == []


def test_init_in_a_folder_that_is_not_there_says_so(run: Run, tmp_path: Path) -> None:
    result = run("init", tmp_path / "nowhere" / "new.dlm")
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.stderr


def test_mask_marks_the_tokens_that_carry_loss(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Masking(FakeEngine):
        def mask(self, path: Path) -> list[MaskedRow]:
            pieces, loss = ("user: ", "Why?\n", "Because", ".", "\x1b"), (False, False, True, True, False)
            return [MaskedRow(section="ab12", adapter="tone", pieces=pieces, loss=loss, label="Why?")]

    monkeypatch.setattr(oneshot, "engine_factory", Masking)
    result = run("check", "--mask", document)
    assert result.stdout == "── Why? (tone) ──\nuser: Why?\n⟦Because.⟧␛\n\n"
    rows = json.loads(run("check", "--mask", "--json", document).stdout)["mask"]
    assert rows[0]["tokens"][2] == {"text": "Because", "carries_loss": True}
    told = {key: rows[0][key] for key in rows[0] if key != "tokens"}
    assert told == {"section": "Why?", "adapter": "tone", "content_hash": "ab12", "note": ""}


def test_mask_of_a_broken_document_lists_its_problems_only(run: Run, engine: FakeEngine) -> None:
    result = run("check", "--mask", SAMPLES / "mistakes.dlm")
    assert result.exit_code == 1
    assert engine.calls == []


def test_a_copied_document_gets_an_id_of_its_own_by_one_command(run: Run, document: Path) -> None:
    before = document.read_bytes()
    result = run("check", "--new-id", document)
    after = document.read_bytes()
    assert result.exit_code == 0 and "its id is" in result.stderr
    assert after != before and len(after) == len(before)
    assert after.split(b"\n")[2:] == before.split(b"\n")[2:]
