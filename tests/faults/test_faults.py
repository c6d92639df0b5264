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
    ("part", "stride", "faults"), [("store", 7, 120), ("pack", 29, 20), ("host", 9, 2), ("file", 17, 10)]
)
def test_no_injected_fault_loses_anything(part: str, stride: int, faults: int) -> None:
    figures = run(f"tests.faults.{part}_faults", stride)
    assert figures["what"] == []
    assert figures["faults"] >= faults
    assert set(figures["by_kind"]) >= KINDS[part]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_injected_faults_lose_nothing() -> None:
    figures = run("tests.faults", 1)
    assert figures["lost"] == 0, figures
    assert figures["faults"] > 1000
    assert all(set(figures["parts"][name]["by_kind"]) >= kinds for name, kinds in KINDS.items())


def run(module: str, stride: int) -> dict[str, Any]:
    # In a process of its own, because some parts fork children that kill themselves.
    ended = subprocess.run(
        [sys.executable, "-m", module, "--stride", str(stride)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert ended.stdout, ended.stderr
    figures: dict[str, Any] = msgspec.json.decode(ended.stdout)
    return figures
