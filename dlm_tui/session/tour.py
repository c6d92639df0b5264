"""The tour: the loop of write, train, ask, correct and see it right, on a small document of its own."""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ulid import ULID

from dlm_core.document.parse import load
from dlm_core.errors import DlmError
from dlm_core.events import Event, Reply, RunEnded
from dlm_core.store import atomic
from dlm_core.store.paths import StorePaths, dlm_home

DOCUMENT = """\
---
dlm_id: {identity}
dlm_version: 15
base_model: smollm2-135m
training:
  adapters:
    shop: {{}}
---

::instruction#shop::
### Q
When does the shop open?
### Q
What are your opening hours?

### A
We open at nine, every day but Sunday.

::instruction#shop::
### Q
Where is the shop?

### A
In Mill Lane, behind the old post office.

::instruction#shop::
### Q
Who runs the shop?

### A
Ada and Grace do, since 1998.
"""


@dataclass(frozen=True)
class Step:
    """One step: its name, what is to be done, and the actions whose keys the words name, `{0}` the first."""

    name: str
    words: str
    actions: Sequence[str] = ()


STEPS: tuple[Step, ...] = (
    Step(
        "Write",
        "A document is questions and answers. Change one answer, say, when the shop opens. {0} saves it.",
        ("workbench.save",),
    ),
    Step(
        "Train",
        "{0} trains what changed; {1} goes to the curves. The first run takes a minute or so.",
        ("workbench.train", "workbench.focus_dashboard"),
    ),
    Step(
        "Ask",
        "{0} goes to the chat. Ask in your own words when the shop opens; Enter sends.",
        ("workbench.focus_chat",),
    ),
    Step(
        "Correct",
        "Ask what it cannot know: “Do you sell maps?” Then {0} says what the reply should have been: "
        "choose another answer, and type it.",
        ("chat.teach",),
    ),
    Step("See it right", "The answer is in the document and is trained. Then the question is asked again."),
)
DONE = Step("That is the loop", "Write, train, ask, correct. {0} lists every key.", ("workbench.help",))


class Progress:
    """How far the tour is; `step` counts from 0, `len(STEPS)` is its end."""

    def __init__(self, path: Path) -> None:
        self.step = 0
        self._path = path
        self._before = path.read_bytes()

    @property
    def now(self) -> Step:
        """The step that is to be done."""
        return STEPS[self.step] if self.step < len(STEPS) else DONE

    @property
    def finished(self) -> bool:
        """Whether every step was done."""
        return self.step == len(STEPS)

    def look(self, *, correcting: bool) -> bool:
        """Look whether the document was changed, and whether a correction is on its way; True moves on."""
        name = self.now.name
        if name == "Write":
            with contextlib.suppress(OSError):
                return self._advance(self._path.read_bytes() != self._before)
        return self._advance(name == "Correct" and correcting)

    def heard(self, event: Event) -> bool:
        """Take note of what the engine says; True moves on."""
        match event:
            case RunEnded(status="done"):
                return self._advance(self.now.name == "Train")
            case Reply():
                return self._advance(self.now.name in ("Ask", "See it right"))
        return False

    def _advance(self, done: bool) -> bool:
        self.step += done
        return done


def begin(folder: Path) -> Path:
    """A fresh document for the tour, in `folder`; what an earlier tour trained goes.

    Raises StoreError where it cannot be written.
    """
    path = folder / "shop.dlm"
    with contextlib.suppress(DlmError, OSError):
        shutil.rmtree(StorePaths(dlm_home(), load(path).dlm_id).root)
    atomic.write_text(path, DOCUMENT.format(identity=ULID()))
    return path
