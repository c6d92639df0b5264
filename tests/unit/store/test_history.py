"""Going back, forgetting, and finding damage before it is believed."""

import json
from pathlib import Path

import pytest

from dlm_core.errors import StoreError
from dlm_core.store import Store, envelope, manifest
from tests.unit.store.conftest import DLM_ID, Commit, text


def test_history_lists_every_commit_oldest_first(store: Store, commit: Commit) -> None:
    commit({"tone": "one"})
    commit({"tone": "two"})
    assert [(s.generation, text(s, "tone")) for s in store.versions()] == [(1, "one"), (2, "two")]


def test_rolling_back_is_a_new_generation_with_the_old_versions(store: Store, commit: Commit) -> None:
    commit({"tone": "one"}, gate="first", document_hash="d1")
    commit({"tone": "two"}, gate="second", document_hash="d2")
    back = store.rollback(1)
    assert (back.generation, back.adapters, back.gate) == (3, {"tone": "v0001"}, "v0001")
    assert (text(back, "tone"), back.document_hash) == ("one", "d1")
    assert "generation 1" in back.note
    assert text(store.rollback(2), "tone") == "two"


def test_there_is_no_way_back_to_what_never_was(store: Store, commit: Commit) -> None:
    commit({"tone": "one"})
    with pytest.raises(StoreError, match="no generation 9") as failure:
        store.rollback(9)
    assert "1" in failure.value.hint
    assert store.snapshot().generation == 1


def test_pruning_keeps_what_the_kept_commits_need(store: Store, commit: Commit) -> None:
    commit({"tone": "one", "knowledge": "much"})
    commit({"tone": "two"})
    commit({"tone": "three"})
    removed = store.prune(keep=1)
    assert [p.name for p in removed] == ["v0001", "v0002"]
    assert [s.generation for s in store.versions()] == [3]
    assert text(store.snapshot(), "knowledge") == "much"
    store.verify()


def test_pruning_everything_keeps_the_current_commit(store: Store, commit: Commit) -> None:
    commit({"tone": "one"})
    assert store.prune(keep=0) == []
    assert text(store.snapshot(), "tone") == "one"


def test_verify_names_the_damaged_file_and_the_way_back(store: Store, commit: Commit) -> None:
    commit({"tone": "one"})
    second = commit({"tone": "two"})
    weights = second.adapter_dir("tone") / "adapter_model.safetensors"
    weights.write_text("twp")
    with pytest.raises(StoreError, match=r"v0002/adapter_model\.safetensors is damaged") as failure:
        store.verify()
    assert "--to 1" in failure.value.hint
    store.verify(store.versions()[0])
    store.rollback(1)
    store.verify()


@pytest.mark.parametrize(("damage", "said"), [("truncate", "bytes instead of"), ("unlink", "is missing")])
def test_verify_tells_kinds_of_damage_apart(store: Store, commit: Commit, damage: str, said: str) -> None:
    weights = commit({"tone": "one"}).adapter_dir("tone") / "adapter_model.safetensors"
    weights.write_text("o") if damage == "truncate" else weights.unlink()
    with pytest.raises(StoreError, match=said) as failure:
        store.verify()
    assert "--fresh" in failure.value.hint, "there is nothing whole to go back to"


def test_a_rollback_to_damage_is_refused(store: Store, commit: Commit) -> None:
    first = commit({"tone": "one"})
    commit({"tone": "two"})
    (first.adapter_dir("tone") / "adapter_model.safetensors").write_text("xxx")
    with pytest.raises(StoreError, match="damaged"):
        store.rollback(1)
    assert text(store.snapshot(), "tone") == "two"


def test_a_seal_that_names_files_elsewhere_is_not_followed(
    store: Store, commit: Commit, tmp_path: Path
) -> None:
    folder = commit({"tone": "one"}).adapter_dir("tone")
    (tmp_path / "elsewhere").write_text("x")
    seal = json.loads((folder / "version.json").read_text())["content"]
    seal["files"] = {"../../../../../../elsewhere": {"sha256": "0" * 64, "size": 1}}
    envelope.write(folder / "version.json", seal, 1)
    with pytest.raises(StoreError, match="outside its folder"):
        store.verify()


def test_a_damaged_manifest_is_replaced_by_its_copy_and_said_so(store: Store, commit: Commit) -> None:
    commit({"tone": "one"})
    commit({"tone": "two"})
    data = store.paths.manifest.read_bytes()
    store.paths.manifest.write_bytes(data.replace(b"v0002", b"v0001"))
    reader = Store.open(DLM_ID, store.paths.home, create=False)
    assert text(reader.snapshot(), "tone") == "two"
    assert "manifest.json is damaged" in reader.notices[0]
    assert store.paths.manifest.read_bytes() != data, "reading changes nothing"
    with reader.writer():
        pass
    assert manifest.read(store.paths.manifest)[0].generation == 2
    assert (store.paths.root / "manifest.damaged.json").exists()


def test_a_store_of_which_nothing_can_be_read_says_what_to_do(store: Store, commit: Commit) -> None:
    commit({"tone": "one"})
    store.paths.manifest.write_text("{")
    store.paths.generation(1).write_text("{")
    with pytest.raises(StoreError, match=r"manifest\.json is damaged") as failure:
        Store.open(DLM_ID, store.paths.home, create=False)
    assert "backup" in failure.value.hint
    assert store.paths.version("tone", "v0001").is_dir()


def test_a_newer_format_is_refused_and_left_alone(
    store: Store, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit({"tone": "one"})
    with monkeypatch.context() as newer:
        newer.setattr(manifest, "MIGRATIONS", (lambda content: content,))
        commit({"tone": "two"})
    written = store.paths.manifest.read_bytes()
    with pytest.raises(StoreError, match="newer dlm") as failure:
        Store.open(DLM_ID, store.paths.home, create=True)
    assert failure.value.hint == "update dlm"
    assert store.paths.manifest.read_bytes() == written


def test_an_older_format_is_lifted_in_order_and_backed_up(
    store: Store, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit({"tone": "one"}, extra={"steps": []})
    original = store.paths.manifest.read_bytes()
    migrations = tuple(
        lambda content, n=n: content | {"extra": {"steps": [*content["extra"]["steps"], n]}} for n in (1, 2)
    )
    monkeypatch.setattr(manifest, "MIGRATIONS", migrations)
    assert store.snapshot().extra == {"steps": [1, 2]}
    assert store.paths.manifest.read_bytes() == original, "reading changes nothing"
    with store.writer():
        pass
    assert manifest.read(store.paths.manifest)[1] == 3
    assert store.snapshot().extra == {"steps": [1, 2]}
    assert (store.paths.root / "manifest.format1.json").read_bytes() == original
