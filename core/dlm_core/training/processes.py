"""The accelerate set-up of a run: device, mixed precision and processes, from the base's placement."""

from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState

from dlm_core.bases.placement import Placement


def accelerator_for(placement: Placement) -> Accelerator:
    """An Accelerator for the device and autocast type of `placement`.

    accelerate keeps its state per process and refuses another precision later; a host that trains twice with
    different
    ones must begin anew, so a state that no launcher set up is dropped first.
    """
    if AcceleratorState._shared_state and PartialState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)
    names = {"torch.bfloat16": "bf16", "torch.float16": "fp16"}
    return Accelerator(
        cpu=placement.device_type == "cpu", mixed_precision=names.get(str(placement.autocast_dtype), "no")
    )
