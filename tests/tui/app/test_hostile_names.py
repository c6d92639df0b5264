"""What the workbench shows of a document that was named, written and answered to steer a terminal."""

import re

from tests.fakes.engine import Script
from tests.tui.app.conftest import DOCUMENT, Open, Stage

HOSTILE = "\x1b]0;own\x07\x1b[2J\x9b31m\u202eeman"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")


def steered(stage: Stage) -> str:
    """Lines on screen, and titles, that hold a character which steers a terminal; "" for none."""
    lines = stage.screen_text().split("\n")
    titles = [stage.app.title, stage.app.sub_title, str(stage.app.screen.title or "")]
    return "\n".join(repr(line) for line in (*lines, *titles) if STEERING.search(line))


async def test_nothing_that_others_wrote_steers_the_terminal(open_workbench: Open) -> None:
    text = DOCUMENT.replace("What is the limit?", f"What {HOSTILE} is it?")
    script = Script(adapters=("knowledge", "tone"), reply=HOSTILE)
    async with open_workbench(script, text=text, name=f"g{HOSTILE}.dlm", size=(160, 40)) as stage:
        assert steered(stage) == ""
        await stage.ask("hello")
        await stage.answered(1)
        assert steered(stage) == ""
        await stage.pilot.press("f1")
        await stage.pilot.pause()
        assert steered(stage) == ""
        await stage.pilot.press("escape")
        stage.path.write_text(text + "more\n", "utf-8")
        await stage.pilot.press("ctrl+s")
        await stage.pilot.pause(0.1)
        assert steered(stage) == ""
        assert "␛" in stage.screen_text()
