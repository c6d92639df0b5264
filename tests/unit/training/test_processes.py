"""Processes that a launcher started train one document: equal adapters, one commit, one voice, and the same
adapters as one process comes to.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dlm_core.engine import Engine
from dlm_core.errors import TrainingError
from dlm_core.requests import TrainOptions
from dlm_core.store.store import Store
from dlm_core.training import processes
from dlm_core.training.processes import portions, require_same, sum_gradients, summed
from tests.children import free_port, start, train_together
from tests.tiny import BODY, DLM_ID, Desk, committed_hashes, make_base_folder

CLOSE = 1e-3
"""How far tensors may be apart, over their size, whose steps were added up in another order."""
EDITED = BODY + "\n::instruction#tone::\n### Q\nSay no.\n### A\nNay!\n"
TRAINING: dict[str, Any] = {
    "micro_batch_size": 2,
    "num_epochs": 2,
    "gate": {"enabled": True, "cold_start_floor": 2, "steps": 5},
    "rehearsal": {"enabled": True, "every": 2},
}


def together(
    folder: Path, count: int = 2, *, home: str = "home", stop_at: int = 0, resume: bool = False
) -> list[dict[str, Any]]:
    port = free_port()
    children = [
        start(train_together, rank, count, port, folder, home, stop_at, resume) for rank in range(count)
    ]
    for child in children:
        child.join(240)
    assert [c.exitcode for c in children] == [0] * count
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(count)]


def assert_close(home: Path, other: Path) -> None:
    ours, theirs = (Store.open(DLM_ID, each, create=False).snapshot() for each in (home, other))
    assert ours.adapters == theirs.adapters and len(ours.adapters) == 2
    for name in ours.adapters:
        file = "adapter_model.safetensors"
        here, there = (load_file(each.adapter_dir(name) / file) for each in (ours, theirs))
        for key, value in here.items():
            assert (value - there[key]).norm() < CLOSE * there[key].norm(), key


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A document that one process has trained."""
    folder = tmp_path_factory.mktemp("alone")
    desk = Desk(folder, make_base_folder(folder)).open(BODY, **TRAINING)
    desk.train()
    return desk


@given(st.lists(st.integers(1, 500), max_size=12), st.integers(1, 5))
def test_rows_are_dealt_once_each_and_evenly(costs: list[int], count: int) -> None:
    parts = portions(costs, count)
    assert sorted(i for part in parts for i in part) == list(range(len(costs)))
    loads = [sum(costs[i] for i in part) for part in parts]
    assert max(loads) - min(loads) <= max(costs, default=0)
    assert all(part == sorted(part) for part in parts)


def test_one_process_keeps_its_numbers_and_gradients_to_the_bit() -> None:
    accelerator = Accelerator(cpu=True)
    assert summed(accelerator, [[0.1, 2.0], [1 / 3, 0.0]]) == [[0.1, 2.0], [1 / 3, 0.0]]
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = before = torch.tensor([0.1, 0.2, 0.3])
    sum_gradients(accelerator, [parameter])
    assert parameter.grad is before
    require_same(accelerator, "anything")


def test_processes_that_have_read_different_things_refuse_to_train(monkeypatch: pytest.MonkeyPatch) -> None:
    both = SimpleNamespace(num_processes=2)
    monkeypatch.setattr(processes, "gather_object", lambda mine: ["a document", *mine])
    require_same(both, "a document")  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="process 1 reads another document, base or store than process 0"):
        require_same(both, "another")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_that_two_processes_began_goes_on_in_one(alone: Desk) -> None:
    stopped = together(alone.folder, home="begun", stop_at=2)
    assert [each["status"] for each in stopped] == ["stopped", "stopped"]
    assert stopped[0]["adapters"] == stopped[1]["adapters"]
    assert committed_hashes(alone.folder / "begun") == {}
    engine = Engine(alone.folder / "begun", "cpu", lambda _: None)
    engine.open(alone.path)
    ended = engine.train(TrainOptions(resume=True), lambda _: None, lambda: False, lambda: None)
    assert ended.status == "done"
    assert_close(alone.home, alone.folder / "begun")


@pytest.mark.slow
def test_two_processes_train_and_revise_as_one_and_commit_once(alone: Desk) -> None:
    home = alone.folder / "several"
    first, second = together(alone.folder, home="several")
    assert first["adapters"] == second["adapters"] and first["versions"] == second["versions"]
    assert first["events"] and not second["events"], "the first process speaks, the second is silent"
    assert second["serving"] == "g0", "who only helps loads nothing anew"
    store = Store.open(DLM_ID, home, create=False)
    store.verify()
    assert store.snapshot().generation == 2, "the adapters and the gate, each committed once"
    alone.write(EDITED, **TRAINING)
    revised, _ = together(alone.folder, home="several")
    assert revised["versions"] == {"facts": "v0001", "tone": "v0002"}
    alone.train()
    assert_close(alone.home, home)
    with store.metrics() as metrics:
        assert [run.status for run in metrics.runs()] == ["done", "done"]
