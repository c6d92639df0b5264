"""`dlm import` and `dlm export --target jsonl`: shown first, written whole or not at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_core.document import load
from tests.faults.inject import KILLING, KINDS, Disk, FaultKind, on
from tests.unit.cli.conftest import Run

ROWS = "question,answer\nWhere?,Here.\nWho?,Me.\n"

PROGRAM = """
import sys
from dlm_tui.cli import cli
try:
    cli.main(["import", sys.argv[1], "-o", sys.argv[2]])
except SystemExit as end:
    assert end.code == 0
sys.exit(bool({"torch", "transformers", "datasets", "textual"} & set(sys.modules)))
"""


@pytest.fixture
def faq(tmp_path: Path) -> Path:
    path = tmp_path / "faq.csv"
    path.write_text(ROWS)
    return path


def test_a_new_document_is_written_at_once_and_can_be_trained(run: Run, faq: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.dlm"
    done = run("import", faq, "-o", new)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "2 rows from 1 source, sections: 2 new (knowledge 2)" in done.stderr
    assert [s.questions[0].answer for s in load(new).sections] == ["Here.", "Me."]
    assert run("check", new).exit_code == 0


def test_a_document_that_is_there_is_shown_and_changed_only_with_apply(
    run: Run, faq: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.dlm"
    run("import", faq, "-o", new)
    before = new.read_bytes()
    faq.write_text(ROWS.replace("Here.", "There."))
    shown = run("import", faq, "-o", new)
    assert shown.exit_code == 0
    assert "-Here." in shown.stdout and "+There." in shown.stdout and "-Me." not in shown.stdout
    assert "Nothing was written" in shown.stderr
    assert new.read_bytes() == before
    assert run("import", faq, "-o", new, "--apply").exit_code == 0
    assert b"There." in new.read_bytes()
    again = run("import", faq, "-o", new, "--apply")
    assert again.exit_code == 0 and "has all of it already" in again.stderr


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_the_difference_is_followed_by_a_question(
    run: Run, faq: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("dlm_tui.cli.import_.somebody_is_there", lambda: True)
    new = tmp_path / "new.dlm"
    run("import", faq, "-o", new)
    assert new.stat().st_mode & 0o777 == 0o600
    faq.write_text(ROWS.replace("Here.", "There."))
    done = run("import", faq, "-o", new, stdin=f"{answer}\n")
    assert done.exit_code == 0 and "+There." in done.stdout and "Change " in done.stderr
    assert (b"There." in new.read_bytes()) == (answer == "y")


def test_edits_of_the_user_are_named_and_stay(run: Run, faq: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.dlm"
    run("import", faq, "-o", new)
    new.write_text(new.read_text().replace("Here.", "Right here."))
    faq.write_text(ROWS.replace("Here.", "There."))
    done = run("import", faq, "-o", new, "--apply")
    assert "kept as edited: line" in done.stderr and "row 1 has changed since" in done.stderr
    assert "Right here." in new.read_text()


def test_topics_are_shown_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    rows = [
        f"When do I plant {w} in the garden?,Plant {w} there." for w in ("beans", "peas", "leeks", "kale")
    ]
    rows += [
        f"Why is there {w} on my invoice?,The invoice shows {w}." for w in ("tax", "tips", "fees", "cash")
    ]
    (tmp_path / "faq.csv").write_text("question,answer\n" + "\n".join(rows))
    new = tmp_path / "new.dlm"
    shown = run("import", tmp_path / "faq.csv", "-o", new, "--adapters", "auto")
    assert shown.exit_code == 0 and not new.exists()
    assert shown.stderr.count("\ntopic ") + shown.stderr.startswith("topic ") >= 2
    assert "topics told apart by the words of sections alone: no sentence encoder is at hand" in shown.stderr
    run("import", tmp_path / "faq.csv", "-o", new, "--adapters", "auto", "--apply")
    assert len(load(new).adapter_names) >= 2


def test_json_says_what_was_done(run: Run, faq: Path, tmp_path: Path) -> None:
    faq.write_text(ROWS + "Whose?,\n")
    done = run("import", faq, "-o", tmp_path / "new.dlm", "--json")
    report = json.loads(done.stdout)
    assert report["written"] is True and report["rows"] == 3 and report["sources"] == ["faq.csv"]
    assert report["sections"]["added"] == 2 and report["adapters"] == {"knowledge": 2}
    empty = report["notes"]["empty"]
    assert (empty["count"], empty["first"][0]["line"]) == (1, 4)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nothing.csv", "-o", "new.dlm"], 1, "there is no nothing.csv"),
        (["faq.xyz", "-o", "new.dlm"], 1, "--format"),
        (["faq.xlsx", "-o", "new.dlm"], 1, "save it as CSV"),
        (["faq.csv"], 2, "--output"),
        (["faq.csv", "-o", "new.dlm", "--apply", "--dry-run"], 2, "cannot go together"),
        (["faq.csv", "-o", "new.dlm", "--question", "zzz"], 2, "no column 'zzz'"),
        (["faq.csv", "-o", "new.dlm", "--adapter", "NO"], 2, "cannot be the name"),
        (["faq.csv", "-o", "new.dlm", "--encoding", "zzz"], 2, "no encoding"),
        (["empty.csv", "-o", "new.dlm"], 1, "no rows"),
        (["faq.csv", "-o", "bad.dlm"], 1, "bad.dlm:1:1"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_code(
    run: Run,
    faq: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("faq.xyz", "faq.xlsx", "empty.csv", "bad.dlm"):
        Path(name).write_text("x" if name != "empty.csv" else "")
    done = run("import", *arguments)
    assert done.exit_code == code, done.output
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not Path("new.dlm").exists()


def test_a_bad_file_in_a_folder_is_named_and_the_others_go_on(run: Run, faq: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "good.csv").write_text(ROWS)
    (folder / "bad.json").write_text("{\n1")
    (folder / "odd.bin").write_bytes(b"\0")
    (folder / ".hidden.csv").write_text(ROWS.replace("Who", "Whose"))
    done = run("import", folder, "-o", tmp_path / "new.dlm")
    assert done.exit_code == 0
    assert "folder/bad.json" in done.stderr and "folder/odd.bin" in done.stderr
    assert len(load(tmp_path / "new.dlm").sections) == 2


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in KILLING])
def test_a_disk_that_fails_leaves_the_old_document_or_the_new(
    run: Run, faq: Path, tmp_path: Path, kind: FaultKind
) -> None:
    new = tmp_path / "new.dlm"
    run("import", faq, "-o", new)
    old = new.read_bytes()
    faq.write_text(ROWS.replace("Here.", "There."))
    changed = old.replace(b"Here.", b"There.")
    with on(Disk(kind, 1)):
        done = run("import", faq, "-o", new, "--apply")
    text = new.read_bytes()
    assert done.exit_code != 0 or b"There." in text
    assert text == old or len(text) == len(changed)


def test_rows_come_out_on_stdout_or_in_a_file(run: Run, faq: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.dlm"
    run("import", faq, "-o", new)
    done = run("export", new, "--target", "jsonl")
    assert [json.loads(row)["messages"][0]["content"] for row in done.stdout.splitlines()] == [
        "Where?",
        "Who?",
    ]
    rows = tmp_path / "rows.jsonl"
    assert run("export", new, "--target", "jsonl", "-o", rows, "--json").exit_code == 0
    assert rows.read_text() == done.stdout
    refused = run("export", new, "--target", "jsonl", "-o", rows)
    assert refused.exit_code == 1 and "is there already" in refused.stderr
    assert run("export", new, "--target", "jsonl", "-o", rows, "--overwrite").exit_code == 0
    assert run("import", rows, "-o", new, "--apply").stderr.count("has all of it already") == 1


def test_options_of_rows_and_of_adapters_do_not_mix(run: Run, faq: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.dlm"
    run("import", faq, "-o", new)
    for arguments in (["jsonl", "--quant", "f16"], ["jsonl", "--fold"], ["peft", "--form", "dpo"],
                      ["jsonl", "--adapter", "nobody"], ["jsonl", "--json"]):  # fmt: skip
        assert run("export", new, "--target", *arguments).exit_code == 2, arguments


@pytest.mark.slow
def test_importing_needs_no_torch(faq: Path, tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(faq), str(tmp_path / "n.dlm")], check=False)
    assert ended.returncode == 0
