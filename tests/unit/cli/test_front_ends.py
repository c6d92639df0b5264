"""`dlm repl`, `dlm open` and `dlm FILE` hand over to their front ends with what the command line said."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dlm_core.requests import RoutingChoice, Sampling
from tests.unit.cli.conftest import Run


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """What the workbench was opened with; `+ watch` follows where it is to train after every save."""
    seen: list[Path | None] = []
    app = ModuleType("dlm_tui.app")

    def run_app(path: Path | None, *, watch: bool) -> int:
        seen.extend([path, Path("+ watch")] if watch else [path])
        return 0

    app.run_app = run_app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "dlm_tui.app", app)
    monkeypatch.setattr("dlm_tui.cli.workbench.on_a_terminal", lambda: True)
    return seen


def test_without_a_terminal_the_workbench_names_what_does_without(run: Run, document: Path) -> None:
    result = run(document)
    assert result.exit_code == 2
    assert "the workbench needs a terminal" in result.stderr
    assert "dlm repl" in result.stderr


def test_the_repl_begins_as_the_flags_say(run: Run, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[dict[str, Any]] = []

    def run_repl(path: Path, **given: Any) -> int:
        began.append({"path": path, **given})
        return 1

    monkeypatch.setattr("dlm_tui.repl.run.run_repl", run_repl)
    result = run("repl", document, "--adapter", "tone", "--seed", 3, "--system", "Brief.", "--watch")
    assert result.exit_code == 1
    assert began == [
        {
            "path": document,
            "choice": RoutingChoice(mode="pin", adapter="tone"),
            "sampling": Sampling(seed=3),
            "system": "Brief.",
            "as_json": False,
            "watch": True,
        }
    ]


def test_the_repl_refuses_what_contradicts(run: Run, document: Path) -> None:
    result = run("repl", document, "--adapter", "tone", "--gate", "off")
    assert result.exit_code == 2
    assert "--gate off and --adapter" in result.stderr


def test_a_file_name_opens_the_workbench(run: Run, document: Path, opened: list[Path | None]) -> None:
    assert run(document).exit_code == 0
    assert run("open", document).exit_code == 0
    assert opened == [document, document]


def test_the_workbench_is_told_to_train_after_every_save(
    run: Run, document: Path, opened: list[Path | None]
) -> None:
    assert run("open", document, "--watch").exit_code == 0
    assert run(document, "--watch").exit_code == 0
    assert opened == [document, Path("+ watch")] * 2


def test_without_anything_the_workbench_opens(run: Run, opened: list[Path | None]) -> None:
    assert run().exit_code == 0
    assert opened == [None]


def test_a_document_that_does_not_exist_yet_is_for_the_workbench_to_say(
    run: Run, tmp_path: Path, opened: list[Path | None]
) -> None:
    run(tmp_path / "new.dlm")
    assert opened == [tmp_path / "new.dlm"]
