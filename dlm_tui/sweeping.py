"""Garbage collection at moments when nobody waits: a full collection takes as long as several keystrokes.

What stands once the workbench is up stays until the end, so it is frozen: no collection looks at it again.
"""

import contextlib
import gc
from collections.abc import Iterator

YOUNG, MIDDLE, OLD = 1_000, 3, 10_000
"""Thresholds (see `gc.set_threshold`): short collections often, for one of ten times as many objects holds
a key up for five milliseconds; full ones by themselves are all but ruled out."""
QUIET_S = 2.0
"""Seconds without a keystroke after which a full collection disturbs nobody."""
EVERY_S = 30.0


@contextlib.contextmanager
def held_off() -> Iterator[None]:
    """No collection until `settle`: while modules are imported and the first frame is built, nothing dies."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """The workbench is up: freeze what there is, collect young garbage as usual from now on."""
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    gc.enable()


def sweep(quiet_for: float) -> bool:
    """Collect everything if no key was pressed for a while; answers whether it did."""
    if quiet_for < QUIET_S:
        return False
    gc.collect()
    return True
