"""Doctor on screen: what this machine offers and the document needs of it; as `dlm doctor`."""

import shlex
from pathlib import Path

from rich.style import Style
from rich.text import Text

from dlm_tui.screens.task import TaskScreen, Words
from dlm_tui.session.checkup_words import checkup_lines
from dlm_tui.session.engine_session import EngineSession
from dlm_tui.widgets.looks import looks_of


class DoctorScreen(TaskScreen):
    """Looks as soon as it is opened, and again by `r`. Nothing is fetched or loaded."""

    words = Words("Doctor: what training takes here", "doctor", "looking")

    def __init__(self, engine: EngineSession, path: Path) -> None:
        super().__init__(path)
        self._engine = engine

    def command(self) -> str:
        return shlex.join(["dlm", "doctor", self.file])

    async def perform(self) -> Text:
        colors = looks_of(self).colors
        styles = {
            "that fits": Style(color=colors.success, bold=True),
            "that does not fit": Style(color=colors.error, bold=True),
        }
        text = Text(end="")
        for line in checkup_lines(await self._engine.doctor()):
            style = Style(color=colors.warning) if line.startswith("advice:") else styles.get(line, Style())
            text.append(line + "\n", Style(color=colors.secondary) if line.startswith("  ") else style)
        return text
