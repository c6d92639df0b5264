"""Figures of the workbench in a real terminal: first paint, keystroke to paint, idle cost. Prints JSON.

    python tests/bench/tui_figures.py [--keys 150]

The engine is the scripted one in a process of its own: it trains ten steps a second and streams a reply, so
that the figures are the front end's. Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import pty
import select
import statistics
import struct
import sys
import tempfile
import termios
import time
from fcntl import ioctl
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = ["runbook", "schema", "voice"]
END = b"\x1b[1;5F"
"""Ctrl+End: a person writes in the last section, not before the first line."""
PROGRAM = (
    "import sys; from pathlib import Path; from dlm_tui.app import run_app;"
    "sys.exit(run_app(Path(sys.argv[1]), engine='tests.fakes.engine:create_engine'))"
)


class Terminal:
    """The workbench in a pseudo-terminal of 160 × 48."""

    def __init__(self, document: Path, home: Path, script: dict[str, object]) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(
                {
                    "TERM": "xterm-256color", "COLORTERM": "truecolor", "DLM_HOME": str(home),
                    "DLM_CONFIG_HOME": str(home / "config"), "PYTHONPATH": str(ROOT),
                    "DLM_FAKE_ENGINE": json.dumps(script),
                }
            )  # fmt: skip
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM, str(document)])
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 48, 160, 0, 0))
        self.seen = b""

    def read(self, seconds: float) -> bytes:
        """What comes within `seconds`."""
        got = b""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    got += os.read(self.fd, 1 << 16)
                except OSError:
                    break
        self.seen += got
        return got

    def wait_for(self, wanted: bytes, seconds: float = 30.0) -> float:
        """Seconds until `wanted` was written to the terminal."""
        begun = time.perf_counter()
        got = b""
        while wanted not in got:
            left = seconds - (time.perf_counter() - begun)
            if left <= 0:
                raise TimeoutError(f"{wanted!r} was not shown")
            if select.select([self.fd], [], [], left)[0]:
                got = got[-4096:] + os.read(self.fd, 1 << 16)
        return time.perf_counter() - begun

    def send(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def keystrokes(self, count: int) -> list[float]:
        """Milliseconds from sending a letter to seeing a frame with it."""
        times = []
        for number in range(count):
            # Letters that stand nowhere else on the screen, so that only their own echo is taken for it.
            letter = "ЖЩЮЯФЦЧШЭЪ"[number % 10].encode()
            self.read(0.03)
            begun = time.perf_counter()
            self.send(letter)
            self.wait_for(letter, 5.0)
            times.append((time.perf_counter() - begun) * 1000)
        return times

    def close(self) -> None:
        psutil.Process(self.pid).terminate()
        self.read(2.0)
        os.waitpid(self.pid, 0)


def quantiles(times: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(sorted(times)[int(len(times) * 0.95)], 1),
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


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=150)
    options = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        sample = ROOT / "sample_docs" / "runbook.dlm"
        document = home / "runbook.dlm"
        document.write_text(sample.read_text(encoding="utf-8"), encoding="utf-8")
        script: dict[str, object] = {
            "adapters": ADAPTERS, "steps": 100_000, "epochs": 100, "step_delay": 0.1,
            "token_delay": 0.03, "reply": " ".join(["word"] * 3000),
        }  # fmt: skip
        paints = []
        for _ in range(5):
            terminal = Terminal(document, home, script)
            terminal.wait_for(b"runbook.dlm")
            paints.append(time.perf_counter() - terminal.started)
            terminal.wait_for(b"ready")
            terminal.close()
        figures["first_paint_s"] = round(statistics.median(paints), 3)

        terminal = Terminal(document, home, script)
        terminal.wait_for(b"ready")
        terminal.send(END)
        terminal.read(2.0)
        process = psutil.Process(terminal.pid)
        before, begun = process.cpu_times(), time.perf_counter()
        terminal.read(10.0)
        after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        figures["idle_cpu_percent"] = round(100 * used / (time.perf_counter() - begun), 2)
        figures["keystroke_idle"] = quantiles(terminal.keystrokes(options.keys))
        terminal.send(b"\x1b[15~")  # F5
        terminal.wait_for(b"ETA")
        terminal.read(2.0)
        figures["keystroke_training"] = quantiles(terminal.keystrokes(options.keys))
        terminal.send(b"\x1bc")
        terminal.read(0.5)
        terminal.send(b"go\r")
        terminal.wait_for(b"word")
        terminal.send(b"\x1be")
        terminal.read(0.5)
        figures["keystroke_training_and_streaming"] = quantiles(terminal.keystrokes(options.keys))
        figures["memory_mb"] = round(process.memory_info().rss / 2**20, 1)
        terminal.close()

        big = long_document(sample, home / "big.dlm", 10_000)
        terminal = Terminal(big, home, script)
        terminal.wait_for(b"ready")
        terminal.send(END)
        terminal.read(3.0)
        figures["keystroke_10000_lines"] = quantiles(terminal.keystrokes(options.keys))
        terminal.close()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
