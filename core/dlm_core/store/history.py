"""The commits of a store by runs: a run may commit twice, its adapters and then their gate."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from dlm_core.store.manifest import Snapshot
from dlm_core.store.store import Store


def outcomes(commits: Sequence[Snapshot]) -> list[Snapshot]:
    """The commits without those that the same run completed later."""
    return [
        commit
        for commit, following in zip_longest(commits, commits[1:])
        if following is None or following.run_id != commit.run_id or following.note
    ]


def keep_runs(store: Store, count: int) -> list[Path]:
    """Forget all but what the last `count` runs (at least 1) and roll-backs ended in.

    Returns the folders removed. Raises StoreError, StoreLockedError.
    """
    with store.writer():
        commits = store.versions()
        kept = outcomes(commits)[-max(count, 1) :]
        if not kept:
            return []
        oldest = kept[0].generation
        return store.prune(sum(c.generation >= oldest for c in commits))
