"""Breaks `dlm export` at every call by which Python changes the disk, for every target.

Run it for the figures, as JSON:  python -m tests.faults.export_faults [--stride N]

After each fault: the folder is the earlier export or the new one, whole; what failed names the folder and the
way out; the document and its versions are untouched; nothing half is left unless the process was killed; the
next export goes through. Each export runs in a fork, as the watch on its calls cannot be taken back.
"""

import errno
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dlm_core.engine_protocol import ExportOptions
from dlm_core.errors import ExportError
from dlm_core.export import exporter, manifest
from dlm_core.export.choose import Chosen
from dlm_core.requests import RoutingChoice
from tests.faults.tally import Tally, report
from tests.tiny import Desk
from tests.unit.export.conftest import merging_base

CODES = {"enospc": errno.ENOSPC, "eio": errno.EIO, "read_only": errno.EROFS}
KINDS = ("kill", *CODES)
PINNED = RoutingChoice(mode="pin", adapter="facts")
TARGETS: dict[str, dict[str, Any]] = {
    "peft": {},
    "hf": {"choice": PINNED},
    "gguf": {"choice": PINNED, "quant": "f16"},
    "ollama": {"choice": PINNED, "quant": "f16", "merge": True},
}
PARTIAL, ASIDE = ".partial", ".old.partial"
CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.truncate", "os.link"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def watch(folder: Path, strike: Callable[[], None]) -> None:
    """From now on `strike` is called before everything Python changes below `folder`; for good."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in CHANGES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        )
        if changes and os.fspath(folder) in str(arguments[0]):
            strike()

    sys.addaudithook(hook)


def spoilt(desk: Desk, goal: Path, target: str, kind: str, at: int) -> tuple[int, str]:
    """An export in a fork whose `at`-th change fails: how many changes there were, and what it said.

    What it said is "" if it was killed, "done", or the message with its hint.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        calls = 0

        def strike() -> None:
            nonlocal calls
            calls += 1
            if calls == at and kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if calls == at or (calls > at and kind == "read_only"):
                raise OSError(CODES[kind], os.strerror(CODES[kind]))

        watch(goal.parent, strike)
        wanted = ExportOptions(target=target, folder=goal, overwrite=True, **TARGETS[target])
        try:
            desk.engine.export(wanted, lambda _: None, lambda: False)
            said = "done"
        except ExportError as error:
            said = f"{error.message} {error.hint}" if error.hint else f"no way out in {error!r}"
        except BaseException as error:
            said = f"no message but {error!r}"
        os.write(write, json.dumps([calls, said]).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return (0, "") if not text else tuple(json.loads(text))


def check(tally: Tally, goal: Path, place: str, *, said: str, may_stay: tuple[str, ...]) -> None:
    """The earlier export or the new one, whole; a message that is one; nothing else but what may stay."""
    tally.expect("no message" not in said and "no way out" not in said, f"{place}: {said}")
    tally.expect(said in ("", "done") or str(goal) in said, f"{place}: {said} does not name the folder")
    left = [p.name for p in goal.parent.iterdir() if p != goal]
    tally.expect(all(name.endswith(may_stay) for name in left), f"{place}: left over {left}")
    if goal.exists():
        for name, entry in manifest.read(goal).files.items():
            tally.expect(manifest.sha256_of(goal / name) == entry.sha256, f"{place}: {name} is not whole")
        return
    # Stopped for good between two renames: the earlier one stands aside, and the next export puts it back.
    aside = [name for name in left if name.endswith(ASIDE)]
    told = not said or any(name in said for name in aside)
    tally.expect(bool(aside) and told, f"{place}: nothing is there, and {said}")


def run(stride: int) -> Tally:
    """All faults, at every `stride`-th place."""
    torch.set_num_threads(1)
    exporter.Exporter._choose = _chosen_once(exporter.Exporter._choose)  # type: ignore[method-assign]
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), merging_base(Path(folder), "llama_tied")).open(num_epochs=1)
        desk.train()
        kept = _content(desk.home, desk.path)
        turn = 0
        for target, options in TARGETS.items():
            earlier = Path(folder) / f"earlier-{target}"
            desk.engine.export(
                ExportOptions(target=target, folder=earlier, **options), lambda _: None, lambda: False
            )
            goal = Path(folder) / "exports" / "mine"
            calls, _ = spoilt(desk, _put(earlier, goal), target, "none", 0)
            for kind in KINDS:
                for at in range(1, calls + 1):
                    turn += 1
                    if turn % stride:
                        continue
                    tally.faults[kind] += 1
                    place = f"{target}, {kind} at change {at}"
                    _, said = spoilt(desk, _put(earlier, goal), target, kind, at)
                    # What was replaced may outlive a failing disk, a stage only what lets nothing be removed.
                    ends = kind in ("kill", "read_only")
                    check(tally, goal, place, said=said, may_stay=(PARTIAL,) if ends else (ASIDE,))
                    _, said = spoilt(desk, goal, target, "none", 0)
                    tally.expect(said == "done", f"{place}: the next export says {said}")
                    check(tally, goal, f"{place}, again", said=said, may_stay=(PARTIAL,) if ends else ())
                    tally.expect(not list(goal.parent.glob(f".*{ASIDE}")), f"{place}: still aside")
        tally.expect(_content(desk.home, desk.path) == kept, "the document or its versions were touched")
    return tally


def _chosen_once(choose: Callable[..., Chosen]) -> Callable[..., Chosen]:
    """Finds the constants of a target once, and not in every fork: they are none of the disk's business."""
    known: dict[str, Chosen] = {}

    def chosen(self: exporter.Exporter, *arguments: Any) -> Chosen:
        target = self._options.target
        if target not in known:
            known[target] = choose(self, *arguments)
        return known[target]

    return chosen


def _put(earlier: Path, goal: Path) -> Path:
    """An earlier export at the goal, and nothing beside it."""
    shutil.rmtree(goal.parent, ignore_errors=True)
    shutil.copytree(earlier, goal)
    return goal


def _content(home: Path, document: Path) -> dict[str, bytes]:
    files = [p for p in home.rglob("*") if p.is_file() and p.suffix in (".json", ".safetensors")]
    return {str(p): p.read_bytes() for p in [*files, document]}


if __name__ == "__main__":
    sys.exit(report(run, __doc__))
