"""`dlm export` on a scripted engine: what it asks for, and what it prints where."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dlm_core import oneshot
from dlm_core.engine_protocol import Emit, Exported, ExportOptions, ShouldStop
from dlm_core.errors import ExportError, Stopped
from dlm_core.events import Log
from dlm_core.requests import RoutingChoice
from dlm_tui.cli import cli
from tests.fakes.engine import FakeEngine

DOCUMENT = """\
---
dlm_id: 01J9ZQ4T7M3N5P6R8S9V0W1X2Y
dlm_version: 15
base_model: smollm2-135m
training:
  adapters:
    knowledge: {}
    tone: {}
---

::instruction#knowledge::
### Q
What?

### A
That.
"""


class ExportingEngine(FakeEngine):
    """Exports nothing, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: ExportOptions | None = None
        self.failure: Exception | None = None

    def export(self, options: ExportOptions, emit: Emit, stop: ShouldStop) -> Exported:
        self.asked = options
        if self.failure is not None:
            raise self.failure
        emit(Log(level="warning", message="answers are lost\x1b[2J", hint="export one", code="export_lost"))
        folder = options.folder or Path("/store/exports/gguf")
        return Exported(folder, ("fidelity on 2 questions: 50% of replies the same",), {"gate_mode": "pin"})


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ExportingEngine:
    monkeypatch.setenv("DLM_HOME", str(tmp_path / "home"))
    engine = ExportingEngine()
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    return engine


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "guide.dlm"
    path.write_text(DOCUMENT, encoding="utf-8")
    return path


def run(*args: Any) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, args)], prog_name="dlm")


def test_stdout_is_the_folder_and_stderr_the_banner(engine: ExportingEngine, document: Path) -> None:
    result = run(document, "--target", "gguf", "--adapter", "tone", "--quant", "Q8_0", "--merge")
    assert result.exit_code == 0
    assert result.stdout == "/store/exports/gguf\n"
    assert "50% of replies" in result.stderr and "warning: answers are lost" in result.stderr
    assert "hint: export one" in result.stderr and "\x1b" not in result.stderr
    assert engine.asked == ExportOptions(
        target="gguf", choice=RoutingChoice(mode="pin", adapter="tone"), quant="q8_0", merge=True
    )


def test_json_is_the_manifest_with_its_folder(
    engine: ExportingEngine, document: Path, tmp_path: Path
) -> None:
    result = run(
        document,
        "--target",
        "peft",
        "--fold",
        "--adapter-mix",
        "tone:1,knowledge:3",
        "-o",
        tmp_path / "x",
        "--json",
    )
    assert json.loads(result.stdout) == {"folder": str(tmp_path / "x"), "gate_mode": "pin"}
    assert engine.asked is not None and engine.asked.fold
    assert engine.asked.choice == RoutingChoice(mode="mix", mix={"tone": 1.0, "knowledge": 3.0})


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--target", "tape"], "tape"),
        ([], "--target"),
        (["--target", "hf", "--adapter", "ton"], "did you mean `tone`"),
        (["--target", "hf", "--adapter", "tone", "--adapter-mix", "tone:1"], "--adapter-mix"),
        (["--target", "hf", "--adapter-mix", "tone"], "NAME:WEIGHT"),
    ],
)
def test_a_wrong_request_ends_with_2_before_anything_is_loaded(
    engine: ExportingEngine, document: Path, arguments: list[str], named: str
) -> None:
    result = run(document, *arguments)
    assert result.exit_code == 2 and named in result.stderr
    assert engine.calls == []


def test_a_failure_is_one_sentence(engine: ExportingEngine, document: Path) -> None:
    engine.failure = ExportError("OPTForCausalLM cannot be written as GGUF", "use hf")
    result = run(document, "--target", "gguf")
    assert result.exit_code == 1 and result.stdout == ""
    assert "OPTForCausalLM cannot be written as GGUF" in result.stderr and "Traceback" not in result.stderr


def test_being_stopped_ends_with_130(engine: ExportingEngine, document: Path) -> None:
    engine.failure = Stopped("stopped; nothing was exported")
    result = run(document, "--target", "hf")
    assert result.exit_code == 130 and "nothing was exported" in result.stderr
