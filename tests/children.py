"""What tests run in processes of their own: trainings that are killed, and two that train together.

A fork server has imported torch and what loads a base once, so that a child costs milliseconds.
"""

import hashlib
import json
import multiprocessing
import os
import socket
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from dlm_core.requests import TrainOptions

_CONTEXT = multiprocessing.get_context("forkserver")
_LOADS_A_BASE = ["transformers.models.auto.modeling_auto", "transformers.models.llama.modeling_llama"]
_CONTEXT.set_forkserver_preload(["tests.tiny", *_LOADS_A_BASE])


def start(target: Any, *arguments: Any) -> ForkServerProcess:
    child = _CONTEXT.Process(target=target, args=arguments)
    child.start()
    return child


def train(home: Path, document: Path) -> None:
    """One training of a document."""
    import torch

    from dlm_core.engine import Engine

    torch.set_num_threads(1)
    engine = Engine(home, "cpu", lambda _: None)
    engine.open(document)
    engine.train(TrainOptions(), lambda _: None, lambda: False, lambda: None)


def train_together(
    rank: int, count: int, port: int, folder: Path, home: str, stop_at: int, resume: bool
) -> None:
    """One of `count` trainings of `folder/doc.dlm`, as a launcher would start it; writes `rank0.json`,
    `rank1.json` and so on. The last is asked to stop after `stop_at` steps, if that is not 0.
    """
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": f"{count}"}
    os.environ.update(place | {"RANK": f"{rank}", "LOCAL_RANK": f"{rank}", "LOCAL_WORLD_SIZE": f"{count}"})
    import torch

    from dlm_core.engine import Engine
    from dlm_core.training.run import Run

    torch.set_num_threads(1)
    kept: list[Any] = []
    real = Run._adapters

    def adapters(run: Run, *arguments: Any) -> Any:
        kept[:] = real(run, *arguments)
        return list(kept)

    Run._adapters = adapters  # type: ignore[method-assign]
    events: list[object] = []
    engine = Engine(folder / home, "cpu", lambda _: None)
    engine.open(folder / "doc.dlm")
    steps = iter(range(stop_at))
    ended = engine.train(
        TrainOptions(resume=resume),
        events.append,
        lambda: rank == count - 1 and stop_at > 0 and next(steps, None) is None,
        lambda: None,
    )
    digest = hashlib.sha256()
    for adapter in kept:
        for _, _, parameter in adapter.named_tensors():
            digest.update(parameter.detach().numpy().tobytes())
    said = {"status": ended.status, "versions": ended.versions, "events": len(events)}
    said |= {"adapters": digest.hexdigest(), "serving": serving_version(engine)}
    (folder / f"rank{rank}.json").write_text(json.dumps(said))


def serving_version(engine: Any) -> str:
    """Which commit the engine answers with."""
    return str(engine._opened().serving.version)


def learn_in_parallel(folder: Path, rank: int, port: int) -> None:
    """One of two processes that train a gated adapter under DistributedDataParallel: its row of the tokens;
    its gradients go into `RANK.safetensors`.
    """
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}", "RANK": f"{rank}", "WORLD_SIZE": "2"}
    import torch
    from safetensors.torch import save_file

    from tests.unit.disel.conftest import TOKENS, make_gated, scramble

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    model = make_gated().train()
    scramble(model)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    row = TOKENS[rank : rank + 1]
    parallel(input_ids=row, labels=row).loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    save_file(found, folder / f"{rank}.safetensors")
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
