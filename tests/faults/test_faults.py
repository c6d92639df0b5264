"""A short form of the harness: every kind of fault, at some of the places (all: `python -m tests.faults`)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
KINDS_OF_DISK = {"kill", "torn", "enospc", "eio", "read_only", "full", "power"}
KINDS = {
    "store": {*KINDS_OF_DISK, "removed", "truncated", "flipped", "clock"},
    "pack": {*KINDS_OF_DISK},
    "export": {"kill", "enospc", "eio", "read_only"},
    "host": {"killed", "hangs"},
    "file": {"removed", "truncated", "flipped", "vanished"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "stride", "faults"),
    [
        ("store", 41, 16),
    ],
)
def test_no_injected_fault_loses_anything(part: str, stride: int, faults: int) -> None:
    nothing_is_lost(part, stride, faults)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("part", "faults"), [("store", 1000), ("pack", 800), ("export", 250), ("file", 190), ("host", 25)]
)
def test_more_than_two_thousand_injected_faults_lose_nothing(part: str, faults: int) -> None:
    nothing_is_lost(part, 1, faults)


def nothing_is_lost(part: str, stride: int, faults: int) -> None:
    """Inject every `stride`-th fault of a part, at least so many, of every kind that it knows."""
    figures = run(f"tests.faults.{part}_faults", stride)
    assert figures["what"] == []
    assert figures["faults"] >= faults
    assert set(figures["by_kind"]) >= KINDS[part]


def run(module: str, stride: int) -> dict[str, Any]:
    # In a process of its own, because some parts fork children that kill themselves.
    ended = subprocess.run(
        [sys.executable, "-m", module, "--stride", str(stride)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    figures: dict[str, Any] = msgspec.json.decode(ended.stdout)
    return figures
