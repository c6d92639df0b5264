"""`dlm show`, `dlm versions` and `dlm rollback` on a real store with versions made by hand."""

import json
from pathlib import Path

import pytest
from msgspec import structs

from dlm_core import gate_health
from dlm_core.document import load
from dlm_core.document.diff import title
from dlm_core.events import Evaluated, GateTrained, ProbeAnswer, ProbesAsked, RunEnded
from dlm_core.store import SectionRecord, Store
from dlm_core.store.manifest import RunRecord
from dlm_tui.session.document_state import Warned, look
from dlm_tui.session.run_view import RunView
from tests.fakes.reports import EVALUATION
from tests.unit.cli.conftest import Run, section

ADAPTERS = ("knowledge", "tone", "procedure")


SOUND = {"knowledge": 0.5, "tone": 0.25, "procedure": 0.25}
COLLAPSED = {"knowledge": 0.02, "tone": 0.97, "procedure": 0.01}


def commit(document: Path, *adapters: str, weights: dict[str, float] = SOUND) -> GateTrained:
    """One run that trains and commits `adapters`, then the gate with mean `weights`."""
    loaded = load(document)
    store = Store.open(loaded.dlm_id, create=True)
    with store.metrics() as metrics:
        run_id = metrics.start_run("hash", "recipe", "smollm2-135m")
        with store.stage(run_id) as stage:
            for name in adapters:
                (stage.adapter_dir(name) / "adapter_model.safetensors").write_bytes(b"weights")
            records = tuple(
                SectionRecord(
                    content_hash=s.content_hash, kind=s.kind.value, adapter=s.adapter, title=title(s)
                )
                for s in loaded.sections
            )
            stage.commit(RunRecord(sections=records))
        with store.stage(run_id) as stage:
            (stage.gate_dir() / "gate.safetensors").write_bytes(b"weights")
            snapshot = stage.commit()
        gate = GateTrained(
            run_id=run_id,
            mode="trained",
            mean_weights=weights,
            sample_counts=dict.fromkeys(ADAPTERS, 2),
            floor=2,
            train_accuracy=1.0,
            loo_accuracy=0.9,
            entropy=0.2,
            max_entropy=1.1,
        )
        metrics.record(gate)
        metrics.record(
            RunEnded(
                run_id=run_id,
                status="done",
                reason="every answer token predicted",
                versions=dict(snapshot.adapters),
                seconds=41.0,
                recall=1.0,
            )
        )
        return gate


@pytest.fixture
def trained(document: Path) -> Path:
    """Two runs: all adapters, then `tone` alone."""
    commit(document, *ADAPTERS)
    commit(document, "tone")
    return document


def test_an_untrained_document_says_so(run: Run, document: Path, home: Path) -> None:
    shown = run("show", document)
    assert shown.exit_code == 0
    assert "6 sections" in shown.stdout
    assert "not trained yet" in shown.stdout
    assert run("versions", document).stdout == ""
    assert json.loads(run("versions", document, "--json").stdout) == {"versions": []}
    assert not (home / "store").exists(), "looking leaves no trace"


def test_show_json_has_the_gate_under_the_promised_keys(run: Run, trained: Path) -> None:
    shown = json.loads(run("show", trained, "--json").stdout)
    assert shown["gate"] == {
        "mode": "trained",
        "per_adapter": {
            "knowledge": {"mean_weight": 0.5, "sample_count": 2},
            "tone": {"mean_weight": 0.25, "sample_count": 2},
            "procedure": {"mean_weight": 0.25, "sample_count": 2},
        },
        "train_accuracy": 1.0,
        "loo_accuracy": 0.9,
        "entropy": 0.2,
    }
    assert shown["gate_warning"] is None
    assert shown["versions"]["adapters"] == {"knowledge": "v0001", "tone": "v0002", "procedure": "v0001"}
    assert [run["status"] for run in shown["runs"]] == ["done", "done"]
    assert shown["sections"] == {"total": 6, "new": [], "changed": [], "gone": [], "incomplete": []}
    assert shown["cold_start"] == []
    assert shown["sizes"]["adapters"] > 0


def test_a_collapsed_gate_is_told_with_one_sentence_and_one_remedy_everywhere(
    run: Run, document: Path
) -> None:
    gate = commit(document, *ADAPTERS, weights=COLLAPSED)
    fault = gate_health.fault_of(gate)
    assert fault is not None
    message, hint = fault.sentence, gate_health.remedy(fault)
    assert json.loads(run("show", document, "--json").stdout)["gate_warning"] == {
        "message": message,
        "hint": hint,
    }
    assert f"warning: {message}\n  hint: {hint}\n" in run("show", document).stdout
    assert look(document).warnings == (Warned(message, hint, "gate_collapse"),)
    view = RunView(gate.run_id)
    view.take(gate)
    (concern,) = view.concerns()
    assert (concern.message, concern.remedy) == (f"T{message[1:]}.", f"R{hint[1:]}.")


def test_show_says_what_changed_since_the_last_run(run: Run, trained: Path) -> None:
    text = trained.read_text().replace("It is tone number 1.", "It is tone number one.")
    trained.write_text(text.replace(section("procedure", 2), section("procedure", 3) + section("tone", 9)))
    shown = json.loads(run("show", trained, "--json").stdout)["sections"]
    assert [s["title"] for s in shown["changed"]] == ["What is tone 1?", "What is procedure 3?"]
    assert [(s["title"], s["adapter"]) for s in shown["new"]] == [("What is tone 9?", "tone")]
    words = run("show", trained).stdout
    assert "7 sections: 1 new, 2 changed since the last run" in words
    assert "changed  tone: What is tone 1?" in words


def test_show_names_twenty_changes_and_counts_the_rest(run: Run, trained: Path) -> None:
    trained.write_text(trained.read_text() + "".join(section("tone", n) for n in range(100, 125)))
    words = run("show", trained).stdout
    assert words.count("  new      tone:") == 20
    assert "and 5 more" in words


def test_show_warns_of_a_cold_start(run: Run, document: Path) -> None:
    document.write_text(document.read_text().replace("cold_start_floor: 2", "cold_start_floor: 3"))
    shown = json.loads(run("show", document, "--json").stdout)
    assert len(shown["cold_start"]) == 3
    assert "3" in shown["cold_start"][0]["message"]
    assert shown["cold_start"][0]["hint"]
    assert "warning: " in run("show", document).stdout


def test_versions_lists_commits_oldest_first(run: Run, trained: Path) -> None:
    listed = json.loads(run("versions", trained, "--json").stdout)["versions"]
    assert [(v["adapters"]["tone"], v["gate"]) for v in listed] == [("v0001", "v0001"), ("v0002", "v0002")]
    lines = run("versions", trained).stdout.splitlines()
    assert lines[0].split()[0] == "generation"
    assert "tone v0002" in lines[2]


def test_rollback_goes_back_one_and_twice_goes_back_two(run: Run, trained: Path) -> None:
    commit(trained, "tone")
    for tone in ("v0002", "v0001"):
        result = run("rollback", trained)
        assert result.exit_code == 0
        assert f"tone {tone}" in result.stdout
    result = run("rollback", trained)
    assert result.exit_code == 2
    assert "there is nothing to go back to" in result.stderr


def test_rollback_goes_to_a_named_generation_and_back(run: Run, trained: Path) -> None:
    assert "tone v0001" in run("rollback", trained, "--to", 2).stdout
    assert "tone v0002" in run("rollback", trained, "--to", 4).stdout


def test_rollback_to_nowhere_says_what_is_kept(run: Run, trained: Path) -> None:
    result = run("rollback", trained, "--to", 99)
    assert result.exit_code == 1
    assert "there is no generation 99" in result.stderr
    assert "1, 2, 3, 4" in result.stderr


def test_show_has_what_was_asked_again_while_the_last_run_trained(run: Run, trained: Path) -> None:
    assert json.loads(run("show", trained, "--json").stdout)["watched"] == []
    store = Store.open(load(trained).dlm_id, create=False)
    with store.metrics() as metrics:
        run_id = metrics.start_run("hash", "recipe", "smollm2-135m")
        for epoch, probability in enumerate((0.0, 0.5, 0.99)):
            answer = ProbeAnswer(
                question="Which port?",
                adapter="knowledge",
                expected="8443.",
                said="8",
                probability=probability,
            )
            told = ProbesAsked(run_id=run_id, phase="sft", epoch=epoch, epochs=2, probes=(answer,))
            metrics.record(told)
        metrics.end_run(run_id)
    (watched,) = json.loads(run("show", trained, "--json").stdout)["watched"]
    assert watched["question"] == "Which port?" and watched["said"] == "8"
    assert watched["probabilities"] == [0.0, 0.5, 0.99]
    assert " 99%  Which port?" in run("show", trained).stdout


def test_versions_are_named_pinned_and_shown_with_their_right_share(run: Run, trained: Path) -> None:
    store = Store.open(load(trained).dlm_id, create=False)
    first, *_, last = (
        v["generation"] for v in json.loads(run("versions", trained, "--json").stdout)["versions"]
    )
    with store.metrics() as metrics:
        found = structs.replace(EVALUATION, version=f"g{last}")
        metrics.record(Evaluated(run_id=1, document_hash="x", evaluation=found))
    done = run("versions", trained, "--name", first, "the good one", "--json")
    assert f"generation {first} is called the good one, and is pinned" in done.stderr
    versions = json.loads(done.stdout)["versions"]
    assert (versions[0]["name"], versions[0]["pinned"], versions[0]["right"]) == ("the good one", True, None)
    assert (versions[-1]["name"], versions[-1]["pinned"], versions[-1]["right"]) == ("", False, 0.5)
    pruned = run("versions", trained, "--prune", "1")
    assert "the good one (pinned)" in pruned.stdout and "50%" in pruned.stdout
    assert run("rollback", trained, "--to", "the good one").exit_code == 0
    assert run("versions", trained, "--pin", "nobody").exit_code != 0
