"""A pack carries a trained document to another place, whole or not at all, and never over anything."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from dlm_core.errors import DocumentError, PackExistsError, Stopped, StoreError
from dlm_core.pack import pack, unpack
from dlm_core.requests import Message
from dlm_core.store import Store, marks
from dlm_core.store.asked import AskedQuestions
from dlm_core.store.metrics_reader import MetricsReader
from tests.unit.pack.conftest import DOCUMENT, train

DLM_ID = "01J9ZQ4T7M3N5P6R8S9V0W1X2Y"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder that a commit consists of."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and not p.name.startswith(("metrics.", "lock", "current"))
    }


def everything(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*")}


def test_document_and_versions_come_out_as_they_went_in(document: Path, home: Path, elsewhere: Path) -> None:
    packed = pack(document, home=home)
    assert packed.path == document.with_suffix(".dlmpack")
    assert packed.size == packed.path.stat().st_size
    taken = unpack(packed.path, elsewhere / "documents", elsewhere)
    assert (taken.wrote_document, taken.wrote_store) == (True, True)
    assert (elsewhere / "documents" / "hedge.dlm").read_bytes() == document.read_bytes()
    assert tree(elsewhere / "store" / DLM_ID) == tree(home / "store" / DLM_ID)
    store = Store.open(DLM_ID, elsewhere, create=False)
    store.verify()
    assert (taken.adapters, taken.gate, taken.base_model) == (("facts", "tone"), True, "smollm2-135m")


def test_what_was_asked_stays_at_home(document: Path, home: Path) -> None:
    paths = Store.open(DLM_ID, home, create=False).paths
    assert AskedQuestions(paths.asked).keep(
        (Message("user", "a secret question"),), "a reply", "right", "a reply"
    )
    packed = pack(document, home=home).path
    assert b"secret" in paths.asked.read_bytes()
    listed = subprocess.run(["tar", "tf", packed], capture_output=True, text=True, check=True).stdout
    assert "asked" not in listed and b"secret question" not in packed.read_bytes()


def test_names_and_pins_of_versions_stay_at_home(document: Path, home: Path, elsewhere: Path) -> None:
    paths = Store.open(DLM_ID, home, create=False).paths
    kept = {1: marks.Mark(generation=1, name="before the scandal", pinned=True)}
    marks.save(paths.marks, kept)
    packed = pack(document, home=home).path
    assert b"scandal" in paths.marks.read_bytes() and b"scandal" not in packed.read_bytes()
    unpack(packed, elsewhere / "documents", elsewhere)
    taken = Store.open(DLM_ID, elsewhere, create=False)
    assert marks.load(taken.paths.marks) == {} and not taken.paths.marks.exists()
    unpack(packed, document.parent, home)
    assert marks.load(paths.marks) == kept, "a pack that is taken in where it comes from changes nothing"


def test_the_same_content_gives_the_same_bytes(document: Path, home: Path, tmp_path: Path) -> None:
    one = pack(document, home=home).path
    os.utime(document, (0, 0))
    document.chmod(0o640)
    two = pack(document, tmp_path / "two.dlmpack", home).path
    assert one.read_bytes() == two.read_bytes()


def test_what_was_unpacked_packs_to_the_same_bytes(document: Path, home: Path, elsewhere: Path) -> None:
    one = pack(document, home=home).path
    taken = unpack(one, elsewhere, elsewhere)
    assert pack(taken.path, home=elsewhere).path.read_bytes() == one.read_bytes()


def test_ordinary_tar_lists_a_pack(document: Path, home: Path) -> None:
    listed = subprocess.run(
        ["tar", "tf", pack(document, home=home).path], capture_output=True, text=True, check=True
    )
    assert listed.stdout.splitlines()[:2] == ["pack.json", "document.dlm"]
    assert listed.stderr == ""


def test_everything_written_is_private_whatever_the_umask(
    document: Path, home: Path, elsewhere: Path
) -> None:
    before = os.umask(0)
    try:
        packed = pack(document, home=home).path
        unpack(packed, elsewhere / "documents", elsewhere)
    finally:
        os.umask(before)
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    assert all(stat.S_IMODE(p.stat().st_mode) & 0o077 == 0 for p in everything(elsewhere))


def test_training_goes_on_where_the_pack_left_off(document: Path, home: Path, elsewhere: Path) -> None:
    taken = unpack(pack(document, home=home).path, elsewhere, elsewhere)
    with MetricsReader(Store.open(DLM_ID, elsewhere, create=False).paths.metrics) as metrics:
        assert [(run.run_id, run.status) for run in metrics.runs()] == [(3, "done")]
        gate = metrics.gate(3)
    assert gate is not None and gate.mean_weights == {"facts": 0.75, "tone": 0.25}
    store = train(taken.path, elsewhere)
    assert [s.generation for s in store.versions()] == [1, 2]
    assert store.snapshot().adapters == {"facts": "v0002", "tone": "v0002"}


def test_a_pack_is_never_written_over_a_file(document: Path, home: Path) -> None:
    document.with_suffix(".dlmpack").write_text("mine")
    with pytest.raises(StoreError, match="is there already"):
        pack(document, home=home)
    assert document.with_suffix(".dlmpack").read_text() == "mine"


def test_a_pack_is_replaced_where_that_is_asked_for_and_nothing_else_is(document: Path, home: Path) -> None:
    first = pack(document, home=home)
    train(document, home, weights=b"others")
    with pytest.raises(PackExistsError, match="is there already"):
        pack(document, home=home)
    before = first.path.read_bytes()
    replaced = pack(document, home=home, overwrite=True)
    assert replaced.path == first.path and replaced.path.read_bytes() != before
    replaced.path.write_text("a thesis")
    with pytest.raises(StoreError, match="is no pack"):
        pack(document, home=home, overwrite=True)
    assert replaced.path.read_text() == "a thesis"


def test_packing_tells_how_far_it_is_and_leaves_nothing_when_it_is_ended(document: Path, home: Path) -> None:
    heard: list[tuple[int, int]] = []
    size = pack(document, home=home, told=lambda *far: heard.append(far)).size
    assert heard[-1] == (size, size) and heard == sorted(heard)
    before = document.with_suffix(".dlmpack").read_bytes()

    def end(done: int, total: int) -> None:
        if done > total / 2:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        pack(document, home=home, overwrite=True, told=end)
    assert document.with_suffix(".dlmpack").read_bytes() == before
    assert {p.name for p in document.parent.glob("*pack*")} == {document.with_suffix(".dlmpack").name}


def test_a_document_is_never_written_over_another(document: Path, home: Path, elsewhere: Path) -> None:
    packed = pack(document, home=home).path
    elsewhere.mkdir()
    (elsewhere / "hedge.dlm").write_text("mine")
    with pytest.raises(StoreError, match="with other content") as refused:
        unpack(packed, elsewhere, elsewhere)
    assert "-o DIR" in refused.value.hint
    assert everything(elsewhere) == {elsewhere / "hedge.dlm"}


def test_a_link_in_the_documents_place_is_not_followed(
    document: Path, home: Path, elsewhere: Path, tmp_path: Path
) -> None:
    packed = pack(document, home=home).path
    elsewhere.mkdir()
    (elsewhere / "hedge.dlm").symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError, match="is there already"):
        unpack(packed, elsewhere, elsewhere)
    assert not (tmp_path / "outside").exists()


def test_other_versions_of_the_document_are_kept_and_the_way_out_is_said(
    document: Path, home: Path, elsewhere: Path
) -> None:
    packed = pack(document, home=home).path
    train(document, elsewhere, b"other weights")
    before = tree(elsewhere)
    with pytest.raises(StoreError, match="was trained here already") as refused:
        unpack(packed, elsewhere, elsewhere)
    assert "dlm pack" in refused.value.hint and "DLM_HOME" in refused.value.hint
    assert tree(elsewhere) == before


def test_unpacking_twice_changes_nothing(document: Path, home: Path, elsewhere: Path) -> None:
    packed = pack(document, home=home).path
    unpack(packed, elsewhere, elsewhere)
    before = everything(elsewhere)
    again = unpack(packed, elsewhere, elsewhere)
    assert (again.wrote_document, again.wrote_store) == (False, False)
    assert everything(elsewhere) == before
    (elsewhere / "hedge.dlm").unlink()
    assert unpack(packed, elsewhere, elsewhere).wrote_document


def test_a_document_that_was_not_trained_is_not_packed(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "new.dlm"
    path.write_text(DOCUMENT)
    with pytest.raises(StoreError, match="was not trained yet") as refused:
        pack(path, home=home)
    assert "dlm train" in refused.value.hint
    assert not path.with_suffix(".dlmpack").exists()
    path.write_text("no document")
    with pytest.raises(DocumentError):
        pack(path, home=home)


def test_a_damaged_version_is_not_packed_and_named(document: Path, home: Path) -> None:
    weights = home / "store" / DLM_ID / "adapters" / "tone" / "v0001" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError, match=r"adapter_model\.safetensors is damaged"):
        pack(document, home=home)
    assert not [p for p in document.parent.iterdir() if "dlmpack" in p.name]


def test_what_the_pack_does_not_hold_is_said(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "garden.txt"
    path.write_text(
        DOCUMENT.replace("smollm2-135m", "path:./base").replace(
            "training:\n", "training:\n  sources: [{path: notes}]\n"
        )
    )
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "one.md").write_text("text")
    train(path, home)
    packed = pack(path, home=home)
    assert [word for word in ("path:./base", "training.sources") if word in " ".join(packed.outside)] == [
        "path:./base",
        "training.sources",
    ]
    assert unpack(packed.path, tmp_path / "out", tmp_path / "other").path.name == "garden.dlm"
