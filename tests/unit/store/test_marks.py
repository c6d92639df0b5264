"""Versions that the user named or pinned: kept, whatever is pruned."""

from pathlib import Path

import pytest

from dlm_core.errors import StoreError, UsageError
from dlm_core.store import Store, marks
from dlm_core.store.history import keep_runs, outcomes
from dlm_core.store.marks import Mark
from dlm_core.store.paths import StorePaths

DLM_ID = "01JZX3VD0M8Q6Y2T4W9RB5KCNE"


def trained(home: Path, runs: int) -> Store:
    """A store with a version of one adapter for every run."""
    store = Store(StorePaths(home, DLM_ID))
    for run in range(1, runs + 1):
        with store.stage(run) as stage:
            (stage.adapter_dir("tone") / "adapter_model.safetensors").write_bytes(b"weights")
            stage.commit()
    return store


def test_what_is_pinned_stays_when_all_else_is_pruned_and_can_be_gone_back_to(tmp_path: Path) -> None:
    store = trained(tmp_path, 4)
    marks.save(store.paths.marks, {2: Mark(generation=2, name="good", pinned=True)})
    removed = keep_runs(store, 1)
    assert [commit.generation for commit in outcomes(store.versions())] == [2, 4]
    assert sorted(folder.name for folder in removed) == ["v0001", "v0003"]
    assert store.rollback(2).adapters == {"tone": "v0002"}


def test_what_is_pinned_no_more_goes(tmp_path: Path) -> None:
    store = trained(tmp_path, 3)
    marks.save(store.paths.marks, {1: Mark(generation=1, pinned=True), 2: Mark(generation=2, name="two")})
    keep_runs(store, 1)
    assert [commit.generation for commit in store.versions()] == [1, 3]
    marks.save(store.paths.marks, {})
    keep_runs(store, 1)
    assert [commit.generation for commit in store.versions()] == [3]


def test_nothing_is_pruned_where_it_cannot_be_read_what_is_pinned(tmp_path: Path) -> None:
    store = trained(tmp_path, 3)
    store.paths.marks.write_text("{")
    with pytest.raises(StoreError, match=r"named\.json"):
        keep_runs(store, 1)
    assert len(store.versions()) == 3


def test_a_name_is_a_line_with_letters() -> None:
    assert marks.checked_name("  before   the rewrite ") == "before the rewrite"
    for name in ("", " ", "12", "a\x1bb", "n" * 61):
        with pytest.raises(UsageError):
            marks.checked_name(name)
