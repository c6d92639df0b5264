"""The document as it changes on disk: looked at again whenever it was saved and has come to rest."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from dlm_tui.repl.situation import Situation, look, stamp_of

POLL_S = 0.7
"""Seconds between two looks at the file's time; a save counts once it has rested for one of them."""


class FollowedDocument:
    """Keeps `situation` true. `on_change` is called after every look, `on_saved` after one due to a save."""

    def __init__(
        self,
        situation: Situation,
        *,
        on_change: Callable[[], None],
        on_saved: Callable[[], None],
        poll_s: float = POLL_S,
    ) -> None:
        self.situation = situation
        self._on_change = on_change
        self._on_saved = on_saved
        self._poll_s = poll_s

    async def look_again(self) -> Situation:
        """Read document and store anew. While the document is broken, its adapters are those it last had."""
        found = await asyncio.to_thread(look, self.situation.path)
        before = self.situation
        if not found.adapters and before.adapters:
            found = replace(
                found, adapters=before.adapters, dlm_id=before.dlm_id, generation=before.generation
            )
        self.situation = found
        self._on_change()
        return found

    async def follow(self) -> None:
        """Look now, and again after every save, for ever."""
        await self.look_again()
        seen = self.situation.stamp
        while True:
            await asyncio.sleep(self._poll_s)
            stamp = stamp_of(self.situation.path)
            if stamp != seen:
                seen = stamp  # an editor may still be writing
            elif stamp != self.situation.stamp:
                await self.look_again()
                self._on_saved()
