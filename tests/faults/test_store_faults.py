"""A short form of the bench: every kind of fault, at some of the places."""

import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]


def test_no_injected_fault_loses_anything() -> None:
    # In a process of its own, because it forks children that kill themselves.
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.faults.store_faults", "--stride", "4"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert ended.stderr == ""
    figures = msgspec.json.decode(ended.stdout)
    assert figures["what"] == []
    assert figures["faults"] > 200
    assert {
        "kill",
        "torn",
        "enospc",
        "eio",
        "read_only",
        "full",
        "removed",
        "truncated",
        "flipped",
        "clock",
    } <= set(figures["by_kind"])
