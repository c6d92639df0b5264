"""A run's adapters and gate become current together, in one step; what is not committed leaves nothing."""

import errno
import itertools
import os
from pathlib import Path

import pytest

from dlm_core.errors import StoreError
from dlm_core.store import SectionRecord, Store
from dlm_core.store.lock import holder_file
from dlm_core.store.manifest import RunRecord
from tests.faults.inject import Disk, on
from tests.unit.store.conftest import DLM_ID, Commit, text


def test_a_store_that_does_not_exist_reads_as_empty_and_is_not_made(home: Path) -> None:
    store = Store.open(DLM_ID, home, create=False)
    assert store.snapshot().generation == 0
    assert store.snapshot().adapters == {}
    assert store.versions() == []
    assert not store.exists
    assert not home.exists()


def test_adapters_and_gate_of_a_run_are_current_together(store: Store, commit: Commit) -> None:
    committed = commit({"tone": "soft", "knowledge": "much"}, gate="mlp", document_hash="d1")
    read = Store.open(DLM_ID, store.paths.home, create=False).snapshot()
    assert read == committed
    assert (read.generation, read.adapters) == (1, {"tone": "v0001", "knowledge": "v0001"})
    assert text(read, "tone") == "soft"
    gate = read.gate_dir()
    assert gate is not None and (gate / "gate.safetensors").read_text() == "mlp"
    assert read.document_hash == "d1"


def test_all_that_a_run_says_comes_back(store: Store) -> None:
    sections = (
        SectionRecord(
            content_hash="a1", kind="instruction", adapter="tone", title="On tone", questions=2, last_loss=0.1
        ),
        SectionRecord(content_hash="b2", kind="prose", last_recall=0.98),
    )
    with store.stage(run_id=7) as stage:
        (stage.adapter_dir("tone") / "file").write_text("x")
        stage.commit(
            RunRecord(
                sections=sections,
                recipe_hash="r",
                base_fingerprint="b",
                document_hash="d",
                extra={"gate": {"mode": "trained"}},
            )
        )
    read = store.snapshot()
    assert read.sections == sections
    assert (read.run_id, read.recipe_hash, read.base_fingerprint, read.document_hash) == (7, "r", "b", "d")
    assert read.extra == {"gate": {"mode": "trained"}}


def test_an_adapter_that_was_not_trained_stays_where_it_was(commit: Commit) -> None:
    first = commit({"tone": "soft", "knowledge": "much"})
    second = commit({"tone": "softer"})
    assert second.adapters == {"tone": "v0002", "knowledge": "v0001"}
    assert second.adapter_dir("knowledge") == first.adapter_dir("knowledge")
    assert (text(first, "tone"), text(second, "tone")) == ("soft", "softer")


def test_a_gate_can_be_committed_alone(store: Store, commit: Commit) -> None:
    commit({"tone": "soft"}, document_hash="d1", extra={"a": 1})
    with store.stage(run_id=1) as stage:
        (stage.gate_dir() / "gate.safetensors").write_text("mlp")
        with_gate = stage.commit()
    assert with_gate.gate == "v0001"
    assert with_gate.adapters == {"tone": "v0001"}
    assert (with_gate.document_hash, with_gate.extra) == ("d1", {"a": 1})


def test_an_adapter_that_left_the_document_leaves_the_commit_and_takes_the_gate_along(
    store: Store, commit: Commit
) -> None:
    commit({"tone": "soft", "knowledge": "much", "humour": "dry"}, gate="mlp")
    left = commit({"tone": "softer"}, keep={"tone", "knowledge"}, keep_gate=False)
    assert left.adapters == {"tone": "v0002", "knowledge": "v0001"}
    assert left.gate_dir() is None
    assert not (store.paths.adapter("humour") / "current").exists()
    with pytest.raises(StoreError, match="no trained adapter 'humour'"):
        left.adapter_dir("humour")


def test_leaving_without_commit_leaves_nothing(store: Store, commit: Commit) -> None:
    before = commit({"tone": "soft"})
    with store.stage(run_id=2) as stage:
        (stage.adapter_dir("tone") / "file").write_text("half")
        stage.gate_dir()
    with pytest.raises(ZeroDivisionError), store.stage(run_id=2) as stage:
        (stage.adapter_dir("tone") / "file").write_text("half")
        raise ZeroDivisionError
    assert store.snapshot() == before
    assert [p.name for p in store.paths.adapter("tone").glob("v*")] == ["v0001"]
    assert list(store.paths.gate.glob("v*")) == []


def test_what_a_killed_process_left_is_cleared_by_the_next_writer(store: Store, commit: Commit) -> None:
    commit({"tone": "soft"})
    abandoned = store.paths.version("tone", "v0002")
    abandoned.mkdir()
    (abandoned / "half").write_text("x")
    (store.paths.root / ".manifest.json.abcd.tmp").write_text("half")
    Store.open(DLM_ID, store.paths.home, create=False)
    assert abandoned.exists(), "reading changes nothing"
    with store.writer():
        assert not abandoned.exists()
        assert not list(store.paths.root.glob(".*"))


def test_a_disk_that_fills_up_while_an_adapter_is_written_is_a_message(store: Store, commit: Commit) -> None:
    commit({"tone": "soft"})
    with pytest.raises(StoreError, match="no space left") as failure, store.stage(run_id=2) as stage:
        (stage.adapter_dir("tone") / "half").write_text("x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "free some space" in failure.value.hint
    assert [p.name for p in store.paths.adapter("tone").glob("v*")] == ["v0001"]


def test_an_empty_version_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="nothing was written"), store.stage(run_id=1) as stage:
        stage.adapter_dir("tone")
        stage.commit()
    assert store.snapshot().generation == 0


def test_a_stage_commits_once(store: Store) -> None:
    with store.stage(run_id=1) as stage:
        (stage.adapter_dir("tone") / "file").write_text("x")
        stage.commit()
        with pytest.raises(StoreError, match="committed already"):
            stage.commit()
    assert store.snapshot().generation == 1


def test_what_json_cannot_hold_is_refused_and_nothing_changes(commit: Commit, store: Store) -> None:
    with pytest.raises(StoreError, match="does not fit into JSON"):
        commit({"tone": "soft"}, extra={"what": object()})
    assert store.snapshot().generation == 0


def test_a_commit_that_fails_only_after_its_last_rename_is_kept(store: Store, commit: Commit) -> None:
    commit({"tone": "soft"})
    disk = Disk()
    with on(disk):
        commit({"tone": "probe"})
    outcomes = set()
    for at in range(1, disk.calls + 1):
        before = store.snapshot()
        try:
            with on(Disk("eio", at)):
                commit({"tone": f"attempt {at}"})
        except StoreError:
            outcomes.add("failed, new" if store.snapshot().generation > before.generation else "failed, old")
        store.verify()
    assert outcomes == {"failed, old", "failed, new"}


def test_numbers_of_versions_are_not_used_again(store: Store, commit: Commit) -> None:
    commit({"tone": "one"})
    commit({"tone": "two"})
    commit({"tone": "three"})
    store.rollback(1)
    store.prune(keep=1)
    assert commit({"tone": "four"}).adapters == {"tone": "v0004"}


def test_the_current_files_say_what_the_manifest_says_and_are_repaired(store: Store, commit: Commit) -> None:
    commit({"tone": "soft"}, gate="mlp")
    commit({"tone": "softer"})
    pointer = store.paths.adapter("tone") / "current"
    assert pointer.read_text() == "v0002\n"
    assert (store.paths.gate / "current").read_text() == "v0001\n"
    pointer.write_text("v0001\n")
    (store.paths.gate / "current").unlink()
    assert Store.open(DLM_ID, store.paths.home, create=True).snapshot().adapters == {"tone": "v0002"}
    assert pointer.read_text() == "v0002\n"
    assert (store.paths.gate / "current").read_text() == "v0001\n"


def test_order_is_by_generation_though_the_clock_jumps(home: Path) -> None:
    times = itertools.chain([2e9, 1e9, 3e9, 0.0], itertools.repeat(-5e9))
    store = Store.open(DLM_ID, home, create=True, clock=lambda: next(times))
    for content in ("one", "two", "three"):
        with store.stage(run_id=1) as stage:
            (stage.adapter_dir("tone") / "adapter_model.safetensors").write_text(content)
            stage.commit()
    assert [s.generation for s in store.versions()] == [1, 2, 3]
    assert text(store.snapshot(), "tone") == "three"


def test_everything_in_the_store_is_private(store: Store, commit: Commit) -> None:
    commit({"tone": "soft"}, gate="mlp")
    with store.metrics() as metrics:
        metrics.start_run()
        open_to_others = [p for p in store.paths.root.rglob("*") if p.stat().st_mode & 0o077]
    assert open_to_others == []


def test_sizes_tell_what_takes_room(store: Store, commit: Commit) -> None:
    commit({"tone": "x" * 10_000})
    sizes = store.sizes()
    assert sizes["adapters"] > 10_000
    assert sizes["exports"] == sizes["replay"] == 0


def test_the_lock_is_free_after_a_commit(store: Store, commit: Commit) -> None:
    commit({"tone": "soft"})
    assert not holder_file(store.paths.lock).exists()
    with Store.open(DLM_ID, store.paths.home, create=False).writer():
        pass
