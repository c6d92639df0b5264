"""Figures of the workbench in a real terminal: first paint, keystroke to paint, idle cost. Prints JSON.

    python -m benchmarks.tui_figures [--keys 150] [--rounds 2] [--against FOLDER]

The engine is the scripted one in a process of its own: it trains ten steps a second and streams a reply in
Markdown, thirty words a second: the figures are the front end's. `--against` measures another checkout
by turns with this one; of the medians of each round it prints the ratio here to there, and its 90 % interval
over the rounds. Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import pty
import select
import shutil
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections import defaultdict
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path

import psutil

from benchmarks.pairs import compared

ROOT = Path(__file__).resolve().parents[1]
ADAPTERS = ["runbook", "schema", "voice"]
END = b"\x1b[1;5F"
"""Ctrl+End: a person writes in the last section, not before the first line."""
TRAIN, STOP, CHAT, EDITOR, ESCAPE = b"\x1b[15~", b"\x1b[19~", b"\x1bc", b"\x1be", b"\x1b"
PROGRAM = (
    "import sys; from pathlib import Path; from dlm_tui.app import run_app;"
    "sys.exit(run_app(Path(sys.argv[1]), engine='tests.fakes.engine:create_engine'))"
)
REPLY = """\
## Rolling back

Run `ship rollback checkout`, which restores the previous image within ninety seconds. Then freeze further \
deploys, and write to the release channel what happened, since when, and who is on it.

1. Look at the dashboard of the service, not at the one of the cluster.
2. Compare the error rate with the hour before the deploy.
3. Decide within five minutes; a rollback that was not needed costs less than one that came late.

```python
def healthy(rates: list[float], before: float) -> bool:
    # Whether the last three samples are back where they were.
    return all(rate <= before * 1.05 for rate in rates[-3:])
```

> Nobody was ever blamed for a rollback.

"""
LETTERS = "ЖЩЮЯФЦЧШЭЪ"
"""They stand nowhere else on the screen, so that only their own echo is taken for it."""


class Terminal:
    """The workbench of the checkout at `root` in a pseudo-terminal of 160 × 48."""

    def __init__(self, document: Path, home: Path, script: dict[str, object], root: Path = ROOT) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(
                {
                    "TERM": "xterm-256color", "COLORTERM": "truecolor", "DLM_HOME": str(home),
                    "DLM_CONFIG_HOME": str(home / "config"),
                    "PYTHONPATH": os.pathsep.join((str(root), str(root / "core"))),
                    "DLM_FAKE_ENGINE": json.dumps(script),
                }
            )  # fmt: skip
            os.chdir(root)
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(document)])
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
        self.letters = 0
        self.closed = False

    def read(self, seconds: float) -> None:
        """Take what comes within `seconds`."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    os.read(self.fd, 1 << 16)
                except OSError:  # the other end is closed
                    return

    def wait_for(self, wanted: bytes, seconds: float = 30.0) -> None:
        """Wait until `wanted` was written to the terminal."""
        begun = time.perf_counter()
        got = b""
        while wanted not in got:
            left = seconds - (time.perf_counter() - begun)
            if left <= 0:
                raise TimeoutError(f"{wanted!r} was not shown")
            if select.select([self.fd], [], [], left)[0]:
                got = got[-4096:] + os.read(self.fd, 1 << 16)

    def send(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def keystrokes(self, count: int) -> list[float]:
        """Milliseconds from sending a letter to seeing a frame with it."""
        times = []
        for _ in range(count):
            letter = LETTERS[self.letters % len(LETTERS)].encode()
            self.letters += 1
            self.read(0.03)
            begun = time.perf_counter()
            self.send(letter)
            self.wait_for(letter, 5.0)
            times.append((time.perf_counter() - begun) * 1000)
        return times

    def ask(self) -> None:
        """Let a reply stream, and go back to the editor."""
        self.send(CHAT)
        self.read(0.5)
        self.send(b"go\r")
        self.wait_for(b"Rolling")
        self.send(EDITOR)
        self.read(0.5)

    def hush(self) -> None:
        """Stop the reply, and go back to the editor."""
        self.send(CHAT)
        self.read(0.5)
        self.send(ESCAPE)
        self.read(0.5)
        self.send(EDITOR)
        self.read(0.5)

    def close(self) -> None:
        """End it, as a person who closes the window does."""
        if self.closed:
            return
        self.closed = True
        process = psutil.Process(self.pid)
        process.terminate()
        patience = time.perf_counter() + 20
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            self.read(0.1)  # a terminal that is not read any more holds up whoever writes to it
            if time.perf_counter() > patience:
                process.kill()


class Bench:
    """One checkout under measurement: its terminals, and the times they took by situation."""

    def __init__(self, root: Path, home: Path, sample: Path) -> None:
        self.root, self.home = root, home
        home.mkdir()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.rounds: dict[str, list[float]] = defaultdict(list)
        self.figures: dict[str, object] = {}
        self.opened: list[Terminal] = []
        self.document = Path(shutil.copy(sample, home / "runbook.dlm"))
        self.script: dict[str, object] = {
            "adapters": ADAPTERS, "steps": 100_000, "epochs": 100, "step_delay": 0.1,
            "token_delay": 0.03, "reply": REPLY * 40,
        }  # fmt: skip

    def open(self, document: Path) -> Terminal:
        """A terminal in which the document stands and the engine is ready."""
        terminal = Terminal(document, self.home, self.script, self.root)
        self.opened.append(terminal)
        terminal.wait_for(document.name.encode())
        painted = (time.perf_counter() - terminal.started) * 1000
        terminal.wait_for(b"135m ready")  # the document has "ready" in it, too
        terminal.send(END)
        terminal.read(2.0)
        if document == self.document:
            self.took("first_paint", [painted])
        return terminal

    def took(self, situation: str, times: Sequence[float]) -> None:
        """Keep the times of one round, in milliseconds."""
        self.times[situation] += times
        self.rounds[situation].append(statistics.median(times))

    def idle(self, terminal: Terminal, seconds: float = 10.0) -> None:
        """What it takes while nothing happens."""
        process = psutil.Process(terminal.pid)
        before = process.cpu_times()
        terminal.read(seconds)
        after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        self.figures["idle_cpu_percent"] = round(100 * used / seconds, 2)

    def told(self) -> dict[str, object]:
        """All figures."""
        return {name: quantiles(times) for name, times in self.times.items()} | self.figures


def quantiles(times: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and worst, in milliseconds."""
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(sorted(times)[int(len(times) * 0.95)], 1),
        "max_ms": round(max(times), 1),
    }


def long_document(source: Path, target: Path, lines: int) -> Path:
    """The sample with its sections repeated until it has that many lines."""
    text = source.read_text(encoding="utf-8")
    head, _, body = text.partition("\n---\n")
    blocks = [body]
    while sum(block.count("\n") for block in blocks) < lines:
        blocks.append(body)
    target.write_text(head + "\n---\n" + "".join(blocks), encoding="utf-8")
    return target


SITUATIONS = {
    "keystroke_idle": (),
    "keystroke_streaming": ("reply",),
    "keystroke_training": ("run",),
    "keystroke_training_and_streaming": ("run", "reply"),
}
"""Situations in which keys are pressed, each with the work that goes on meanwhile."""


def by_turns(
    benches: Sequence[Bench],
    terminals: Sequence[Terminal],
    keys: int,
    rounds: int,
    situations: Sequence[str] = tuple(SITUATIONS),
) -> None:
    """Every situation, each checkout in turn, `rounds` times; the others idle meanwhile."""
    for situation, going_on in ((name, SITUATIONS[name]) for name in situations):
        for number in range(rounds):
            for bench, terminal in zip(benches, terminals, strict=True):
                print(f"{situation} {number + 1}/{rounds} {bench.root}", file=sys.stderr)
                if "run" in going_on:
                    terminal.send(TRAIN)
                    terminal.wait_for(b"ETA")
                    terminal.read(2.0)
                if "reply" in going_on:
                    terminal.ask()
                bench.took(situation, terminal.keystrokes(keys))
                if "reply" in going_on:
                    terminal.hush()
                if "run" in going_on:
                    terminal.send(STOP)
                    terminal.read(1.0)


def measure(benches: Sequence[Bench], keys: int, rounds: int, only: str | None = None) -> None:
    """All figures of all checkouts, or those of one situation."""
    if only is not None:
        by_turns(benches, [bench.open(bench.document) for bench in benches], keys, rounds, [only])
        return
    for _ in range(rounds):
        for bench in benches:
            bench.open(bench.document).close()
    terminals = []
    for bench in benches:
        terminals.append(bench.open(bench.document))
        bench.idle(terminals[-1])
    by_turns(benches, terminals, keys, rounds)
    for bench, terminal in zip(benches, terminals, strict=True):
        bench.figures["memory_mb"] = round(psutil.Process(terminal.pid).memory_info().rss / 2**20, 1)
        terminal.close()
    for bench in benches:
        big = bench.open(long_document(bench.document, bench.home / "big.dlm", 10_000))
        bench.took("keystroke_10000_lines", big.keystrokes(keys))
        big.close()


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=100, help="keystrokes a situation and round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=list(SITUATIONS), help="one situation alone")
    parser.add_argument("--against", type=Path, help="another checkout, measured by turns with this one")
    options = parser.parse_args()
    roots = {"here": ROOT}
    if options.against is not None:
        roots["there"] = options.against.resolve()
    with tempfile.TemporaryDirectory() as folder:
        # An older checkout reads its own sample, and so does this one.
        sample = (options.against or ROOT) / "sample_docs" / "runbook.dlm"
        benches = [Bench(root, Path(folder) / name, sample) for name, root in roots.items()]
        try:
            measure(benches, options.keys, options.rounds, options.only)
        finally:
            for terminal in (terminal for bench in benches for terminal in bench.opened):
                terminal.close()
        told: dict[str, object] = {name: bench.told() for name, bench in zip(roots, benches, strict=True)}
        if options.against is not None:
            here, there = benches
            told["here_to_there"] = {
                situation: compared(rounds, there.rounds[situation])
                for situation, rounds in here.rounds.items()
                if len(rounds) > 1
            }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
