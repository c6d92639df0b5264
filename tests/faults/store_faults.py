"""Breaks the store in every way it knows, at every call that changes the disk, and counts what survived.

Run it for the figures, as JSON:  python -m tests.faults.store_faults [--stride N]

After each fault: the store opens on the old or the new versions, never a mixture; their hashes are right,
or the message names the file and the way out; the next writer takes it up; the document was not touched.
"""

import hashlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from dlm_core.errors import StoreError
from dlm_core.events import TrainStep
from dlm_core.store import Snapshot, Store
from dlm_core.store.manifest import RunRecord
from dlm_core.store.metrics import Metrics
from tests.faults.everywhere import Operation, faults, fresh_copy, power_cuts, work_folder
from tests.faults.tally import Tally, damages, report

DLM_ID = "01J0000000000000000000TEST"
NAMES = ("knowledge", "tone")


def payload(generation: int, name: str) -> bytes:
    """What a commit writes for one adapter: enough to tell generations apart, and to flip bits in."""
    return f"{name} of generation {generation}\n".encode() * 40


def commit(store: Store) -> Snapshot:
    """A run: adapters and gate, each carrying the number of the generation it was made for."""
    with store.writer(), store.stage(run_id=store.snapshot().generation + 1) as stage:
        generation = stage.base.generation + 1
        for name in NAMES:
            (stage.adapter_dir(name) / "adapter_model.safetensors").write_bytes(payload(generation, name))
        (stage.gate_dir() / "gate.safetensors").write_bytes(payload(generation, "gate"))
        return stage.commit(RunRecord(extra={"content": generation}))


def save_checkpoint(store: Store) -> None:
    with store.writer():
        store.checkpoints.save(lambda folder: _write(folder / "state.bin", b"state" * 50), key="k")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def contents(snapshot: Snapshot) -> set[int]:
    """The generations whose content a snapshot's folders hold; more than one is a mixture."""
    folders = {name: snapshot.adapter_dir(name) / "adapter_model.safetensors" for name in snapshot.adapters}
    gate = snapshot.gate_dir()
    if gate is not None:
        folders["gate"] = gate / "gate.safetensors"
    return {int(path.read_bytes().split()[3]) for path in folders.values()}


OPERATIONS: dict[str, Callable[[Store], object]] = {
    "commit": commit,
    "rollback": lambda store: store.rollback(1),
    "prune": lambda store: store.prune(keep=1),
    "checkpoint": save_checkpoint,
}

OPERATIONS_THAT_FLIP = {"commit", "rollback"}


def template(folder: Path) -> Path:
    """A home with a document beside it, two commits and a checkpoint."""
    (folder / "notes.dlm").write_text("---\ndlm_id: " + DLM_ID + "\n---\nThe document.\n")
    store = Store.open(DLM_ID, folder, create=True)
    commit(store)
    commit(store)
    save_checkpoint(store)
    with Metrics(store.paths.metrics) as metrics:
        metrics.record(step(metrics.start_run(document_hash="d"), 1))
    return folder


def step(run_id: int, number: int) -> TrainStep:
    return TrainStep(
        run_id=run_id, phase="sft", step=number, steps=9, epoch=1, epochs=1, loss=1.0, losses={},
        learning_rate=1e-3, grad_norm=1.0, tokens_per_s=1.0, elapsed_s=1.0, eta_s=1.0,
    )  # fmt: skip


def faults_at_every_call(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """Every operation, every kind of fault, at every `stride`-th call."""
    for name, operation in OPERATIONS.items():
        for home, place in faults(tally, source, work, name, _on_store(operation), stride):
            check(tally, home, place)


def dark_machines(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """Every operation, with the power gone at every `stride`-th call."""
    for name, operation in OPERATIONS.items():
        for home, place, done in power_cuts(tally, source, work, name, _on_store(operation), stride):
            # What was reported as done must outlive the cut.
            possible = (len(OPERATIONS_THAT_FLIP & {name}) + 2,) if done else (2, 3)
            check(tally, home, place, possible)


def _on_store(operation: Callable[[Store], object]) -> Operation:
    return lambda home: operation(Store.open(DLM_ID, home, create=False))


def check(tally: Tally, home: Path, place: str, generations: tuple[int, ...] = (2, 3)) -> None:
    """What must hold after any fault that did not damage files at rest."""
    try:
        snapshot = Store.open(DLM_ID, home, create=False).snapshot()
        Store.open(DLM_ID, home, create=False).verify()
        tally.expect(snapshot.generation in generations, f"{place}: opened on {snapshot.generation}")
        tally.expect(len(contents(snapshot)) == 1, f"{place}: a mixture of {contents(snapshot)}")
        tally.expect(contents(snapshot) == {snapshot.extra["content"]}, f"{place}: not what was committed")
        carry_on(tally, home, place)
    except Exception as error:
        tally.lost.append(f"{place}: {error!r}")


def carry_on(tally: Tally, home: Path, place: str) -> None:
    """The next writer: clears up, commits, and nothing is left that no commit knows."""
    store = Store.open(DLM_ID, home, create=True)
    before = store.snapshot().generation
    after = commit(store)
    store.verify()
    tally.expect(after.generation == before + 1, f"{place}: the next commit is {after.generation}")
    known = {folder for s in store.versions() for folder in s.folders().values()}
    found = set(store.paths.root.glob("adapters/*/v*")) | set(store.paths.gate.glob("v*"))
    unsealed = {folder for folder in found - known if not (folder / "version.json").exists()}
    tally.expect(not unsealed, f"{place}: left over {sorted(unsealed)}")
    tally.expect(not list(store.paths.root.glob(".*.tmp")), f"{place}: temporary files left over")
    save_checkpoint(store)
    tally.expect(store.checkpoints.latest() is not None, f"{place}: no checkpoint")
    document = (home / "notes.dlm").read_text()
    tally.expect(document.endswith("The document.\n"), f"{place}: the document was touched")


def damaged_files(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """Every file of the store: cut to pieces, emptied, removed, and bits flipped all over it."""
    files = sorted(p.relative_to(source) for p in source.rglob("*") if p.is_file() and p.name != "notes.dlm")
    places = [
        (relative, label, spoil)
        for relative in files
        if relative.name != "lock"
        for label, spoil in damages((source / relative).stat().st_size)
    ]
    for relative, label, spoil in places[::stride]:
        home = fresh_copy(source, work)
        spoil(home / relative)
        tally.faults[label.split(" ")[0]] += 1
        _check_damaged(tally, home, relative, f"{relative}, {label}")


def _check_damaged(tally: Tally, home: Path, relative: Path, place: str) -> None:
    """Damage at rest is found and named, or mended from the copy; what is whole can be gone back to."""
    try:
        store = Store.open(DLM_ID, home, create=False)
        tally.expect(
            store.snapshot().generation in (1, 2), f"{place}: opened on {store.snapshot().generation}"
        )
        if relative.name.startswith("metrics.sqlite"):
            _check_metrics(tally, store, place)
        try:
            store.verify()
        except StoreError as error:
            tally.expect(
                relative.name in error.message or "version.json" in error.message, f"{place}: {error}"
            )
            tally.expect("dlm rollback FILE --to" in error.hint, f"{place}: no way out in {error}")
            store.rollback(1)
            store.verify()
        tally.expect(len(contents(store.snapshot())) == 1, f"{place}: a mixture")
        carry_on(tally, home, place)
    except Exception as error:
        tally.lost.append(f"{place}: {error!r}")


def _check_metrics(tally: Tally, store: Store, place: str) -> None:
    said: list[str] = []
    with Metrics(store.paths.metrics, on_problem=said.append) as metrics:
        run = metrics.start_run(document_hash="d")
        metrics.record(step(run, 1))
        metrics.end_run(run)
        written = any(r.run_id == run and r.status == "done" for r in metrics.runs()) and metrics.steps(run)
    tally.expect(bool(written or said), f"{place}: the run was not recorded, and nothing was said")
    tally.expect(all("metrics.sqlite" in sentence for sentence in said), f"{place}: {said}")


def jumping_clocks(tally: Tally, source: Path, work: Path) -> None:
    """A clock that runs backwards or leaps by years: order stays the order of commits."""
    for leap in (-1e9, -86400.0, -1.0, 0.0, 1e9, 1e11, -2e9):
        home = fresh_copy(source, work)
        now = [1.8e9]

        def clock(now: list[float] = now, leap: float = leap) -> float:
            now[0] += leap
            return now[0]

        tally.faults["clock"] += 1
        try:
            store = Store.open(DLM_ID, home, create=True, clock=clock)
            commit(store)
            commit(store)
            order = [s.generation for s in store.versions()]
            tally.expect(order == [1, 2, 3, 4], f"clock leaps {leap}: {order}")
            check(tally, home, f"clock leaps {leap}", generations=(4,))
        except Exception as error:
            tally.lost.append(f"clock leaps {leap}: {error!r}")


def run(stride: int) -> Tally:
    """All faults, at every `stride`-th place."""
    tally = Tally()
    with tempfile.TemporaryDirectory(dir=work_folder()) as folder:
        source = Path(folder) / "source"
        source.mkdir()
        template(source)
        work = Path(folder) / "work"
        before = hashlib.sha256((source / "notes.dlm").read_bytes()).hexdigest()
        faults_at_every_call(tally, source, work, stride)
        dark_machines(tally, source, work, stride)
        damaged_files(tally, source, work, stride)
        jumping_clocks(tally, source, work)
        after = hashlib.sha256((source / "notes.dlm").read_bytes()).hexdigest()
        tally.expect(before == after, "the document was touched")
    return tally


if __name__ == "__main__":
    sys.exit(report(run, __doc__))
