"""Device and dtype, decided for machines that are not here."""

from dataclasses import dataclass

import pytest
import torch

from dlm_core.bases.placement import Placement, TorchProbe, choose_placement, memory_available
from dlm_core.errors import UsageError


@dataclass(frozen=True)
class Machine:
    """A machine as the probe sees it; `gpus` maps each CUDA device to whether it has bf16."""

    gpus: tuple[bool, ...] = ()
    apple: bool = False
    bf16_units: bool = False

    def cpu_bf16(self) -> bool:
        return self.bf16_units

    def cuda_count(self) -> int:
        return len(self.gpus)

    def cuda_name(self, index: int) -> str:
        return f"GPU {index}"

    def cuda_bf16(self, index: int) -> bool:
        return self.gpus[index]

    def cuda_free(self, index: int) -> int:
        return 1000 + index

    def mps(self) -> bool:
        return self.apple

    def memory_free(self) -> int:
        return 7


def place(
    machine: Machine, precision: str = "auto", device: str | None = None, asked: str | None = None
) -> Placement:
    return choose_placement(precision, device, machine, {} if asked is None else {"DLM_DEVICE": asked})


@pytest.mark.parametrize(
    ("machine", "device", "weights", "autocast"),
    [
        (Machine(), "cpu", torch.float32, None),
        (Machine(bf16_units=True), "cpu", torch.float32, torch.bfloat16),
        (Machine(gpus=(True,)), "cuda", torch.bfloat16, torch.bfloat16),
        (Machine(gpus=(False,)), "cuda", torch.float16, torch.float16),
        (Machine(apple=True), "mps", torch.float32, None),
        (Machine(gpus=(True,), apple=True), "cuda", torch.bfloat16, torch.bfloat16),
    ],
)
def test_auto_takes_the_best_device_and_the_format_it_computes_well(
    machine: Machine, device: str, weights: torch.dtype, autocast: torch.dtype | None
) -> None:
    placement = place(machine)
    assert (placement.device, placement.weights_dtype, placement.autocast_dtype) == (
        device,
        weights,
        autocast,
    )


@pytest.mark.parametrize(
    ("machine", "precision", "name", "says"),
    [
        (Machine(), "fp16", "float32", "CPUs do not"),
        (Machine(), "bf16", "bfloat16", "asks for it"),
        (Machine(gpus=(False,)), "bf16", "float16", "no bf16"),
        (Machine(gpus=(True,)), "fp32", "float32", "asks for it"),
        (Machine(apple=True), "bf16", "float32", "not dependable"),
        (Machine(apple=True), "fp16", "float16", "asks for it"),
    ],
)
def test_a_precision_is_honoured_where_the_device_can_and_replaced_with_a_reason_where_not(
    machine: Machine, precision: str, name: str, says: str
) -> None:
    placement = place(machine, precision)
    assert placement.dtype_name == name
    assert says in placement.reason


def test_the_environment_overrides_the_choice_and_an_argument_overrides_the_environment() -> None:
    machine = Machine(gpus=(True, False))
    assert place(machine, asked="cpu").device == "cpu"
    assert "$DLM_DEVICE" in place(machine, asked="cpu").reason
    assert place(machine, asked="cuda:1").weights_dtype == torch.float16
    assert place(machine, device="cuda:0", asked="cpu").device == "cuda:0"
    assert place(machine, asked="auto").device == "cuda"


@pytest.mark.parametrize("asked", ["cuda", "cuda:2", "mps", "gpu", "cuda:", "cuda:x", "cpu:0"])
def test_a_device_that_is_not_there_is_an_error_that_names_the_setting(asked: str) -> None:
    with pytest.raises(UsageError, match="DLM_DEVICE"):
        place(Machine(), asked=asked)


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(UsageError, match="precision"):
        place(Machine(), "int3")


def test_only_float16_needs_a_gradient_scaler() -> None:
    assert place(Machine(gpus=(False,))).needs_grad_scaler
    assert not place(Machine(gpus=(True,))).needs_grad_scaler
    assert not place(Machine()).needs_grad_scaler


@pytest.mark.parametrize("dtype", [torch.bfloat16, None])
def test_products_run_in_the_autocast_type_and_otherwise_in_their_own(dtype: torch.dtype | None) -> None:
    numbers = torch.ones(2, 2)
    with Placement("cpu", torch.float32, dtype, "for a test").autocast():
        assert (numbers @ numbers).dtype == (dtype or torch.float32)
    assert (numbers @ numbers).dtype == torch.float32


def test_the_device_type_is_what_autocast_wants() -> None:
    assert place(Machine(gpus=(True, True)), device="cuda:1").device_type == "cuda"


def test_memory_is_asked_where_the_tensors_go() -> None:
    machine = Machine(gpus=(True, True), apple=True)
    assert [memory_available(d, machine) for d in ("cpu", "mps", "cuda", "cuda:1")] == [7, 7, 1000, 1001]


def test_the_real_probe_answers_on_this_machine() -> None:
    assert memory_available("cpu", TorchProbe()) > 0
    assert choose_placement(device="cpu").device == "cpu"


def test_a_processor_with_bf16_units_trains_in_bf16_unless_fp32_is_asked_for() -> None:
    machine = Machine(bf16_units=True)
    assert "training multiplies in bf16" in place(machine).reason
    assert place(machine, "fp32").autocast_dtype is None


def launched(rank: int, machine: Machine, **more: str) -> str:
    environ = {"RANK": f"{rank}", "WORLD_SIZE": "2", "LOCAL_RANK": f"{rank}", **more}
    return choose_placement("auto", None, machine, environ).device


def test_of_processes_that_train_together_each_gets_a_gpu_of_its_own() -> None:
    two = Machine(gpus=(True, True))
    assert [launched(rank, two) for rank in range(2)] == ["cuda:0", "cuda:1"]
    assert launched(1, two, DLM_DEVICE="cuda") == "cuda:1"
    assert launched(1, two, DLM_DEVICE="cpu") == launched(1, Machine()) == "cpu"
    assert launched(1, Machine(apple=True)) == "cpu", "Apple's GPU takes one process"


@pytest.mark.parametrize(
    ("machine", "asked"), [(Machine(gpus=(True,)), "auto"), (Machine(gpus=(True, True)), "cuda:0")]
)
def test_a_process_without_a_gpu_of_its_own_is_refused(machine: Machine, asked: str) -> None:
    with pytest.raises(UsageError, match="process 1 finds no GPU of its own"):
        launched(1, machine, DLM_DEVICE=asked)


def test_apples_gpu_is_refused_to_several_processes_that_ask_for_it() -> None:
    with pytest.raises(UsageError, match="takes one process"):
        launched(0, Machine(apple=True), DLM_DEVICE="mps")
