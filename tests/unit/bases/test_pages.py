"""Pages of a mapped file that were read can be let go; what was written to them cannot."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlm_core.bases.pages import let_go

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are let go on Linux alone")
SIZE = 4 << 20  # bytes


def resident(tensor: torch.Tensor) -> int:
    """Bytes in memory of the mapping that a tensor lies in."""
    inside, begin = False, tensor.data_ptr()
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and ":" not in first:
            low, high = (int(end, 16) for end in first.split("-"))
            inside = low <= begin < high
        elif inside and first == "Rss:":
            return int(rest.split()[0]) * 1024
    raise AssertionError("the tensor lies in no mapping")


@pytest.fixture
def mapped(tmp_path: Path) -> torch.Tensor:
    file = tmp_path / "weights.safetensors"
    save_file({"w": torch.arange(SIZE // 4, dtype=torch.float32)}, file)
    found = load_file(file)["w"]
    assert float(found.sum()) > 0 and resident(found) >= SIZE // 2
    return found


def test_what_was_read_is_let_go_and_comes_back(mapped: torch.Tensor) -> None:
    let_go([mapped])
    assert resident(mapped) < SIZE // 4
    assert torch.equal(mapped, torch.arange(SIZE // 4, dtype=torch.float32))


def test_what_was_written_stays(mapped: torch.Tensor) -> None:
    mapped[SIZE // 8] = -1.0
    let_go([mapped])
    assert float(mapped[SIZE // 8]) == -1.0 and resident(mapped) >= SIZE // 2


def test_memory_of_the_process_is_left_alone() -> None:
    own = torch.ones(SIZE // 4)
    let_go([own])
    assert float(own.sum()) == SIZE // 4
