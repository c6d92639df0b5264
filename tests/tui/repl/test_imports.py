"""The REPL starts lean: nothing of the engine, nothing of the workbench's screen."""

import subprocess
import sys

import pytest

from tests.tui.repl.terminal import ROOT

HEAVY = ("torch", "transformers", "peft", "accelerate", "textual", "numpy", "huggingface_hub")


@pytest.mark.slow
def test_the_repl_imports_neither_torch_nor_textual() -> None:
    code = (
        "import sys\n"
        "import dlm_tui.cli.root, dlm_tui.repl.command, dlm_tui.repl.run, dlm_tui.repl.screen\n"
        "import dlm_tui.repl.plain, dlm_tui.repl.pipe, dlm_tui.session.document_state, dlm_core.store\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
