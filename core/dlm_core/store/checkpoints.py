"""Where an unfinished run can be taken up again: sealed folders, the newest whole one counts."""

import time
from collections.abc import Callable
from pathlib import Path

from dlm_core.errors import StoreError
from dlm_core.store import atomic, seal

_KEPT = 2  # The newest, and the one before it in case the newest is damaged.


class Checkpoints:
    """The checkpoints of one document. Saving and clearing belong to whoever holds the writer's lock."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock

    def save(self, writer: Callable[[Path], None], key: str) -> Path:
        """Saves a checkpoint in one step: until it is whole, the one before it is the latest.

        Args:
            writer: is given an empty folder and writes the checkpoint's files into it.
            key: what the checkpoint belongs to (document and recipe, say); `latest` can ask for it.

        Returns the folder. Raises StoreError, and whatever `writer` raises; nothing new is left then.
        """
        numbers = self._numbers()
        number = max(numbers, default=0) + 1
        unfinished = self._folder / f".c{number:06d}.tmp"
        atomic.remove_tree(unfinished)
        atomic.make_folder(unfinished)
        final = self._path(number)
        try:
            with atomic.translating(unfinished, "write"):
                writer(unfinished)
            seal.seal(unfinished, name=key, generation=number, run_id=0, at=self._clock())
            atomic.replace(unfinished, final)
        except BaseException:
            _remove_quietly(unfinished)
            raise
        for old in numbers[: 1 - _KEPT]:
            _remove_quietly(self._path(old))
        return final

    def latest(self, key: str | None = None) -> Path | None:
        """The newest checkpoint that is whole (and saved under `key`, if given), None if there is none."""
        for number in reversed(self._numbers()):
            folder = self._path(number)
            if not seal.damage(folder) and key in (None, self.key(folder)):
                return folder
        return None

    def key(self, checkpoint: Path) -> str:
        """What the checkpoint was saved under. Raises StoreError if it is damaged."""
        return seal.read_seal(checkpoint).name

    def clear(self) -> None:
        """Removes all checkpoints. Raises StoreError."""
        atomic.remove_tree(self._folder)

    def _path(self, number: int) -> Path:
        return self._folder / f"c{number:06d}"

    def _numbers(self) -> list[int]:
        found = (p.name[1:] for p in self._folder.glob("c*") if p.is_dir())
        return sorted(int(n) for n in found if n.isdecimal())


def _remove_quietly(folder: Path) -> None:
    try:
        atomic.remove_tree(folder)
    except StoreError:
        return  # It is no checkpoint any more, or an old one; the next save tries again.
