"""How the engine's events are shown: a live bar on a terminal, plain lines elsewhere, or JSON on stdout."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dlm_core.events import BaseProgress, Event, GateStep, Log, Ready, RunEnded, TrainStep, Working
from dlm_core.safetext import visible
from dlm_tui.session.output import as_json
from dlm_tui.session.wording import duration, lines, step_figures

STOPPING = "stopping at the next step; Ctrl-C again leaves at once"


class View(ABC):
    """Shows events until it is closed."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show one event."""

    def stopping(self) -> None:
        """Say that a stop was asked for. Called from a signal handler, hence the unbuffered write."""
        os.write(2, f"\n{STOPPING}\n".encode())

    def abandon(self) -> None:
        """Leave the terminal in order though the process is about to be killed. Called as `stopping` is."""
        return

    @abstractmethod
    def close(self) -> None:
        """Write out what is held back, and leave the terminal in order."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Silence(View):
    """Shows nothing: of several processes that train together the first one speaks."""

    def show(self, event: Event) -> None:
        return

    def stopping(self) -> None:
        return

    def close(self) -> None:
        return


class JsonLines(View):
    """Every event as a line of JSON, flushed at once."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, event: Event) -> None:
        self._out.write(as_json(event, encoding=self._out.encoding) + "\n")
        self._out.flush()

    def close(self) -> None:
        self._out.flush()


class PlainLines(View):
    """Sentences on stderr, for logs and pipes; steps are mentioned at most every `every` seconds."""

    def __init__(
        self,
        console: Console,
        *,
        quiet: bool = False,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._every = every
        self._clock = clock
        self._next = clock() + every

    def show(self, event: Event) -> None:
        _print(self._console, event, self._quiet)
        moved = _moved(event)
        if moved and moved.share is not None and self._clock() >= self._next:
            self._next = self._clock() + self._every
            at = f"  {moved.label}  {moved.share:.0%}  {moved.left}  {moved.figures}".rstrip()
            self._console.print(Text(at), soft_wrap=True)

    def close(self) -> None:
        self._console.file.flush()


class LiveBar(View):
    """A bar that moves with the steps, its figures below it, and sentences scrolling above."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._moved: _Moved | None = None
        self._stopping = False
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def show(self, event: Event) -> None:
        if _ends(event):
            self.close()
        _print(self._console, event, self._quiet)
        if not _ends(event):
            self._moved = _moved(event) or self._moved
        if self._moved and not self._live.is_started:
            self._live.start()

    def stopping(self) -> None:
        if self._live.is_started:
            self._stopping = True  # the bar's own thread shows it; a handler must not draw
        else:
            super().stopping()

    def abandon(self) -> None:
        if self._live.is_started:
            os.write(2, b"\x1b[?25h\n")  # the bar hides the cursor

    def close(self) -> None:
        self._moved = None
        if self._live.is_started:
            self._live.stop()

    def _render(self) -> RenderableType:
        if self._moved is None:
            return Text("")
        moved = self._moved
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(no_wrap=True)
        row.add_column(ratio=1)
        row.add_column(no_wrap=True, justify="right")
        known = moved.share is not None
        bar = ProgressBar(total=1.0, completed=moved.share or 0.0, pulse=not known)
        row.add_row(
            Text(moved.label), bar, Text(f"{moved.share:4.0%}  {moved.left}" if known else moved.left)
        )
        figures = STOPPING if self._stopping else moved.figures
        return Group(row, Text(figures, no_wrap=True, overflow="ellipsis")) if figures else row


def open_view(*, quiet: bool = False) -> View:
    """The view on stderr that suits what stderr is.

    `quiet` leaves out sentences about what went as usual: a base in the cache, and the end of loading.
    """
    console = Console(stderr=True, highlight=False)
    live = console.is_terminal and not console.is_dumb_terminal
    return LiveBar(console, quiet=quiet) if live else PlainLines(console, quiet=quiet)


@dataclass(frozen=True)
class _Moved:
    """How far something has come: `share` in 0..1 or None where nobody knows, and what is left in words."""

    label: str
    share: float | None
    left: str
    figures: str


def _moved(event: Event) -> _Moved | None:
    match event:
        case TrainStep():
            label = "training" if event.phase == "sft" else "preferences"
            return _Moved(
                f"{label}, epoch {event.epoch} of {event.epochs}",
                event.step / max(1, event.steps),
                f"ETA {duration(event.eta_s)}",
                step_figures(event),
            )
        case GateStep():
            figures = f"loss {event.loss:.3f}  entropy {event.entropy:.2f}  accuracy {event.accuracy:.0%}"
            return _Moved("adapter gate", event.step / max(1, event.steps), "", figures)
        case Working():
            left = f"ETA {duration(event.eta_s)}" if event.eta_s is not None else ""
            share = event.done / max(1, event.total)
            return _Moved(visible(event.label), share, left, visible(event.figures))
        case BaseProgress(outcome="found"):
            return _Moved(visible(f"loading {event.base}"), None, "", "")
        case BaseProgress(outcome="trying") if not event.total_bytes:
            return _Moved(visible(f"looking for {event.base} ({event.source})"), None, "", "")
        case BaseProgress(outcome="trying"):
            size = f"{event.done_bytes / 1e6:,.0f} of {event.total_bytes / 1e6:,.0f} MB"
            label = visible(f"fetching {event.base} ({event.source})")
            return _Moved(label, event.done_bytes / event.total_bytes, size, visible(event.detail))
        case _:
            return None


def _ends(event: Event) -> bool:
    loaded = isinstance(event, BaseProgress) and event.outcome == "loaded"
    counted = isinstance(event, Working) and event.done >= event.total
    return loaded or counted or isinstance(event, Ready | RunEnded)


def _print(console: Console, event: Event, quiet: bool) -> None:
    at_hand = isinstance(event, BaseProgress) and event.source in ("cache", "path")
    if quiet and (at_hand or isinstance(event, Ready)):
        return
    style = "yellow" if isinstance(event, Log) and event.level != "info" else ""
    for line in lines(event):
        console.print(Text(line, style=style), soft_wrap=True)
