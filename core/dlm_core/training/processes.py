"""The accelerate set-up of a run: device, mixed precision and processes, and what several processes agree on.

Every process holds the whole base and all adapters and plans the same steps. Of each step's rows it takes its
part; gradients and counts are summed over the processes before the adapters move. So a run comes to the same
adapters however many processes train it, up to the order in which numbers are added; a stopped run may go on
with another number of them; and the first process alone writes.
"""

from collections.abc import Sequence
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import InitProcessGroupKwargs, gather_object
from torch import Tensor, nn

from dlm_core.bases.placement import Placement
from dlm_core.errors import TrainingError

PATIENCE = timedelta(hours=6)
"""How long a process waits for the others: the first one trains the gate and measures while they wait. One
that has died is noticed at once, by the connection or by the launcher.
"""


def accelerator_for(placement: Placement) -> Accelerator:
    """An Accelerator for the device and autocast type of `placement`.

    accelerate keeps its state per process and refuses another precision later; a host that trains twice
    with different ones must begin anew, so a state that no launcher set up is dropped first.
    """
    if AcceleratorState._shared_state and PartialState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
    names = {"torch.bfloat16": "bf16", "torch.float16": "fp16"}
    return Accelerator(
        cpu=placement.device_type == "cpu",
        mixed_precision=names.get(str(placement.autocast_dtype), "no"),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )


def agree(accelerator: Accelerator, flag: bool) -> bool:
    """Whether `flag` is true in any process; all of them get the same answer."""
    return flag if accelerator.num_processes == 1 else summed(accelerator, [[float(flag)]])[0][0] > 0


def summed(accelerator: Accelerator, table: Sequence[Sequence[float]]) -> list[list[float]]:
    """A table of numbers, every entry summed over all processes; its shape is the same in each."""
    if accelerator.num_processes == 1 or not table:
        return [list(row) for row in table]
    own = torch.tensor(table, dtype=torch.float32, device=accelerator.device)
    found: list[list[float]] = accelerator.reduce(own, "sum").tolist()
    return found


def portions(costs: Sequence[int], count: int) -> list[list[int]]:
    """Things that cost so much each, by their places, dealt to `count` processes so that none has much more
    to do than another; the dearest first, each to the one with the least so far. A process may get none.
    """
    loads, found = [0] * count, [list[int]() for _ in range(count)]
    for place in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        process = loads.index(min(loads))
        loads[process] += costs[place]
        found[process].append(place)
    return [sorted(places) for places in found]


def own_part(accelerator: Accelerator, costs: Sequence[int]) -> tuple[list[int], bool]:
    """This process's portion of things that cost so much each, and whether it has the least to do of all;
    that is true in one process.
    """
    parts = portions(costs, accelerator.num_processes)
    loads = [sum(costs[i] for i in places) for places in parts]
    return parts[accelerator.process_index], loads.index(min(loads)) == accelerator.process_index


def sum_gradients(accelerator: Accelerator, parameters: Sequence[nn.Parameter]) -> None:
    """Replace every gradient by its sum over the processes; one that no process has stays None.

    One exchange of all adapters' gradients in a row: they are a few megabytes, and which of them a process
    has depends on its rows.
    """
    if accelerator.num_processes == 1:
        return
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    there = torch.tensor([float(p.grad is not None) for p in parameters], device=accelerator.device)
    flat: Tensor = accelerator.reduce(torch.cat([there, *(g.flatten() for g in grads)]), "sum")
    has, *parts = torch.split(flat, [len(grads), *(g.numel() for g in grads)])
    for parameter, part, any_has in zip(parameters, parts, has.tolist(), strict=True):
        parameter.grad = part.view_as(parameter).clone() if any_has else None


def require_same(accelerator: Accelerator, reading: str) -> None:
    """Raise TrainingError, in every process, unless all of them have read the same."""
    if accelerator.num_processes == 1:
        return
    readings = gather_object([reading])
    others = [i for i, each in enumerate(readings) if each != readings[0]]
    if others:
        which = f"process {others[0]} reads" if len(others) == 1 else f"processes {others} read"
        raise TrainingError(
            f"{which} another document, base or store than process 0",
            "give them the same file and the same DLM_HOME, and leave the file alone while they start",
        )
