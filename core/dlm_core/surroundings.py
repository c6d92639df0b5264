"""What the process offers the libraries under the engine: settings in the environment, made before any of
them is imported, and peace from the garbage collector.

A person's own settings always win.
"""

import atexit
import contextlib
import gc
import os
from collections.abc import Iterator, MutableMapping

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


@contextlib.contextmanager
def paused_collector() -> Iterator[None]:
    """Holds the cyclic garbage collector while much is imported or built at once: none of it is garbage, and
    looking through it again and again takes a fifth of the time.

    Nor is it looked at later on (`gc.freeze`). Who lets go of a base calls `gc.unfreeze` before.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()


def leave_quickly() -> None:
    """At its exit, this process will not look for garbage in all that was imported, which takes a second."""
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
