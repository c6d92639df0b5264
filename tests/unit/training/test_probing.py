"""Questions asked again while adapters train: which they are, what is told, and that nothing else changes."""

from pathlib import Path

import pytest

from dlm_core.document.model import Document
from dlm_core.events import ProbesAsked, RunEnded
from dlm_core.store.metrics_reader import MetricsReader
from dlm_core.store.paths import StorePaths
from dlm_core.training import course, probing
from dlm_core.training.plan import RunPlan, Share
from dlm_core.training.probing import Watched, chosen
from tests.tiny import BODY, DLM_ID, Desk, make_document

PROBE = "\n::instruction#facts::\n### Q !probe\nWhich port?\n### A\n8443.\n"


def full(document: Document) -> RunPlan:
    return RunPlan(tuple(Share(name, True, "", new=document.sections) for name in document.adapter_names), "")


def test_probes_come_first_one_adapter_after_the_other_then_questions() -> None:
    document = make_document()
    probes = [Watched(f"{name} {n}?", "So.", name) for name in ("facts", "tone") for n in range(3)]
    found = chosen(document, full(document), probes, seed=1)
    assert [w.adapter for w in found[:6]] == ["facts", "tone"] * 3
    assert {w.question for w in found[:6]} == {w.question for w in probes}
    assert {w.question for w in found[6:]} == {q.question for s in document.sections for q in s.questions}
    assert found == chosen(document, full(document), probes, seed=1)


def test_adapters_that_do_not_train_are_not_asked() -> None:
    document = make_document()
    plan = RunPlan((Share("tone", True, "", new=document.sections),), "")
    found = chosen(document, plan, [Watched("Which port?", "8443.", "facts")], seed=1)
    assert {w.adapter for w in found} == {"tone"}


def test_of_an_edit_what_it_teaches_is_watched_in_the_wording_that_is_new() -> None:
    before = make_document()
    after = make_document(BODY.replace("What is the port?", "What is the port?\n### Q\nport please"))
    share = Share("facts", False, "", changed=(after.sections[0],), replayed=(after.sections[1],))
    plan = RunPlan((share,), "", before=(before.sections[0],))
    found = chosen(after, plan, [Watched("Which port?", "8443.", "facts")], seed=1)
    assert [w.question for w in found[:2]] == ["port please", "Which port?"]


def asked(desk: Desk) -> list[ProbesAsked]:
    return desk.of(ProbesAsked)


@pytest.mark.slow
def test_a_run_tells_how_near_each_answer_is_from_before_the_first_step_to_the_end(desk: Desk) -> None:
    desk.open(BODY + PROBE, num_epochs=24)
    ended = desk.train()
    told = asked(desk)
    assert told[0].epoch == 0 and {p.question for p in told[0].probes} >= {"Which port?"}
    assert len(told[0].probes) == 3 and {p.adapter for p in told[0].probes} == {"facts", "tone"}
    first, last = ({p.question: p for p in event.probes} for event in (told[0], told[-1]))
    trained = next(q for q in first if q != "Which port?")
    assert last[trained].probability > 5 * first[trained].probability
    assert last[trained].said == last[trained].expected
    with MetricsReader(StorePaths(desk.home, DLM_ID).metrics) as kept:
        assert kept.probes(ended.run_id) == told
        assert [e for e in kept.follow(ended.run_id).events if isinstance(e, ProbesAsked)] == told


@pytest.mark.slow
def test_the_adapters_are_the_same_bits_as_without_being_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = BODY + PROBE.replace(
        "Which port?", "Which port would that be, of all the ports that there are? " * 4
    )
    monkeypatch.setattr(probing, "SHARE", 10.0)  # after every epoch, whatever it takes
    edited = body.replace("Ahoy!", "Ahoy there!")
    settings = {"num_epochs": 6, "rehearsal": {"enabled": True}}
    with_it, without = desk.another("with"), desk.another("without")
    with_it.open(body, **settings).train()
    with_it.write(edited, **settings)
    with_it.train()
    assert len(asked(with_it)) > 8 and {e.phase for e in asked(with_it)} == {"sft", "revision"}
    monkeypatch.setattr(course.Loop, "run", _without(course.Loop.run))
    without.open(body, **settings).train()
    without.write(edited, **settings)
    without.train()
    assert not asked(without)
    assert with_it.hashes() == without.hashes()
    assert len(with_it.of(RunEnded)) == len(without.of(RunEnded))


def _without(run):  # type: ignore[no-untyped-def]
    return lambda loop, stop, between, at_epoch, look=None: run(loop, stop, between, at_epoch)


@pytest.mark.slow
def test_asking_takes_no_more_than_its_share(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "SHARE", 0.0)
    desk.open(BODY, num_epochs=8)
    desk.train()
    epochs = [event.epoch for event in asked(desk)]
    assert len(epochs) == 2 and epochs[0] == 0, "before the first step and after the last, and no more"


def test_a_store_of_an_older_dlm_has_none(tmp_path: Path) -> None:
    with MetricsReader(tmp_path / "metrics.sqlite") as reader:
        assert reader.probes(1) == []
