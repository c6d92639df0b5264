"""A document of the scripted engine's adapters, a home of its own, and a way to run commands."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dlm_core import oneshot
from dlm_tui.cli import cli
from tests.fakes.engine import FakeEngine, Script

Run = Callable[..., Result]

DOCUMENT = """\
---
dlm_id: 01J9ZQ4T7M3N5P6R8S9V0W1X2Y
dlm_version: 15
base_model: smollm2-135m
training:
  adapters:
    knowledge: {}
    tone: {}
    procedure: {}
  gate:
    enabled: true
    cold_start_floor: 2
---
"""


def section(adapter: str, n: int) -> str:
    """One instruction section with a question of its own."""
    return (
        f"\n::instruction#{adapter}::\n### Q\nWhat is {adapter} {n}?\n\n### A\nIt is {adapter} number {n}.\n"
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything a command keeps goes here."""
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Three adapters with two sections each, gate on."""
    body = "".join(section(name, n) for name in ("knowledge", "tone", "procedure") for n in (1, 2))
    path = tmp_path / "guide.dlm"
    path.write_text(DOCUMENT + body, encoding="utf-8")
    return path


@pytest.fixture
def run() -> Run:
    """Runs one command line in this process."""

    def run(*args: object, stdin: str | None = None) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin, prog_name="dlm")

    return run


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The scripted engine stands in for the real one."""
    engine = FakeEngine(Script())
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    return engine
