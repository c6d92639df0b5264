"""The document and its store as they change on disk: looked at again when a file was saved and has rested."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from dlm_tui.session.document_state import DocumentState, Stamp, look, stamp_of

POLL_S = 0.7
"""Seconds between two looks at the file's time; a save counts once it has rested for one of them."""


class DocumentWatch:
    """Keeps `state` true.

    `on_change` is called after every look, `on_saved` after one due to a save of the document, `on_committed`
    after one that found another version in the store.
    """

    def __init__(
        self,
        state: DocumentState,
        *,
        on_change: Callable[[], None],
        on_saved: Callable[[], None],
        on_committed: Callable[[], None],
        poll_s: float = POLL_S,
    ) -> None:
        self.state = state
        self._on_change = on_change
        self._on_saved = on_saved
        self._on_committed = on_committed
        self._poll_s = poll_s

    async def look_again(self) -> DocumentState:
        """Read document and store anew. While the document is broken, its adapters are those it last had."""
        found = await asyncio.to_thread(look, self.state.path)
        before = self.state
        if not found.adapters and before.adapters:
            found = replace(
                found, adapters=before.adapters, dlm_id=before.dlm_id, generation=before.generation
            )
        self.state = found
        self._on_change()
        return found

    async def follow(self) -> None:
        """Look now, and again after every save or commit, for ever."""
        await self.look_again()
        known = seen = self._stamps()
        while True:
            await asyncio.sleep(self._poll_s)
            stamps = self._stamps()
            if stamps != seen:
                seen = stamps  # whoever writes may not be done yet
            elif stamps != known:
                before, generation = known, self.state.generation
                known = stamps
                await self.look_again()
                if self.state.generation != generation:
                    self._on_committed()
                if stamps[0] != before[0]:
                    self._on_saved()

    def _stamps(self) -> tuple[Stamp, Stamp]:
        manifest = self.state.manifest
        return stamp_of(self.state.path), stamp_of(manifest) if manifest is not None else None
