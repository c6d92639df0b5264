"""The accelerate set-up of a run: device, mixed precision and processes, and what several processes agree on.

Every process holds the whole base and all adapters, takes its share of the batches, and adds its gradients to
the others' before each step. So the adapters stay equal everywhere, and the first process alone writes.
"""

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import nn

from dlm_core.bases.placement import Placement


def accelerator_for(placement: Placement) -> Accelerator:
    """An Accelerator for the device and autocast type of `placement`.

    accelerate keeps its state per process and refuses another precision later; a host that trains twice
    with different ones must begin anew, so a state that no launcher set up is dropped first.
    """
    if AcceleratorState._shared_state and PartialState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
    names = {"torch.bfloat16": "bf16", "torch.float16": "fp16"}
    return Accelerator(
        cpu=placement.device_type == "cpu", mixed_precision=names.get(str(placement.autocast_dtype), "no")
    )


def agree(accelerator: Accelerator, flag: bool) -> bool:
    """Whether `flag` is true in any process; all of them get the same answer."""
    return flag if accelerator.num_processes == 1 else summed(accelerator, float(flag)) > 0


def summed(accelerator: Accelerator, value: float) -> float:
    """The sum of `value` over all processes."""
    if accelerator.num_processes == 1:
        return value
    return float(accelerator.reduce(torch.tensor([value], device=accelerator.device), "sum"))


def share(accelerator: Accelerator, count: int) -> list[int]:
    """Which of `count` things this process takes; every process takes the same number, some things twice."""
    world, rank = accelerator.num_processes, accelerator.process_index
    return [(rank + i * world) % count for i in range(-(-count // world))]


def average_gradients(accelerator: Accelerator, parameters: Sequence[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes; one that no process has stays None.

    One exchange of all adapters' gradients in a row: they are a few megabytes, and which of them a process
    has depends on its rows.
    """
    if accelerator.num_processes == 1:
        return
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    there = torch.tensor([float(p.grad is not None) for p in parameters], device=accelerator.device)
    flat = torch.cat([there, *(g.flatten() for g in grads)])
    there, *parts = accelerator.reduce(flat, "mean").split([len(grads), *(g.numel() for g in grads)])
    for parameter, part, has in zip(parameters, parts, there.tolist(), strict=True):
        parameter.grad = part.view_as(parameter).clone() if has else None
