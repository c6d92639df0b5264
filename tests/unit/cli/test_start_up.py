"""Commands that need no engine start without the libraries that cost seconds, and help is quick."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "textual",
    "prompt_toolkit",
    "huggingface_hub",
    "numpy",
)
PROGRAM = """
import contextlib, json, sys
from dlm_tui.cli import main
sys.argv = ["dlm", *sys.argv[1:]]
with contextlib.suppress(SystemExit):
    main()
print("\\n" + json.dumps([name for name in HEAVY if name in sys.modules]))
"""


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["train", "--help"],
        ["init", "{folder}/new.dlm"],
        ["check", "{document}"],
        ["show", "{document}"],
        ["versions", "{document}"],
        ["base", "list"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.slow
def test_no_heavy_library_is_imported(command: list[str], document: Path, tmp_path: Path) -> None:
    words = [word.format(document=document, folder=tmp_path) for word in command]
    program = PROGRAM.replace("HEAVY", repr(HEAVY))
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr
    assert "Error" not in ended.stderr


@pytest.mark.parametrize(
    "module", ["dlm_tui.cli", "dlm_core.oneshot", "dlm_core.client", "dlm_core.document"]
)
def test_importing_a_front_end_module_costs_no_torch(module: str) -> None:
    program = f"import sys, {module}; print([n for n in {HEAVY!r} if n in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "[]", ended.stderr


def test_help_is_quick() -> None:
    program = "from dlm_tui.cli import main; import sys; sys.argv = ['dlm', '--help']; main()"

    def spent() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert any(spent() < 0.2 for _ in range(5)), (
        "seconds of the processor; the clock on the wall would blame a busy machine on us"
    )
