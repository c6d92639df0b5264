"""A document's chat from one session to the next: one private file, written in a thread after every turn."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dlm_core.errors import DlmError
from dlm_core.store import atomic
from dlm_tui.session.conversation import Conversation


class ChatHistory:
    """Keeps what it was given last; writes follow one another and never overtake.

    Args:
        trouble: told once, in a sentence, when the file cannot be written; nothing is kept from then on.
    """

    def __init__(self, trouble: Callable[[str], None]) -> None:
        self._trouble = trouble
        self._path: Path | None = None
        self._next: Conversation | None = None
        self._writing: asyncio.Task[None] | None = None

    async def open(self, path: Path, conversation: Conversation) -> None:
        """Bring back into `conversation` what `path` holds, and keep it there from now on.

        Raises:
            DlmError: what is there cannot be read; `conversation` is as it was.
        """
        self._path = path
        if path.exists():
            before = Conversation()
            await asyncio.to_thread(before.load, path)
            conversation.turns[:] = before.turns
            conversation.system, conversation.choice = before.system, before.choice
            conversation.sampling = before.sampling

    def keep(self, conversation: Conversation) -> None:
        """Write `conversation` as it is now, soon."""
        if self._path is None:
            return
        self._next = replace(conversation, turns=list(conversation.turns))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="chat history")

    async def flush(self) -> None:
        """Wait until what was to be kept is written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._next is not None and self._path is not None:
            conversation, self._next = self._next, None
            try:
                await asyncio.to_thread(atomic.write_text, self._path, conversation.as_json())
            except DlmError as error:
                self._path = None
                self._trouble(f"The chat's history cannot be kept: {error}")
