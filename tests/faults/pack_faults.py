"""Breaks `dlm pack` and `dlm unpack` at every call that changes the disk, and cuts the power under them.

Run it for the figures, as JSON:  python -m tests.faults.pack_faults [--stride N]

After each fault: a pack is there whole or not at all; what was packed is untouched; the other home opens,
empty or with the whole commit; what failed names the file and the way out; the command then goes through.
"""

import sys
import tempfile
from pathlib import Path

from dlm_core.errors import StoreError
from dlm_core.pack import pack, unpack
from dlm_core.store import Store
from dlm_core.store.manifest import RunRecord
from tests.faults.everywhere import Operation, faults, fresh_copy, power_cuts, work_folder
from tests.faults.store_faults import contents
from tests.faults.tally import Tally, damages, report

DLM_ID = "01J0000000000000000000TEST"
NAMES = ("facts", "tone")
DOCUMENT = f"""\
---
dlm_id: {DLM_ID}
base_model: smollm2-135m
training:
  adapters: {{facts: {{}}, tone: {{}}}}
---
The document.
"""


def template(folder: Path) -> Path:
    """A trained document in `here`, and its pack."""
    here = folder / "here"
    here.mkdir()
    (here / "notes.dlm").write_text(DOCUMENT)
    with Store.open(DLM_ID, here, create=True).stage(run_id=1) as stage:
        for name in NAMES:
            weights = f"{name} of generation 1\n".encode() * 40
            (stage.adapter_dir(name) / "adapter_model.safetensors").write_bytes(weights)
        stage.commit(RunRecord(extra={"content": 1}))
    pack(here / "notes.dlm", folder / "whole.dlmpack", here)
    return folder


def _pack(folder: Path) -> object:
    return pack(folder / "here" / "notes.dlm", home=folder / "here")


def _unpack(folder: Path) -> object:
    return unpack(folder / "whole.dlmpack", folder / "there", folder / "there")


OPERATIONS: dict[str, Operation] = {"pack": _pack, "unpack": _unpack}


def tree(folder: Path) -> dict[str, bytes]:
    """What is at rest below a folder, temporary files aside."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.suffix not in (".tmp", ".dlmpack")
    }


def faults_at_every_call(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """Every operation, every kind of fault, at every `stride`-th call."""
    for name, operation in OPERATIONS.items():
        for folder, place in faults(tally, source, work, name, operation, stride):
            check(tally, source, folder, place)


def dark_machines(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """Every operation, with the power gone at every `stride`-th call."""
    for name, operation in OPERATIONS.items():
        for folder, place, done in power_cuts(tally, source, work, name, operation, stride):
            check(tally, source, folder, place, done=name if done else None)


def damaged_packs(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """A pack cut to pieces, and bits flipped all over it: refused, and nothing comes of it."""
    for label, spoil in list(damages((source / "whole.dlmpack").stat().st_size))[::stride]:
        folder = fresh_copy(source, work)
        spoil(folder / "whole.dlmpack")
        tally.faults[label.split(" ")[0]] += 1
        try:
            _unpack(folder)
            tally.lost.append(f"pack {label}: it was taken in")
        except StoreError as error:
            tally.expect("whole.dlmpack" in error.message, f"pack {label}: {error}")
        except Exception as error:
            tally.lost.append(f"pack {label}: {error!r}")
        tally.expect(not (folder / "there").exists(), f"pack {label}: something came of it")


def check(tally: Tally, source: Path, folder: Path, place: str, done: str | None = None) -> None:
    """What must hold after any fault; `done` names the operation that has to have taken effect."""
    try:
        tally.expect(tree(folder / "here") == tree(source / "here"), f"{place}: what was packed was touched")
        packed, whole = folder / "here" / "notes.dlmpack", (source / "whole.dlmpack").read_bytes()
        if packed.exists() or done == "pack":
            tally.expect(packed.read_bytes() == whole, f"{place}: half a pack")
            packed.unlink()
        store = Store.open(DLM_ID, folder / "there", create=False)
        document = folder / "there" / "notes.dlm"
        if store.snapshot().generation or done == "unpack":
            store.verify()
            tally.expect(contents(store.snapshot()) == {1}, f"{place}: not what was packed")
        if document.exists() or done == "unpack":
            tally.expect(document.read_text() == DOCUMENT, f"{place}: half a document")
        _pack(folder)
        tally.expect(packed.read_bytes() == whole, f"{place}: the next pack differs")
        _unpack(folder)
        store.verify()
        tally.expect(document.read_text() == DOCUMENT, f"{place}: no document")
        tally.expect(contents(store.snapshot()) == {1}, f"{place}: no versions")
    except Exception as error:
        tally.lost.append(f"{place}: {error!r}")


def run(stride: int) -> Tally:
    """All faults, at every `stride`-th place."""
    tally = Tally()
    with tempfile.TemporaryDirectory(dir=work_folder()) as folder:
        source = Path(folder) / "source"
        source.mkdir()
        template(source)
        work = Path(folder) / "work"
        faults_at_every_call(tally, source, work, stride)
        dark_machines(tally, source, work, stride)
        damaged_packs(tally, source, work, stride)
    return tally


if __name__ == "__main__":
    sys.exit(report(run, __doc__))
