"""Pack on screen: the document, its adapters and its gate as one file; as `dlm pack`."""

import asyncio
import shlex
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.style import Style
from rich.text import Text

from dlm_core import pack as packs
from dlm_core.errors import DlmError, PackExistsError, Stopped
from dlm_core.events import Working
from dlm_tui.screens.task import TaskScreen, Words
from dlm_tui.session.packed_words import packed_lines
from dlm_tui.widgets.fields import Field
from dlm_tui.widgets.looks import looks_of

_MB = 1_000_000


class PackScreen(TaskScreen):
    """Where to write it; written in a thread, which looks at every piece whether it is to stop."""

    words = Words(
        "Pack: the document, its adapters and its gate as one file",
        "pack",
        "packing",
        "r begins. In it are the document as it stands on disk and its current versions, not the base, "
        "nor earlier versions, the names and pins of versions, the record of runs or what was asked. "
        "`dlm unpack` takes it in elsewhere.",
    )

    def __init__(self, path: Path, *, unsaved: bool) -> None:
        super().__init__(path)
        self._unsaved = unsaved
        self._output = ""
        self._told_mb = -1
        self._halted = threading.Event()

    @property
    def _target(self) -> Path:
        return Path(self._output).expanduser() if self._output else self.path.with_suffix(".dlmpack")

    def fields(self) -> Sequence[Field]:
        about = "The pack to write; beside the document, with the suffix .dlmpack, if nothing is said."
        return (Field("output", "where", self._output, about, blank=f"{self._target.name} beside it"),)

    def take(self, key: str, value: str) -> None:
        self._output = value.strip()

    def command(self) -> str:
        words = ["dlm", "pack", self.file, *(["-o", self._output] if self._output else [])]
        return shlex.join([*words, *(["--overwrite"] if self.overwriting else [])])

    def opening(self) -> Text:
        text = Text(end="").append_text(super().opening())
        if self._unsaved:
            warned = Style(color=looks_of(self).colors.warning)
            text.append("\n\n⚠ What is not saved is not in it: F2 saves, in the workbench.", warned)
        return text

    def replaces(self, error: DlmError) -> str:
        return error.message.partition(",")[0] if isinstance(error, PackExistsError) else ""

    async def perform(self) -> Text:
        self._halted.clear()
        self._told_mb = -1
        loop, target = asyncio.get_running_loop(), self._target

        def told(done: int, total: int) -> None:
            if self._halted.is_set():
                raise Stopped("stopped; no pack was written")
            if done // _MB > self._told_mb or done == total:
                self._told_mb = done // _MB
                loop.call_soon_threadsafe(self.told, Working(label="of the pack", done=done, total=total))

        def work() -> packs.Packed:
            return packs.pack(self.path, target, overwrite=self.overwriting, told=told)

        return Text("\n".join(packed_lines(await asyncio.to_thread(work))), end="")

    async def halt(self) -> None:
        self._halted.set()
