"""How quick the REPL feels: time to the prompt; from a key to its echo, idle, while a reply streams and while
training runs; from the last key to the bars.

    python -m benchmarks.repl_latency                    on the fake engine: what the front end itself costs
    python -m benchmarks.repl_latency --document F.dlm   on the real engine, which competes for the processor

    python -m benchmarks.repl_latency --against FOLDER   by turns with another checkout, on the fake engine

Prints one JSON object; times in milliseconds. By turns, each round is a REPL of its own in each checkout; of
the medians it prints the ratio here to there, and its 90 % interval over the rounds.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pexpect
import pyte

from benchmarks.pairs import compared
from dlm_core.store.paths import dlm_home

KEY = "|"
"""A key whose echo is found in the output, for nothing else writes it."""
ROOT = Path(__file__).parents[1]


class Probe:
    """A REPL in a pseudo-terminal, watched for the moment something appears on it."""

    def __init__(self, arguments: list[str], environment: dict[str, str], root: Path = ROOT) -> None:
        self.begun = time.perf_counter()
        self.screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.process = pexpect.spawn(
            arguments[0], arguments[1:], env=environment, cwd=str(root), dimensions=(24, 80)
        )
        self.process.delaybeforesend = None

    def wait_for(self, pattern: str, timeout: float = 60) -> None:
        """Read until the screen matches."""
        compiled = re.compile(pattern)
        deadline = time.perf_counter() + timeout
        while not compiled.search("\n".join(self.screen.display)):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{pattern} did not come:\n" + "\n".join(self.screen.display))
            self._read(1)

    def press(self, key: str) -> float:
        """Milliseconds from a key to its echo."""
        self.drain(0)
        begun = time.perf_counter()
        self.process.send(key)
        while key.encode() not in self._read(10):
            pass
        return (time.perf_counter() - begun) * 1000

    def drain(self, seconds: float) -> None:
        """Take what is written for a while, as a terminal does."""
        deadline = time.perf_counter() + seconds
        while self._read(max(0, deadline - time.perf_counter())):
            pass

    def end(self) -> None:
        """End the program; its engine follows by itself."""
        self.process.kill(signal.SIGKILL)
        self.process.wait()
        self.process.close()

    def _read(self, timeout: float) -> bytes:
        try:
            data: bytes = self.process.read_nonblocking(1 << 16, timeout)
        except pexpect.TIMEOUT:
            return b""
        self._stream.feed(data)
        return data


def typed(probe: Probe, count: int, rhythm: random.Random) -> list[float]:
    """Milliseconds from each of `count` keys to its echo."""
    times = []
    for _ in range(count):
        probe.drain(rhythm.uniform(0.06, 0.16))
        times.append(probe.press(KEY))
    return times


def keystrokes(probe: Probe, count: int, rhythm: random.Random) -> dict[str, float]:
    """Type as a person does, 60 to 160 ms apart."""
    times = sorted(typed(probe, count, rhythm))
    return {
        "n": count,
        "p50": round(statistics.median(times), 1),
        "p95": round(times[int(count * 0.95) - 1], 1),
        "max": round(times[-1], 1),
    }


def to_bars(probe: Probe) -> list[float]:
    """Milliseconds from the last key of a few words to the bars, after the line was emptied."""
    probe.process.send("\x03")
    probe.drain(0.5)
    times = []
    for text in ("what", "how", "please"):
        probe.process.send(text)
        begun = time.perf_counter()
        probe.wait_for(r"[01]\.\d\d")
        times.append((time.perf_counter() - begun) * 1000)
        probe.process.send("\x03")
        probe.drain(0.4)
    return times


def train(probe: Probe) -> None:
    """Stop the reply that streams, and let a training begin."""
    probe.process.send("\x03")
    probe.wait_for("stopped here")
    probe.process.send("\x03")
    probe.drain(0.5)
    probe.process.send("/train --fresh\r")
    probe.wait_for(r"step \d", 120)


def prompt_visible(arguments: list[str], environment: dict[str, str], count: int) -> dict[str, float]:
    """From the start of the process to the prompt."""
    times = []
    for _ in range(count):
        probe = Probe(arguments, environment)
        probe.wait_for("❯")
        times.append((time.perf_counter() - probe.begun) * 1000)
        probe.end()
    return {"n": count, "p50": round(statistics.median(times)), "max": round(max(times))}


def measure(arguments: list[str], environment: dict[str, str], count: int, ready: str) -> dict[str, object]:
    """All figures of one engine."""
    rhythm = random.Random(1)
    figures: dict[str, object] = {"prompt_visible_ms": prompt_visible(arguments, environment, 5)}
    probe = Probe(arguments, environment)
    probe.wait_for(ready)
    figures["echo_idle_ms"] = keystrokes(probe, count, rhythm)
    figures["last_key_to_bars_ms"] = round(max(to_bars(probe)))

    probe.process.send("/params max_tokens=2000 temperature=0.9 seed=1\r")
    probe.drain(0.3)
    probe.process.send("Write a long story about a lighthouse and its keeper.\r")
    probe.wait_for("openness")
    probe.process.send("/base\r")  # what was taught is short: the base alone goes on for long
    probe.wait_for("replying")
    figures["echo_while_a_reply_streams_ms"] = keystrokes(probe, count, rhythm)
    train(probe)
    figures["echo_while_training_ms"] = keystrokes(probe, count, rhythm)
    probe.end()
    return figures


def one_round(root: Path, home: Path, count: int, rhythm: random.Random) -> dict[str, float]:
    """The medians of one REPL of the checkout at `root`, on the scripted engine."""
    arguments, environment = scripted(home, root)
    probe = Probe(arguments, environment, root)
    probe.wait_for("❯")
    found = {"prompt_visible": (time.perf_counter() - probe.begun) * 1000}
    probe.wait_for("fake-135m v0001")
    found["echo_idle"] = statistics.median(typed(probe, count, rhythm))
    found["key_to_bars"] = statistics.median(to_bars(probe))
    probe.process.send("Write a long story.\r")
    probe.wait_for("replying")
    found["echo_streaming"] = statistics.median(typed(probe, count, rhythm))
    train(probe)
    found["echo_training"] = statistics.median(typed(probe, count, rhythm))
    probe.end()
    return found


def by_turns(other: Path, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """This checkout and the `other`, by turns."""
    rhythm = random.Random(1)
    here: list[dict[str, float]] = []
    there: list[dict[str, float]] = []
    for number in range(rounds):
        turns = [(here, ROOT), (there, other)]
        for found, root in turns if number % 2 else reversed(turns):
            print(f"round {number + 1}/{rounds} {root}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                found.append(one_round(root, Path(folder), count, rhythm))
    return {name: compared([f[name] for f in here], [f[name] for f in there]) for name in here[0]}


def second_question(document: Path, environment: dict[str, str]) -> dict[str, float]:
    """Seconds to the first token of each of three questions; the later ones have 128 tokens before them."""
    first = " ".join(["Our lighthouse keeper counts every ship that passes at night."] * 6)
    command = [
        str(Path(sys.executable).with_name("dlm")),
        "repl",
        str(document),
        "--max-tokens",
        "64",
        "--json",
    ]
    asked = f"{first}\nHow many ships were there?\nAnd then?\n"
    done = subprocess.run(command, input=asked, env=environment, capture_output=True, text=True, check=True)
    turns = [json.loads(line) for line in done.stdout.splitlines()]
    return {f"turn {n}": turn["timing"]["first_token_s"] for n, turn in enumerate(turns, 1)}


def copied_home(copy: Path) -> Path:
    """A home with the same bases and a copy of everything trained, which this bench may train anew."""
    home = dlm_home()
    shutil.copytree(home / "store", copy / "store")
    (copy / "cache").symlink_to(home / "cache")
    return copy


def inherited() -> dict[str, str]:
    """The environment of this process, for those that are watched, with a terminal of their own."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TMUX")}
    return {**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}


def scripted(home: Path, root: Path = ROOT) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a REPL of the checkout at `root`, on the scripted engine."""
    from tests.tui.repl.terminal import DOCUMENT

    path = home / "doc.dlm"
    path.write_text(DOCUMENT)
    script = {
        "adapters": ["knowledge", "tone"],
        "reply": " ".join(f"word{n}" for n in range(5000)),
        "token_delay": 0.02,
        "steps": 5000,
        "step_delay": 0.1,
    }
    environment = inherited() | {
        "PYTHONPATH": os.pathsep.join((str(root), str(root / "core"))),
        "DLM_HOME": str(home), "DLM_CONFIG_HOME": str(home / "config"),
        "DLM_FAKE_ENGINE": json.dumps(script),
    }  # fmt: skip
    return [sys.executable, "-m", "tests.tui.repl.drive", str(path)], environment


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--document", type=Path, help="measure on the real engine, with a copy of this document"
    )
    parser.add_argument("--count", type=int, default=60, help="keys a situation")
    parser.add_argument("--against", type=Path, help="another checkout, measured by turns with this one")
    parser.add_argument("--rounds", type=int, default=20, help="by turns")
    options = parser.parse_args()
    if options.against is not None:
        print(json.dumps(by_turns(options.against.resolve(), options.count, options.rounds), indent=2))
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if options.document is not None:
            path = home / options.document.name
            shutil.copy(options.document, path)
            environment = inherited() | {
                "PYTHONPATH": str(ROOT), "DLM_HOME": str(copied_home(home / "home")),
            }  # fmt: skip
            figures = measure(
                [str(Path(sys.executable).with_name("dlm")), "repl", str(path)],
                environment,
                options.count,
                r"\^G .* g\d+",
            )
            figures["first_token_s"] = second_question(path, environment)
        else:
            arguments, environment = scripted(home)
            figures = measure(arguments, environment, options.count, "fake-135m v0001")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
