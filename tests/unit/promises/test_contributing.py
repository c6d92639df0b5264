"""CONTRIBUTING.md names files that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"(?:core|dlm_tui|tests|benchmarks)/[\w./]+", TEXT)))


@pytest.mark.parametrize("path", [p for p in NAMED if "NAME" not in p])
def test_a_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path.rstrip(".")).exists()


@pytest.mark.parametrize(
    "topic", ["a command", "a kind of section", "an export target", "a base", "a figure of the dashboard"]
)
def test_what_to_touch_is_told_for(topic: str) -> None:
    assert re.search(rf"^\*\*{topic}", TEXT, re.MULTILINE)
