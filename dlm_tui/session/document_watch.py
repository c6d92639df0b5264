"""The document and its store as they change on disk: looked at again when one of them was written."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from dlm_tui.session.document_state import DocumentState, look
from dlm_tui.session.file_watch import changes, stamp_of


@dataclass(kw_only=True)
class DocumentWatch:
    """Keeps `state` true.

    `on_change` is called after every look, `on_saved` after one due to a save of the document, `on_committed`
    after one that found another version in the store.
    """

    state: DocumentState
    on_change: Callable[[], None]
    on_saved: Callable[[], None]
    on_committed: Callable[[], None]

    async def look_again(self) -> DocumentState:
        """Read document and store anew. While the document is broken, its adapters are those it last had."""
        found = await asyncio.to_thread(look, self.state.path)
        before = self.state
        if not found.adapters and before.adapters:
            found = replace(
                found, adapters=before.adapters, dlm_id=before.dlm_id, generation=before.generation
            )
        self.state = found
        self.on_change()
        return found

    async def follow(self) -> None:
        """Look now, and again after every save or commit, for ever."""
        await self.look_again()
        known = {path: stamp_of(path) for path in self._files()}
        known[self.state.path] = self.state.stamp
        async for changed in changes(self._files, known):
            generation = self.state.generation
            await self.look_again()
            if self.state.generation != generation:
                self.on_committed()
            if self.state.path in changed:
                self.on_saved()

    def _files(self) -> list[Path]:
        manifest = self.state.manifest
        return [self.state.path, *([manifest] if manifest is not None else [])]
