"""`dlm eval`: its table, its JSON, and how it refuses; a scripted engine answers."""

import json
from pathlib import Path

import pytest
from msgspec import structs

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.engine_protocol import EvalOptions
from dlm_core.events import Evaluated
from dlm_core.reports import Bin, NearMisses, Scores, Support
from dlm_core.store import Store
from tests.fakes.engine import FakeEngine
from tests.fakes.reports import EVALUATION
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_store_commands import ADAPTERS, commit


class Evaluating(FakeEngine):
    """Finds the same whatever it is asked, and remembers with what it was asked."""

    options = EvalOptions()

    def evaluate(self, options: EvalOptions, emit: object, stop: object) -> Evaluated:
        self.options = options
        return Evaluated(run_id=1, document_hash="x", evaluation=EVALUATION)


@pytest.fixture
def evaluating(monkeypatch: pytest.MonkeyPatch) -> Evaluating:
    engine = Evaluating()
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    return engine


def test_the_table_has_every_adapter_beside_the_base(
    run: Run, document: Path, evaluating: Evaluating
) -> None:
    shown = run("eval", document)
    assert shown.exit_code == 0, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["tone", "100%", "0%", "0.75", "0.12", "67%", "0.40", "0.10"] in rows
    assert ["all", "100%", "0%", "0.75", "0.12", "89%"] in rows
    assert ["gate", "auto", "20.50", "+2.5%", "0.0100"] in rows
    assert ["tone", "0", "2", "1"] in rows, "the confusion"
    assert "your text (50 tokens)" in shown.stdout and "-10.0%" in shown.stdout
    assert "6 questions and 9 probes" in shown.stdout and "1 min 05 s" in shown.stdout


def test_json_is_one_document_on_stdout(run: Run, document: Path, evaluating: Evaluating) -> None:
    found = json.loads(run("eval", document, "--json").stdout)
    assert found["recall"]["verbatim"] == 1.0 and found["routing"]["confusion"]["tone"]["procedure"] == 1
    assert found["retention"]["perplexity_base"] == 20.0 and found["openness"]["tone"]["outside"] == 0.1


def test_files_are_handed_on_and_must_be_there(run: Run, document: Path, evaluating: Evaluating) -> None:
    text = document.with_name("own.txt")
    text.write_text("words")
    assert run("eval", document, "--text", text, "--probes", text).exit_code == 0
    assert evaluating.options == EvalOptions(probes=text, text=text)
    missing = run("eval", document, "--probes", document.with_name("none.yaml"))
    assert missing.exit_code == 2 and "none.yaml" in missing.stderr


def test_show_has_the_last_evaluation_and_says_when_it_is_of_earlier_versions(
    run: Run, document: Path
) -> None:
    assert json.loads(run("show", document, "--json").stdout)["evaluation"] is None
    commit(document, *ADAPTERS)
    with Store.open(load(document).dlm_id, create=False).metrics() as metrics:
        metrics.record(Evaluated(run_id=1, document_hash="x", evaluation=EVALUATION))
    line = next(t for t in run("show", document).stdout.splitlines() if t.startswith("evaluated"))
    assert "verbatim 100%, right 50% of probes (search alone 62%), paraphrase 0.75 (base 0.12)" in line
    assert "off-topic leaks 12%, perplexity +2.5%" in line and "chat KL 0.25" in line
    assert "earlier" not in line
    shown = json.loads(run("show", document, "--json").stdout)["evaluation"]
    assert shown["current"] is True and shown["recall"]["verbatim"] == 1.0
    commit(document, "tone")
    assert json.loads(run("show", document, "--json").stdout)["evaluation"]["current"] is False
    assert ", of earlier versions:" in run("show", document).stdout


def test_search_and_the_base_stand_beside_the_weights_and_what_helps_is_said(
    run: Run, document: Path, evaluating: Evaluating
) -> None:
    shown = run("eval", document).stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["9", "probes", "right", "word", "F1", "verbatim", "false", "facts"] in rows
    assert ["the", "base", "0%", "0.12", "0%", "-"] in rows
    assert ["search", "in", "the", "document", "alone", "62%", "0.70", "62%", "-"] in rows
    assert ["the", "weights", "alone", "50%", "0.75", "38%", "-"] in rows
    assert "finds 62% of the answers, the trained weights 50%" in shown
    assert "6 of 6 answers have a single wording: write more `### Q`" in shown
    assert "32 off-topic prompts: 25% of the replies are the base's, 12% hold words of the document" in shown
    assert "24 bundled chat questions: replies begin 0.25 nats from the base's" in shown


def test_wrong_replies_are_listed_with_what_was_expected_and_all_of_them_on_demand(
    run: Run, document: Path, evaluating: Evaluating
) -> None:
    wrong = run("eval", document).stdout
    assert "wrong replies to probes, the most confident first (1 of 2)" in wrong
    assert "wrong: Whose is it?\n  expected: Ada's.\n  replied:  The hedge's, of course.\n" in wrong
    assert "word F1 0.00; asked of tone, routed knowledge 0.75, tone 0.25" in wrong
    assert "Which port is it?" not in wrong
    everything = run("eval", document, "--all").stdout
    assert "replies to probes, the most confident first (2 of 2)" in everything
    assert "right: Which port is it?\n  replied:  8443.\n" in everything


def test_the_json_has_the_keys_that_are_promised(run: Run, document: Path, evaluating: Evaluating) -> None:
    found = json.loads(run("eval", document, "--json").stdout)
    assert set(found["answers"]) == {"base", "search", "weights", "grounded"}
    promised = {"right", "f1", "verbatim", "false_facts"}
    assert all(set(scores) == promised for scores in found["answers"].values() if scores is not None)
    assert {"missed", "support", "near_miss"} <= set(found)
    assert {"same_as_base", "leaked", "weight"} <= set(found["offtopic"])
    keys = {
        "question",
        "expected",
        "reply",
        "adapter",
        "right",
        "f1",
        "routing",
        "support",
        "outside",
        "before",
    }
    assert [set(reply) for reply in found["replies"]] == [keys, keys]


GROUNDED = structs.replace(
    EVALUATION,
    answers=structs.replace(
        EVALUATION.answers, grounded=Scores(right=0.97, f1=0.98, verbatim=0.95, false_facts=0.01)
    ),
    missed=0.02,
    support=Support(
        brier=0.04,
        ece=0.06,
        count=40,
        table=(Bin(mean=0.4, right=0.5, count=20), Bin(mean=0.97, right=1.0, count=20)),
    ),
    near_miss=NearMisses(recited=0.1, count=40, kinds={"number": 0.0, "task": 0.2}),
)


def test_how_far_replies_can_be_trusted_stands_beside_how_many_are_right(
    run: Run, document: Path, evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.cli.test_eval.EVALUATION", GROUNDED)
    shown = run("eval", document).stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["grounded:", "both", "together", "97%", "0.98", "95%", "1%"] in rows
    assert "2% of the probes were taken for outside the document" in shown
    assert "support of 40 replies: off by 0.06 on average (Brier 0.04)" in shown
    assert any(row[-3:] == ["0.40", "50%", "20"] for row in rows)
    assert "40 near misses: 10% got an answer of the document" in shown and "task 20%" in shown
