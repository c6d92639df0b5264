"""Damages every file that an engine reads, and takes the document away at every moment of a training.

Run it for the figures, as JSON:  python -m tests.faults.file_faults [--stride N]

After each fault: a reply comes, or a message that names the file (or its folder) and the way out; damage to
what was trained is always noticed; a document that vanished is never written again, and the store is whole.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from dlm_core.bases import convert
from dlm_core.bases.registry import parse_base_name
from dlm_core.bases.sources import Sources, find_base
from dlm_core.bases.wheel import Finished
from dlm_core.engine import Engine
from dlm_core.errors import DlmError
from dlm_core.events import Event, Log
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from dlm_core.store import Store, seal
from dlm_core.store.origin import SHARED_ID
from tests.faults.everywhere import fresh_copy
from tests.faults.tally import Tally, damages, report
from tests.tiny import DLM_ID, document_text, make_base_folder, make_tokenizer
from tests.unit.bases.test_bases_convert import write_gguf

ASKED = [Message("user", "What is the port?")]
BASE_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


def template(folder: Path) -> Path:
    """A tiny base, a document with a gate, and two trainings of it."""
    make_base_folder(folder)
    write_document(folder)
    engine = Engine(folder / "home", "cpu", lambda _: None)
    engine.open(folder / "notes.dlm")
    engine.train(TrainOptions(), lambda _: None, lambda: False, lambda: None)
    engine.train(TrainOptions(fresh=True), lambda _: None, lambda: False, lambda: None)
    return folder


def write_document(folder: Path) -> None:
    gate = {"enabled": True, "cold_start_floor": 2, "steps": 5}
    (folder / "notes.dlm").write_text(document_text(base="path:./tiny", gate=gate, num_epochs=1))


def reply(folder: Path, engine: Engine | None = None) -> tuple[list[str], str]:
    """What the engine says while it opens the document and answers: warnings, and what ended it."""
    events: list[Event] = []
    engine = engine or Engine(folder / "home", "cpu", events.append)
    engine.emit = events.append
    failure = ""
    try:
        engine.open(folder / "notes.dlm")
        list(engine.generate(ASKED, RoutingChoice(), Sampling(max_tokens=2), lambda: False))
    except DlmError as error:
        failure = f"{error.message} {error.hint}"
    # What is damaged here is a copy, and the original stands beside it with the same id.
    logs = [event for event in events if isinstance(event, Log) and event.code != SHARED_ID]
    return [f"{event.message} {event.hint}" for event in logs], failure


def damaged_base(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """Every file of the base, cut, emptied, removed, bits flipped."""
    places = [
        (name, label, spoil) for name in BASE_FILES for label, spoil in _damages(source / "tiny" / name)
    ]
    for name, label, spoil in places[::stride]:
        folder = fresh_copy(source, work)
        spoil(folder / "tiny" / name)
        tally.faults[label.split(" ")[0]] += 1
        place = f"base {name}, {label}"
        try:
            _, failure = reply(folder)
            tally.expect(
                not failure or str(folder / "tiny") in failure or "tiny" in failure, f"{place}: {failure}"
            )
        except Exception as error:
            tally.lost.append(f"{place}: {error!r}")


def damaged_versions(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """Every file of what was trained: noticed, named, and the version before is a rollback away."""
    engine = Engine(source / "home", "cpu", lambda _: None)
    snapshot = Store.open(DLM_ID, source / "home", create=False).snapshot()
    files = sorted(
        path.relative_to(source) for folder in snapshot.folders().values() for path in folder.iterdir()
    )
    places = [(relative, label, spoil) for relative in files for label, spoil in _damages(source / relative)]
    for relative, label, spoil in places[::stride]:
        folder = fresh_copy(source, work)
        spoil(folder / relative)
        tally.faults[label.split(" ")[0]] += 1
        place = f"{relative}, {label}"
        try:
            engine.home = folder / "home"
            warnings, failure = reply(folder, engine)
            said = " ".join(warnings) + failure
            if not seal.damage((folder / relative).parent):
                continue  # The line end after the seal's JSON: nothing is lost with it.
            named = relative.name in said or "version.json" in said
            tally.expect(named and ("rollback" in said or "train" in said), f"{place}: {said or 'unnoticed'}")
            store = Store.open(DLM_ID, folder / "home", create=False)
            store.rollback(2)
            warnings, failure = reply(folder, engine)
            tally.expect(not warnings and not failure, f"{place}: after a rollback: {warnings} {failure}")
        except Exception as error:
            tally.lost.append(f"{place}: {error!r}")


def damaged_gguf(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """A GGUF file as a base: converted, or refused by name."""
    gguf = source / "base.gguf"
    write_gguf(gguf, make_tokenizer())
    for label, spoil in list(_damages(gguf))[::stride]:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        spoil(Path(shutil.copy(gguf, work)))
        tally.faults[label.split(" ")[0]] += 1
        try:
            found = find_base(
                parse_base_name("path:./base.gguf", work), home=work, report=lambda _: None,
                sources=Sources(run=_in_this_process),
            )  # fmt: skip
            tally.expect((found.path / "model.safetensors").exists(), f"GGUF {label}: half a base")
        except DlmError as error:
            tally.expect("base.gguf" in error.message and error.hint != "", f"GGUF {label}: {error}")
        except Exception as error:
            tally.lost.append(f"GGUF {label}: {error!r}")
        tally.expect(not list(work.glob("cache/bases/.staging*")), f"GGUF {label}: something is left over")


def _in_this_process(command: Sequence[str], stop: Callable[[], bool]) -> Finished:
    """What the converting child does, and says when it fails, without a process for each."""
    try:
        convert._convert(Path(command[-2]), Path(command[-1]))
    except Exception as error:
        return Finished(1, f"{type(error).__name__}: {' '.join(str(error).split())}")
    return Finished(0, "")


def vanished_documents(tally: Tally, source: Path, work: Path, stride: int) -> None:
    """The document goes before opening, before training, and at every step of it."""
    steps = _steps(source, work)
    for at in list(range(-2, steps + 1))[::stride]:
        folder = fresh_copy(source, work)
        document = folder / "notes.dlm"
        engine = Engine(folder / "home", "cpu", lambda _: None)
        tally.faults["vanished"] += 1
        place = f"vanished at {at}"
        try:
            if at == -2:
                document.unlink()
            engine.open(document)
            if at == -1:
                document.unlink()
            moments = iter(range(steps + 1))

            def between(moments: Iterator[int] = moments, at: int = at, document: Path = document) -> None:
                if next(moments, None) == at:
                    document.unlink()

            engine.train(TrainOptions(fresh=True), lambda _: None, lambda: False, between)
        except DlmError as error:
            tally.expect("notes.dlm" in error.message, f"{place}: {error}")
        except Exception as error:
            tally.lost.append(f"{place}: {error!r}")
        tally.expect(at == steps or not document.exists(), f"{place}: the document was written again")
        with contextlib.suppress(FileNotFoundError):
            document.unlink()
        Store.open(DLM_ID, folder / "home", create=True).verify()


def _steps(source: Path, work: Path) -> int:
    """How often a training of the document lets others in."""
    folder = fresh_copy(source, work)
    engine = Engine(folder / "home", "cpu", lambda _: None)
    engine.open(folder / "notes.dlm")
    seen: list[int] = []
    engine.train(TrainOptions(fresh=True), lambda _: None, lambda: False, lambda: seen.append(1))
    return len(seen)


def _damages(path: Path) -> list[tuple[str, Callable[[Path], None]]]:
    return list(damages(path.stat().st_size))


def run(stride: int) -> Tally:
    """All faults, at every `stride`-th place."""
    torch.set_num_threads(1)
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        template(source)
        for part in (damaged_versions, damaged_base, damaged_gguf, vanished_documents):
            part(tally, source, Path(folder) / "work", stride)
    return tally


if __name__ == "__main__":
    sys.exit(report(run, __doc__))
