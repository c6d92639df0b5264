"""A short form of the harness: every kind of fault, at some of the places (all: `python -m tests.faults`)."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
KINDS_OF_DISK = {"kill", "torn", "enospc", "eio", "read_only", "full", "power"}
KINDS = {
    "store": {*KINDS_OF_DISK, "removed", "truncated", "flipped", "clock"},
    "pack": {*KINDS_OF_DISK},
    "host": {"killed", "hangs"},
    "file": {"removed", "truncated", "flipped", "vanished"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "stride", "faults"), [("store", 4, 200), ("pack", 29, 20), ("host", 7, 3), ("file", 25, 8)]
)
def test_no_injected_fault_loses_anything(part: str, stride: int, faults: int) -> None:
    # In a process of its own, because some fork children that kill themselves.
    ended = subprocess.run(
        [sys.executable, "-m", f"tests.faults.{part}_faults", "--stride", str(stride)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    figures = msgspec.json.decode(ended.stdout)
    assert figures["what"] == []
    assert figures["faults"] >= faults
    assert set(figures["by_kind"]) >= KINDS[part]
