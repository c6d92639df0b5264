"""What the libraries under the engine read from the environment, settled before any of them is imported.

A person's own settings always win.
"""

import os
from collections.abc import MutableMapping

SETTINGS = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    # Threads that wait for each other spin for milliseconds by default. Where anything else wants the
    # processor, that spinning takes it away from the very thread that is waited for, and training slows
    # down manyfold.
    "GOMP_SPINCOUNT": "2000",
}


def settle(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set what is not set yet; has its effect if called before torch and transformers are imported."""
    for name, value in SETTINGS.items():
        if name == "GOMP_SPINCOUNT" and "OMP_WAIT_POLICY" in environ:
            continue
        environ.setdefault(name, value)
