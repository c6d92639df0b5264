"""What is kept for one document: versions of its adapters and gate, checkpoints, the record of its runs.

`Store` is the way in; `Metrics` the diary of runs that a dashboard in another process may follow. `Store`
brings file locks, SQLite and psutil along, so it is loaded where it is first asked for, and not by what only
needs a path.
"""

from typing import TYPE_CHECKING, Any

from dlm_core.store.manifest import SectionRecord, Snapshot
from dlm_core.store.paths import StorePaths, cache_dir, dlm_home

if TYPE_CHECKING:
    from dlm_core.store.store import Stage, Store

__all__ = ["SectionRecord", "Snapshot", "Stage", "Store", "StorePaths", "cache_dir", "dlm_home"]


def __getattr__(name: str) -> Any:
    if name in ("Stage", "Store"):
        from dlm_core.store import store

        return getattr(store, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
