"""The store is light: front ends read it at start-up."""

import subprocess
import sys


def test_the_store_brings_no_heavy_library_along() -> None:
    program = (
        "import sys, dlm_core.store; print(*{'torch', 'transformers', 'numpy', 'textual'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"
