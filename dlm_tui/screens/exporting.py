"""Export on screen: a document's adapters for other programs, or its sections as rows; as `dlm export`."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.style import Style
from rich.text import Text

from dlm_core.data.jsonl import FORMS
from dlm_core.document import load
from dlm_core.errors import DlmError, ExportExistsError, StoreError, UsageError
from dlm_core.requests import path_of
from dlm_core.safetext import visible, visible_line
from dlm_tui.screens.task import TaskScreen, Words
from dlm_tui.session.engine_session import EngineSession
from dlm_tui.session.export_wish import ALL, OWN, TARGETS, ExportWish
from dlm_tui.session.rows_out import rows_out, write_rows
from dlm_tui.widgets.fields import Field

_YES_NO = ("no", "yes")


class ExportScreen(TaskScreen):
    """What to write, for whom, and where; then how faithful it is."""

    words = Words(
        "Export: the adapters for other programs, or the sections as rows",
        "export",
        "exporting",
        "r begins. Programs outside cannot evaluate gates: how far the export is from the replies here "
        "is measured, shown, and kept in its manifest.json.",
    )

    def __init__(self, engine: EngineSession, path: Path, adapters: Sequence[str]) -> None:
        super().__init__(path)
        self._engine, self._adapters = engine, tuple(adapters)
        self._wish = ExportWish()
        self._request = ""

    def fields(self) -> list[Field]:
        wish = self._wish
        rows = wish.target == "jsonl"
        found = [Field("target", "for", wish.target, TARGETS[wish.target], tuple(TARGETS))]
        adapter = wish.adapter or ALL
        about = (
            "All of them as one mixture with constant weights, for programs outside know no gates; or one."
        )
        if rows:
            adapter, about = wish.adapter or "all", "The rows of every adapter, or of one."
        everything = "all" if rows else ALL
        found.append(Field("adapter", "adapter", adapter, about, (everything, *self._adapters)))
        if rows:
            about = "chat: a row for every wording. dpo: pairs of preference sections. text: prose."
            found.append(Field("form", "form", wish.form, about, FORMS))
            return [*found, self._output("The file to write.", "name a file")]
        off = "" if wish.formats else "adapters are written in float32"
        about = "Number format of the weights; below q8_0 replies may change, and how far is measured."
        found.append(Field("quant", "numbers", wish.quant or OWN, about, (OWN, *wish.formats), off))
        if wish.target == "peft":
            about = "One static LoRA for any PEFT, with constants in place of the rank gates."
            found.append(Field("fold", "fold", _YES_NO[wish.fold], about, _YES_NO))
        elif wish.target != "hf":
            about = "Put the adapters into the weights, instead of a file beside the base."
            found.append(Field("merge", "merge", _YES_NO[wish.merge], about, _YES_NO))
        return [*found, self._output("The folder to make.", "in the document's store, by its target")]

    def _output(self, about: str, blank: str) -> Field:
        return Field("output", "where", self._wish.output, about, blank=blank)

    def take(self, key: str, value: str) -> None:
        wish = self._wish
        match key:
            case "target":
                self._wish = wish.to(value)
            case "adapter":
                self._wish = replace(wish, adapter=value if value in self._adapters else None)
            case "quant":
                self._wish = replace(wish, quant=value if value in wish.formats else None)
            case "form":
                self._wish = wish.with_form(value)
            case "output":
                self._wish = replace(wish, output=value.strip())
            case "fold":
                self._wish = replace(wish, fold=value == "yes")
            case "merge":
                self._wish = replace(wish, merge=value == "yes")

    def command(self) -> str:
        return self._wish.command(self.file) + (" --overwrite" if self.overwriting else "")

    def replaces(self, error: DlmError) -> str:
        if isinstance(error, ExportExistsError):
            return error.message
        goal = self._wish.goal
        if (
            self._wish.target == "jsonl"
            and isinstance(error, StoreError)
            and goal is not None
            and goal.is_file()
        ):
            return f"{visible_line(str(goal))} is there already"
        return ""

    async def perform(self) -> Text:
        if self._wish.target == "jsonl":
            return await asyncio.to_thread(self._write_rows)
        self._request = self._engine.new_id()
        request = self._wish.request(self._request, overwrite=self.overwriting)
        done = await self._engine.export(request, self.told)
        text = Text(end="").append(visible_line(str(path_of(done.folder))), Style(bold=True))
        for line in done.banner:
            text.append(f"\n{visible(line)}")
        return text

    def _write_rows(self) -> Text:
        goal = self._wish.goal
        if goal is None:
            raise UsageError("there is no file to write the rows to", "name one under “where”")
        rows = rows_out(load(self.path), self._wish.form, self._wish.adapter)
        write_rows(rows, goal, overwrite=self.overwriting)
        return Text("\n".join(visible_line(line) for line in rows.words(goal)), end="")

    async def halt(self) -> None:
        await self._engine.stop(self._request)
