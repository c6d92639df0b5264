"""What libraries find: the environment, and a process that ends without looking for garbage."""

import subprocess
import sys

from dlm_core.surroundings import SETTINGS, settle


def test_what_is_unset_is_settled() -> None:
    environ: dict[str, str] = {}
    settle(environ)
    assert environ == SETTINGS


def test_a_persons_own_settings_win() -> None:
    environ = {"HF_HUB_VERBOSITY": "debug", "OMP_WAIT_POLICY": "ACTIVE"}
    settle(environ)
    assert environ["HF_HUB_VERBOSITY"] == "debug"
    assert "GOMP_SPINCOUNT" not in environ


def test_nobody_looks_for_garbage_at_the_exit() -> None:
    program = """
import gc, sys
from dlm_core.surroundings import leave_quickly

class Cycle:
    def __init__(self): self.itself = self
    def __del__(self): print("looked at")

gc.disable()
if "quickly" in sys.argv: leave_quickly()
Cycle()
"""
    said = [
        subprocess.run([sys.executable, "-c", program, how], capture_output=True, text=True, check=True)
        for how in ("slowly", "quickly")
    ]
    assert [s.stdout for s in said] == ["looked at\n", ""]
