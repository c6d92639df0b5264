"""Questions asked again while adapters train: which they are, what is told, and that nothing else changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlm_core.document.model import Document
from dlm_core.events import ProbesAsked, RunEnded
from dlm_core.llama.training_forward import LeanForward
from dlm_core.store.metrics_reader import MetricsReader
from dlm_core.store.paths import StorePaths
from dlm_core.training import course, probing
from dlm_core.training.plan import RunPlan, Share
from dlm_core.training.probing import Probing, Watched, chosen
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
def test_a_run_tells_how_near_each_answer_is_from_before_the_first_step_to_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "FIRST_FROM", 1)
    monkeypatch.setattr(probing, "LAST_SHARE", 10.0)
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
    monkeypatch.setattr(probing, "FIRST_FROM", 1)
    monkeypatch.setattr(probing, "SHARE", 10.0)  # after every epoch, whatever it takes
    edited = body.replace("Ahoy!", "Ahoy there!")
    feed_forward = {"target_modules": ["down_proj"]}  # what lies below it is remembered, text by text
    adapters = {"facts": feed_forward, "tone": feed_forward}
    settings: dict[str, Any] = {"num_epochs": 6, "rehearsal": {"enabled": True}, "adapters": adapters}
    steady = _read_ahead_only_for_steps(monkeypatch)
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
    assert steady, "steps read ahead, so that it was seen that asking does not"


def _read_ahead_only_for_steps(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Fail where asking changes which texts are read together; each reading for a step is noted."""
    seen: list[bool] = []
    asking: list[bool] = []
    read, ask = LeanForward._and_expected, Probing._ask

    def reads(forward: LeanForward, new: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        assert not asking, "asking reads beside the steps"
        seen.append(True)
        return read(forward, new)

    def asks(self: Probing, *of: Any) -> None:
        asking.append(True)
        ask(self, *of)
        asking.clear()

    monkeypatch.setattr(LeanForward, "_and_expected", reads)
    monkeypatch.setattr(Probing, "_ask", asks)
    return seen


def _without(run):  # type: ignore[no-untyped-def]
    return lambda loop, stop, between, at_epoch, look=None: run(loop, stop, between, at_epoch)


class Seconds:
    """A clock by which every asking takes so long."""

    def __init__(self, each: float) -> None:
        self.each, self.now = each, 0.0

    def __call__(self) -> float:
        self.now += self.each
        return self.now


@dataclass
class Steps:
    """A training that stands at a step, after so many seconds."""

    step: int
    elapsed_s: float


def times_asked(each: float, *, epochs: int, seconds: float, phase: str = "sft") -> list[int]:
    """The epochs after which it is asked, where an epoch has 10 steps of `seconds` each."""
    probe = Probing([], None, None, None, 100, 1, lambda event: None, Seconds(each))  # type: ignore[arg-type]
    policy = SimpleNamespace(phase=phase, progress=Steps(0, 0.0), total_steps=10 * epochs)
    done = []
    for epoch in range(epochs + 1):
        policy.progress.step, policy.progress.elapsed_s = 10 * epoch, 10 * epoch * seconds
        probe._trained = policy.progress.elapsed_s
        if probe._may_ask(policy, epoch == epochs):  # type: ignore[arg-type]
            done.append(epoch)
            probe._cost = each
            probe._spent += each
    return done


def test_asking_takes_no_more_than_its_share() -> None:
    assert times_asked(0.1, epochs=8, seconds=1.0) == list(range(9))  # a hundredth of an epoch
    assert times_asked(0.4, epochs=8, seconds=1.0) == [0, 4, 7, 8]
    for each in (0.1, 0.5, 1.0, 3.0):
        asked = times_asked(each, epochs=12, seconds=1.0, phase="revision")
        assert 0 not in asked and len(asked) * each <= 0.03 * 120
    assert times_asked(1.0, epochs=12, seconds=1.0, phase="revision") == [2, 10, 12]
    assert times_asked(0.1, epochs=2, seconds=1.0) == [2]  # too short to be asked before the first step


def test_a_store_of_an_older_dlm_has_none(tmp_path: Path) -> None:
    with MetricsReader(tmp_path / "metrics.sqlite") as reader:
        assert reader.probes(1) == []
