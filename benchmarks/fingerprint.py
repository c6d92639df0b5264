"""Hashes of what seeded trainings and replies on tiny random bases come to: equal before and after a change
that only moves code.

    python -m benchmarks.fingerprint                    the hashes of this checkout
    python -m benchmarks.fingerprint --against DIR      and which of them differ in another checkout

A hash covers the committed adapters, bit for bit, what the manifest says of every section, losses, rates and
norms of each epoch's last step, and replies. Hashes of two machines differ: they sum in another order.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from dlm_core.adapters.folder import load_adapter
from dlm_core.events import TrainEpoch, TrainStep
from dlm_core.requests import RoutingChoice
from dlm_core.store.store import Store
from tests.tiny import BODY, DLM_ID, Desk, make_base_folder

REHEARSED: dict[str, Any] = {"rehearsal": {"enabled": True}}
PREFERENCE = """
::preference#tone::
### Prompt
Greet me.
### Chosen
Ahoy, captain!
### Rejected
Hi.
"""
PROSE = """
::prose#facts::
The harbour opens at six. Boats wait outside until the flag is up.
"""
EDITED = BODY.replace("Team Ada.", "Team Grace.") + PREFERENCE


def in_full(desk: Desk) -> Iterable[object]:
    """The recipe as it comes, with rehearsal, mending and a gate; then an edit, with preferences."""
    desk.open(num_epochs="auto", gate={"enabled": True}, **REHEARSED)
    yield from trained(desk)
    desk.write(EDITED, num_epochs="auto", gate={"enabled": True}, preference={"enabled": True}, **REHEARSED)
    yield from trained(desk)


def mixed(desk: Desk) -> Iterable[object]:
    """A gated and a plain adapter on all linear layers, accumulated batches, held-out rows, prose."""
    kinds = {"facts": {"adapter": "disel", "target_modules": ["all-linear"]}, "tone": {"adapter": "lora"}}
    desk.open(
        BODY + PROSE,
        adapters=kinds,
        grad_accum=2,
        num_epochs=5,
        validation_share=0.3,
        question_copies=0,
        **REHEARSED,
    )
    yield from trained(desk)


def resumed(desk: Desk) -> Iterable[object]:
    """A training that is stopped in its third step, and goes on."""
    desk.open(num_epochs=4, **REHEARSED)
    desk.train(stop=desk.stop_after(3))
    yield from trained(desk, resume=True)


def orpo(desk: Desk) -> Iterable[object]:
    """Preferences without a reference, dropout, which autograd trains, and one adapter without a name."""
    body = (BODY + PREFERENCE).replace("#facts", "").replace("#tone", "")
    desk.open(
        body, adapters={}, lora_dropout=0.1, preference={"enabled": True, "method": "orpo"}, num_epochs=3
    )
    yield from trained(desk)


CASES: dict[str, tuple[str, Callable[[Desk], Iterable[object]]]] = {
    "in_full": ("llama_tied", in_full),
    "mixed": ("llama_untied", mixed),
    "mixed_qwen2": ("qwen2", mixed),
    "resumed": ("llama_tied", resumed),
    "orpo": ("llama_tied", orpo),
    "gemma3": ("gemma3", mixed),
}


def trained(desk: Desk, **options: Any) -> Iterable[object]:
    """Return what a training leaves and says, and what the document answers then."""
    desk.events.clear()
    ended = desk.train(**options)
    yield ended.status, ended.reason, ended.recall, dict(ended.retention)
    step: TrainStep | None = None
    for event in desk.events:
        if isinstance(event, TrainStep):
            step = event  # of the others not all are told, in a quick run
        elif isinstance(event, TrainEpoch) and step is not None:
            yield step.phase, step.step, step.steps, step.loss, step.losses, step.learning_rate
            yield step.grad_norm, step.rehearsal_kl
            yield event.epoch, event.loss, event.recall, event.recalls, event.validation_loss
    snapshot = Store.open(DLM_ID, desk.home, create=False).snapshot()
    yield from snapshot.sections
    features = desk.engine._workshop.bank.features if desk.engine._workshop is not None else {}
    for name in snapshot.adapters:
        adapter = load_adapter(snapshot.adapter_dir(name), name, features)
        for module, role, tensor in adapter.named_tensors():
            yield name, module, role, tensor.detach().numpy().tobytes()
    choices = [RoutingChoice(), RoutingChoice(mode="off"), RoutingChoice(mode="base")]
    for choice in (*choices, *(RoutingChoice(mode="pin", adapter=n) for n in snapshot.adapters)):
        for question in ("What is the port?", "Say hello.", "Tell me of boats."):
            routed, tokens, reply = desk.ask(question, choice=choice)
            yield routed.routing, tokens, reply.reply, reply.openness
            yield desk.ask(question, choice=choice, temperature=0.8, seed=5)[1]


def fingerprints(folder: Path) -> dict[str, str]:
    """A hash for every case."""
    torch.set_num_threads(1)
    found: dict[str, str] = {}
    for name, (architecture, case) in CASES.items():
        here = folder / name
        here.mkdir()
        desk = Desk(here, make_base_folder(here, architecture))
        digest = hashlib.sha256()
        for part in case(desk):
            digest.update(repr(part).encode())
        desk.engine.close()
        found[name] = digest.hexdigest()[:16]
    return found


def of_checkout(checkout: Path) -> dict[str, str]:
    """The hashes of another checkout, by this script."""
    code = f"import runpy, sys; sys.argv = ['fingerprint']; runpy.run_path({__file__!r}, run_name='__main__')"
    paths = os.pathsep.join(map(str, (checkout, checkout / "core")))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=checkout,
        stdout=subprocess.PIPE,
        check=True,
    )
    hashes: dict[str, str] = json.loads(done.stdout)
    return hashes


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mine = fingerprints(Path(folder))
    print(json.dumps(mine, indent=1))
    if arguments.against is None:
        return 0
    other = of_checkout(arguments.against.resolve())
    apart = [name for name in mine if mine[name] != other.get(name)]
    print(f"otherwise there: {', '.join(apart)}" if apart else "the same there")
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
