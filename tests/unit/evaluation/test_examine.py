"""An evaluation of a trained document on the tiny base, and its record."""

import shutil
from pathlib import Path

import msgspec
import pytest
import yaml

from dlm_core.engine_protocol import EvalOptions
from dlm_core.errors import DlmError, Stopped
from dlm_core.evaluation.answers import word_f1
from dlm_core.events import Evaluated, Working
from dlm_core.store.metrics_reader import MetricsReader
from dlm_core.store.paths import StorePaths
from tests.tiny import DLM_ID, Desk

PROBES = """\
- {question: "Which port is it?", answer: "8443.", adapter: facts}
- {question: "Whose is billing?", answer: Team Ada., adapter: facts}
- {question: Greet me., answer: Ahoy!, adapter: tone}
"""
GATE = {"enabled": True, "cold_start_floor": 2, "steps": 60, "lr": 0.01}


@pytest.fixture(scope="module")
def taught(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two adapters that know their answers, with a gate, and probes beside the document."""
    desk = Desk(tmp_path_factory.mktemp("taught"), tiny_base)
    desk.open(num_epochs=80, gate=GATE)
    desk.train()
    desk.path.with_name("doc.probes.yaml").write_text(PROBES)
    desk.path.with_name("doc.offtopic.txt").write_text("Who sings best?\n")
    return desk.folder


@pytest.fixture
def trained(taught: Path, desk: Desk) -> Desk:
    """A desk with a copy of it."""
    shutil.copytree(taught, desk.folder, dirs_exist_ok=True)
    desk.engine.open(desk.path)
    return desk


def evaluate(desk: Desk, options: EvalOptions | None = None) -> Evaluated:
    return desk.engine.evaluate(options or EvalOptions(), desk.events.append, lambda: False)


@pytest.mark.slow
def test_every_figure_stands_beside_the_base_and_is_kept(trained: Desk, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("A page of one's own, with enough words. " * 10)
    event = evaluate(trained, EvalOptions(text=own))
    found = event.evaluation
    assert (found.questions, found.probes, found.version) == (4, 3, "g2")
    assert found.recall.verbatim == 1.0 and found.recall.verbatim_base == 0.0
    facts = found.recall.per_adapter["facts"]
    assert (facts.questions, facts.probes, facts.verbatim, facts.verbatim_base) == (2, 2, 1.0, 0.0)
    assert found.recall.paraphrase_f1 is not None and found.recall.paraphrase_f1_base is not None
    assert sum(sum(row.values()) for row in found.routing.confusion.values()) == 3
    assert found.routing.accuracy is not None and found.routing.loo_accuracy is not None
    for kept in (found.retention, found.retention.own):
        assert kept is not None and kept.tokens > 50 and kept.kl > 0
        assert kept.perplexity != kept.perplexity_base
        assert set(kept.per_adapter) == {"facts", "tone"}
    assert found.answers is not None and found.offtopic is not None and found.retention.chat is not None
    assert found.answers.base.right == 0.0
    assert found.recall.paraphrase_f1 == pytest.approx(found.answers.weights.f1)
    assert {reply.question for reply in found.replies} == {p["question"] for p in yaml.safe_load(PROBES)}
    assert sum(r.right for r in found.replies) / 3 == pytest.approx(found.answers.weights.right)
    assert found.offtopic.prompts == found.retention.chat.questions + 1
    assert 0.5 < found.offtopic.weight <= 1 and found.retention.chat.kl > 0
    assert all(0 < o.outside < 1 and o.inside and o.inside > 0 for o in found.openness.values())
    with MetricsReader(StorePaths(trained.home, DLM_ID).metrics) as metrics:
        record = metrics.evaluation()
        assert record is not None and record.evaluated == event and record.at > 0
        assert all(epoch.phase == "sft" for epoch in metrics.epochs(event.run_id))
        assert event in metrics.follow(event.run_id).events
    last = trained.of(Working)[-1]
    assert last.done == last.total and last.eta_s == 0.0


@pytest.mark.slow
def test_the_json_has_the_promised_keys(trained: Desk) -> None:
    found = msgspec.to_builtins(evaluate(trained).evaluation)
    assert {"verbatim", "paraphrase_f1", "per_adapter"} <= set(found["recall"])
    assert {"accuracy", "loo_accuracy", "confusion"} <= set(found["routing"])
    assert {"perplexity_base", "perplexity", "kl"} <= set(found["retention"])
    assert set(found["openness"]) == {"facts", "tone"}


@pytest.mark.slow
def test_without_probes_what_they_measure_is_left_out_and_said(trained: Desk) -> None:
    trained.path.with_name("doc.probes.yaml").unlink()
    found = evaluate(trained).evaluation
    assert found.answers is None and found.replies == ()
    assert found.probes == 0 and found.recall.paraphrase_f1 is None and found.routing.accuracy is None
    assert "no_probes" in trained.codes()


@pytest.mark.slow
def test_sections_that_are_not_learned_yet_are_counted(trained: Desk) -> None:
    trained.path.write_text(trained.path.read_text() + "\n::instruction#tone::\n### Q\nNew?\n### A\nYes.\n")
    trained.engine.reload()
    assert evaluate(trained).evaluation.questions == 5
    assert "behind" in trained.codes()


def test_an_untrained_document_has_nothing_to_evaluate(desk: Desk) -> None:
    desk.open()
    with pytest.raises(DlmError, match="nothing to evaluate") as caught:
        evaluate(desk)
    assert "dlm train" in caught.value.hint
    assert not (desk.home / "store").exists()


@pytest.mark.slow
def test_stopping_leaves_no_record(desk: Desk) -> None:
    desk.open().train()
    desk.path.with_name("doc.probes.yaml").write_text(PROBES)
    with pytest.raises(Stopped):
        desk.engine.evaluate(EvalOptions(), desk.events.append, desk.stop_after(20))
    with MetricsReader(StorePaths(desk.home, DLM_ID).metrics) as metrics:
        assert metrics.evaluation() is None


def test_word_f1_counts_shared_words() -> None:
    assert word_f1("Team Ada owns it", "team ada.") == pytest.approx(2 * 2 / 6)
    assert word_f1("", "x") == 0.0
