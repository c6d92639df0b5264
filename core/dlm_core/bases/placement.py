"""Where the base runs and in which number format: the one place that decides on device and dtype."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dlm_core.errors import UsageError
from dlm_core.launched import Place, place

if TYPE_CHECKING:
    import torch

_CGROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


@dataclass(frozen=True)
class Placement:
    """Where and how the base computes.

    `device` is cpu, cuda, cuda:N or mps. `weights_dtype` holds the frozen weights; `autocast_dtype` is what
    matrix products run in under autocast, None where autocast stays off. `reason` is for the person.
    """

    device: str
    weights_dtype: "torch.dtype"
    autocast_dtype: "torch.dtype | None"
    reason: str

    @property
    def device_type(self) -> str:
        """cpu, cuda or mps: what torch.autocast wants."""
        return self.device.partition(":")[0]

    @property
    def dtype_name(self) -> str:
        """The weights' format as people write it: float32, bfloat16 or float16."""
        return str(self.weights_dtype).removeprefix("torch.")

    @property
    def needs_grad_scaler(self) -> bool:
        """Whether gradients underflow without loss scaling: float16 only."""
        return str(self.autocast_dtype) == "torch.float16"

    def autocast(self) -> "torch.autocast":
        """A context in which products run in `autocast_dtype`; it changes nothing where that is None."""
        import torch

        return torch.autocast(self.device_type, self.autocast_dtype, enabled=self.autocast_dtype is not None)


class DeviceProbe(Protocol):
    """What is asked of the machine."""

    def cuda_count(self) -> int:
        """Usable CUDA (or ROCm) devices."""
        ...

    def cuda_name(self, index: int) -> str:
        """The product name of a device."""
        ...

    def cuda_bf16(self, index: int) -> bool:
        """Whether the device computes bfloat16 in hardware."""
        ...

    def cuda_free(self, index: int) -> int:
        """Free bytes on a device."""
        ...

    def cpu_bf16(self) -> bool:
        """Whether the processor multiplies bfloat16 in hardware."""
        ...

    def mps(self) -> bool:
        """Whether Apple's GPU can be used."""
        ...

    def memory_free(self) -> int:
        """Bytes of main memory that can be had without swapping, a container's limit respected."""
        ...


class TorchProbe:
    """This machine, through torch and psutil."""

    def cuda_count(self) -> int:
        import torch

        return torch.cuda.device_count() if torch.cuda.is_available() else 0

    def cuda_name(self, index: int) -> str:
        import torch

        return torch.cuda.get_device_name(index)

    def cuda_bf16(self, index: int) -> bool:
        import torch

        with torch.cuda.device(index):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))

    def cuda_free(self, index: int) -> int:
        import torch

        return int(torch.cuda.mem_get_info(index)[0])

    def cpu_bf16(self) -> bool:
        import torch

        capabilities: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # older torch cannot tell
        return any(capabilities.get(unit, False) for unit in ("avx512_bf16", "amx_bf16"))

    def mps(self) -> bool:
        import torch

        return torch.backends.mps.is_available()

    def memory_free(self) -> int:
        import psutil

        free = int(psutil.virtual_memory().available)
        for limit, used in _CGROUP_LIMITS:
            try:
                free = min(free, max(0, int(limit.read_text()) - int(used.read_text())))
            except (OSError, ValueError):
                continue
        return free


def choose_placement(
    precision: str = "auto",
    device: str | None = None,
    probe: DeviceProbe | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Placement:
    """Decide on device and dtype.

    Args:
        precision: `training.precision`: auto, fp32, bf16 or fp16; what a device cannot do well is replaced,
            and `reason` says so.
        device: cpu, cuda, cuda:N or mps; None takes $DLM_DEVICE, else the best there is.

    Of processes that train together each gets a GPU of its own, by its place on the machine.

    Raises UsageError for a device that is not there or not a device, and where a process finds no GPU left.
    """
    probe, here = probe or TorchProbe(), place(environ)
    asked, origin = (
        (device, "asked for") if device else (environ.get("DLM_DEVICE", "").strip(), "$DLM_DEVICE")
    )
    if asked and asked != "auto":
        chosen = _own(_checked(asked.lower(), origin, probe), here, probe)
        return _placed(chosen, f"{origin}: {asked}", precision, probe)
    if probe.cuda_count():
        device = _own("cuda", here, probe)
        name = probe.cuda_name(_cuda_index(device))
        return _placed(device, f"a GPU is there ({name})", precision, probe)
    if probe.mps() and here.alone:
        return _placed("mps", "Apple's GPU is there", precision, probe)
    return _placed("cpu", "no GPU that torch can use", precision, probe)


def memory_available(device: str = "cpu", probe: DeviceProbe | None = None) -> int:
    """Free bytes where `device` keeps its tensors; Apple's GPU shares main memory."""
    probe = probe or TorchProbe()
    return probe.cuda_free(_cuda_index(device)) if device.startswith("cuda") else probe.memory_free()


def _checked(device: str, origin: str, probe: DeviceProbe) -> str:
    kind, _, index = device.partition(":")
    if device in ("cpu", "mps"):
        if device == "mps" and not probe.mps():
            raise UsageError(
                f"{origin} says mps, but torch finds no Apple GPU here", "use cpu, or leave it to auto"
            )
        return device
    if kind != "cuda" or (":" in device and not (index.isascii() and index.isdigit())):
        raise UsageError(
            f"{origin} says {device!r}, which is no device", "use auto, cpu, cuda, cuda:N or mps"
        )
    count = probe.cuda_count()
    if _cuda_index(device) >= count:
        there = f"torch finds {count} CUDA device{'s' if count != 1 else ''}"
        raise UsageError(f"{origin} says {device}, but {there} here", "use cpu, or leave it to auto")
    return device


def _own(device: str, here: Place, probe: DeviceProbe) -> str:
    """The device of one of several processes."""
    if here.alone or device == "cpu":
        return device
    if device == "mps":
        raise UsageError("Apple's GPU takes one process", "leave out `--processes`, or set DLM_DEVICE=cpu")
    count = probe.cuda_count()
    if device != "cuda" or here.local >= count:
        raise UsageError(
            f"process {here.rank} finds no GPU of its own: torch finds {count} CUDA "
            f"device{'s' if count != 1 else ''} here, and each process takes one",
            "start as many processes as there are GPUs, or set DLM_DEVICE=cpu",
        )
    return f"cuda:{here.local}"


def _cuda_index(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _placed(device: str, why: str, precision: str, probe: DeviceProbe) -> Placement:
    import torch

    if precision not in ("auto", "fp32", "bf16", "fp16"):
        raise UsageError(f"precision {precision!r} is unknown", "use auto, fp32, bf16 or fp16")
    if device == "cpu":
        dtype, note = _on_cpu(precision)
        if precision == "auto" and probe.cpu_bf16():
            # Weights and replies stay in fp32; only training's products are rounded.
            reason = f"cpu, because {why}; fp32, because that is exact; training multiplies in bf16, because "
            reason += "this processor does so in hardware"
            return Placement(device, torch.float32, torch.bfloat16, reason)
    elif device == "mps":
        dtype, note = _on_mps(precision)
    else:
        dtype, note = _on_cuda(precision, probe.cuda_bf16(_cuda_index(device)))
    weights = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    autocast = None if dtype == "fp32" else weights
    return Placement(device, weights, autocast, f"{device}, because {why}; {dtype}, because {note}")


def _on_cpu(precision: str) -> tuple[str, str]:
    if precision == "fp16":
        return "fp32", "CPUs do not compute fp16 well"
    if precision == "bf16":
        return "bf16", "precision asks for it (slow on a CPU without bf16 units)"
    return (
        "fp32",
        "that is exact and fastest on most CPUs" if precision == "auto" else "precision asks for it",
    )


def _on_mps(precision: str) -> tuple[str, str]:
    if precision == "bf16":
        return "fp32", "bf16 is not dependable on Apple's GPU"
    return (
        ("fp32", "that trains stably on Apple's GPU")
        if precision == "auto"
        else (precision, "precision asks for it")
    )


def _on_cuda(precision: str, bf16: bool) -> tuple[str, str]:
    if precision == "auto":
        return ("bf16", "this GPU computes it in hardware") if bf16 else ("fp16", "this GPU has no bf16")
    if precision == "bf16" and not bf16:
        return "fp16", "this GPU has no bf16"
    return precision, "precision asks for it"
