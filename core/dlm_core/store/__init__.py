"""What is kept for one document: versions of its adapters and gate, checkpoints, the record of its runs.

`Store` is the way in; `Metrics` the diary of runs that a dashboard in another process may follow.
"""

from dlm_core.store.manifest import SectionRecord, Snapshot
from dlm_core.store.paths import StorePaths, cache_dir, dlm_home
from dlm_core.store.store import Stage, Store

__all__ = ["SectionRecord", "Snapshot", "Stage", "Store", "StorePaths", "cache_dir", "dlm_home"]
