"""From a document to a routed reply through the commands alone, on the real engine and a tiny random base."""

import json
from pathlib import Path

import pytest

from dlm_core.document import load
from dlm_core.events import GateTrained, RunEnded, decode
from tests.tiny import document_text, make_base_folder
from tests.unit.cli.conftest import Run


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama."""
    return make_base_folder(tmp_path_factory.mktemp("bases"))


@pytest.fixture
def paper(tmp_path: Path, base: Path) -> Path:
    """A document on that base: two adapters, a gate."""
    path = tmp_path / "paper.dlm"
    gate = {"enabled": True, "cold_start_floor": 2, "steps": 20}
    path.write_text(document_text(base=f"path:{base}", gate=gate), encoding="utf-8")
    return path


def test_train_show_prompt_and_rollback(run: Run, paper: Path) -> None:
    untrained = run("prompt", paper, "What is the port?", "--max-tokens", 3)
    assert untrained.exit_code == 0, untrained.stderr
    assert "not trained yet" in untrained.stderr

    trained = run("train", paper, "--json")
    assert trained.exit_code == 0, trained.stderr
    events = [decode(line) for line in trained.stdout.splitlines()]
    ended, gate = events[-1], next(e for e in events if isinstance(e, GateTrained))
    assert isinstance(ended, RunEnded) and ended.status == "done"
    assert gate.mode == "trained"

    shown = json.loads(run("show", paper, "--json").stdout)
    assert shown["versions"]["adapters"] == ended.versions == {"facts": "v0001", "tone": "v0001"}
    assert shown["gate"]["mode"] == "trained"
    assert {name: g["sample_count"] for name, g in shown["gate"]["per_adapter"].items()} == {
        "facts": 2,
        "tone": 2,
    }
    assert [shown["sections"][state] for state in ("new", "changed", "gone")] == [[], [], []]

    for flags, mode in (([], "auto"), (["--gate", "off"], "off"), (["--adapter", "tone"], "pin")):
        asked = run("prompt", paper, "What is the port?", "--max-tokens", 4, "--json", *flags)
        assert asked.exit_code == 0, asked.stderr
        reply = json.loads(asked.stdout)
        assert reply["routing"]["mode"] == mode
        assert sum(reply["routing"]["weights"].values()) == pytest.approx(1.0)
        assert 0 < reply["openness"]["tone"]["mean"] < 1
        assert reply["timing"]["tokens"] <= 4

    again = run("rollback", paper)
    assert again.exit_code == 2
    assert "nothing to go back to" in again.stderr


def test_the_mask_covers_the_answers_and_nothing_else(run: Run, paper: Path) -> None:
    rows = json.loads(run("check", paper, "--mask", "--json").stdout)["mask"]
    learned = ["".join(t["text"] for t in row["tokens"] if t["carries_loss"]) for row in rows]
    answers = [q.answer for section in load(paper).sections for q in section.questions]
    assert learned == [f"{answer}<|im_end|>" for answer in answers]
    assert [row["adapter"] for row in rows] == ["facts", "facts", "tone", "tone"]


def test_a_base_that_is_not_there_is_a_sentence(run: Run, paper: Path) -> None:
    paper.write_text(paper.read_text().replace("path:", "path:/nowhere"))
    result = run("train", paper)
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
