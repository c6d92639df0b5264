"""A tour of the workbench on a real base: edit, train, ask, toggle the gate, ask again; screenshots as SVG.

    python benchmarks/tui_tour.py --out docs/tour [--document sample_docs/runbook.dlm]

Uses the base of `$DLM_HOME` (fetched if it is not there). The end-to-end test runs the same tour.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textual.pilot import Pilot

from dlm_tui.app import WorkbenchApp
from dlm_tui.screens.workbench import Workbench
from dlm_tui.session.conversation import Answer
from dlm_tui.settings import Loaded, Settings, State
from dlm_tui.widgets.chat_input import ChatInput
from dlm_tui.widgets.plot import Plot
from dlm_tui.widgets.reply_view import ReplyView

ROOT = Path(__file__).resolve().parents[1]
SIZE = (150, 44)
STEPS = 40
"""After so many the picture of the training is taken: the curves have begun to tell something."""
NEW_SECTION = """
::instruction#runbook::
### Q
Who brings the coffee on release day?

### A
Marisol Okafor brings the coffee, at 08:15, to room Kestrel.
"""
PROMPTS = ("Who brings the coffee on release day?", "How do we word the first status update?")


@dataclass
class Seen:
    """What the tour saw."""

    losses: list[float] = field(default_factory=list)
    draws: int = 0
    answers: list[Answer] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


class Tour:
    """Drives one workbench through its stations."""

    def __init__(
        self, app: WorkbenchApp, pilot: Pilot[int], out: Path | None, prompts: Sequence[str] = PROMPTS
    ) -> None:
        self.app, self.pilot, self.out, self.prompts = app, pilot, out, prompts
        self.seen = Seen()

    @property
    def bench(self) -> Workbench:
        return next(screen for screen in self.app.screen_stack if isinstance(screen, Workbench))

    async def until(self, happened: Callable[[], object], what: str, seconds: float = 600.0) -> None:
        """Wait until something has happened."""
        begun = time.monotonic()
        while not happened():
            if time.monotonic() - begun > seconds:
                raise TimeoutError(f"{what} did not happen in {seconds:.0f} s")
            await self.pilot.pause(0.05)
        self.seen.seconds[what] = round(time.monotonic() - begun, 1)
        await self.pilot.pause(0.6)

    def shoot(self, name: str, title: str) -> None:
        """Keep a screenshot."""
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            svg = self.app.export_screenshot(title=title)
            (self.out / f"{name}.svg").write_text(svg, encoding="utf-8")

    async def ask(self, question: str) -> None:
        """Ask, and wait for the whole reply."""
        turns = len(self.bench.chat.conversation.turns)
        self.bench.frame.bring_up("chat")
        line = self.bench.query_one(ChatInput)
        line.load_text(question)
        await self.pilot.press("enter")
        chat = self.bench.chat
        await self.until(
            lambda: chat.busy or len(chat.conversation.turns) > turns, f"reply {turns + 1} begun"
        )
        await self.until(lambda: not chat.busy, f"reply {turns + 1}")
        if len(chat.conversation.turns) == turns:
            raise RuntimeError(f"no reply to {question!r}: its view says why")
        self.seen.answers.append(chat.conversation.turns[-1].answer)

    async def run(self) -> Seen:
        """All stations."""
        await self.until(lambda: len(self.app.screen_stack) > 1, "first screen")
        bench, dashboard = self.bench, self.bench.dashboard
        await self.until(lambda: bench.editor.document is not None, "first check")
        await self.until(lambda: bench.chat.ready, "base ready")
        area = bench.editor.area
        area.put(NEW_SECTION, area.document.end, area.document.end)
        bench.editor.go_to(area.document.line_count - 7)
        await self.pilot.pause(0.6)
        self.shoot("1-edit", "dlm: write")
        earlier = dashboard.run_view
        await self.pilot.press("f5")
        await self.until(lambda: dashboard.run_view is not earlier, "run begun")
        run = dashboard.run_view
        assert run is not None
        await self.until(lambda: len(run.loss) > STEPS or run.ended, "steps")
        bench.frame.bring_up("dashboard")
        await self.pilot.pause(0.6)
        self.shoot("2-train", "dlm: train")
        await self.until(lambda: run.ended is not None, "training")
        self.seen.losses = list(run.loss.ys)
        self.seen.draws = dashboard.query_one("#loss-plot", Plot).draws
        for prompt in self.prompts:
            await self.ask(prompt)
        bench.query_one(ChatInput).load_text("Which table holds the refunds?")
        await self.pilot.pause(2.0)
        self.shoot("3-ask", "dlm: ask")
        await self.pilot.press("f7")
        await self.ask(self.prompts[0])
        self.shoot("4-gate-off", "dlm: the same question with the gate off")
        bench.query(ReplyView).first().focus()
        await self.pilot.press("enter")
        await self.pilot.pause(1.0)
        self.shoot("5-detail", "dlm: a reply in detail")
        await self.pilot.press("escape")
        return self.seen


async def tour(
    document: Path, out: Path | None = None, *, theme: str = "ink", prompts: Sequence[str] = PROMPTS
) -> Seen:
    """Take the tour on `document`, which is changed; answers what was seen."""
    settings = Settings(theme=theme, cursor_blink=False, max_tokens=80)
    app = WorkbenchApp(document, loaded=Loaded(settings), state=State())
    async with app.run_test(size=SIZE) as pilot:
        return await Tour(app, pilot, out, prompts).run()


def main() -> None:
    """Take the tour on a copy of a sample and print what was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "tour")
    parser.add_argument("--document", type=Path, default=ROOT / "sample_docs" / "runbook.dlm")
    parser.add_argument("--theme", default="ink")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / options.document.name
        document.write_text(options.document.read_text(encoding="utf-8"), encoding="utf-8")
        seen = asyncio.run(tour(document, options.out, theme=options.theme))
    print(seen.seconds)
    for answer in seen.answers:
        print(answer.routing.mode, answer.routing.weights, answer.text)


if __name__ == "__main__":
    main()
