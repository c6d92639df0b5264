"""Feeds damaged and hostile input to everything that reads input from elsewhere, and counts what comes of it.

    python -m benchmarks.fuzz [--seconds 60] [--seed 1] [--only NAME …] [--total FILE]

Each input is a real one, or one made up from the format's parts, with a few edits. Whatever it is, the reader
has to give a value or one of its own errors, soon. Anything else is printed with what it was given, and the
exit code is 1. `--total` adds up the counts of several runs. `benchmarks.fuzz_guided` looks for inputs that
reach new code.
"""

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.fuzz_readers import Target, targets

_IN_MEMORY = Path("/dev/shm")
SLOW_S = 1.0  # processor time that no single small input may take


@dataclass
class Count:
    """What one reader was given: inputs, those it took, seconds in all, and the slowest."""

    inputs: int = 0
    taken: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest_bytes: int = 0
    failures: list[str] = field(default_factory=list)


def drive(target: Target, seconds: float, chance: random.Random, count: Count, most: int = 2**62) -> None:
    """Feeds one reader for so long, or until it was given so many inputs."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and count.inputs < most:
        for _ in range(20):
            data = target.input(chance)
            began = time.process_time()
            try:
                count.taken += target.read(data)
            except target.may:
                pass
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                sentence = f"{error!r:.300} at {Path(where.filename).name}:{where.lineno}: {data[:400]!r}"
                if len(count.failures) < 20:
                    count.failures.append(sentence)
            took = time.process_time() - began
            count.inputs += 1
            count.seconds += took
            if took > count.slowest_s:
                count.slowest_s, count.slowest_bytes = took, len(data)
            if took > SLOW_S and len(count.failures) < 20:
                count.failures.append(f"{took:.1f} s for {len(data)} bytes: {data[:200]!r}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for all readers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of readers")
    parser.add_argument("--total", type=Path, help="a file that keeps the counts of all pieces")
    options = parser.parse_args()
    counts: dict[str, Count] = {}
    if options.total and options.total.exists():
        counts = {name: Count(**c) for name, c in json.loads(options.total.read_text()).items()}
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
            chosen = [t for t in targets(Path(folder)) if not options.only or t.name in options.only]
        shares = sum(target.share for target in chosen)
        for target in chosen:
            chance = random.Random(f"{options.seed} {target.name}")
            count = counts.setdefault(target.name, Count())
            drive(target, options.seconds * target.share / shares, chance, count)
    if options.total:
        options.total.write_text(json.dumps({name: asdict(c) for name, c in counts.items()}))
    failures = [f"{name}: {sentence}" for name, count in counts.items() for sentence in count.failures]
    figures = {name: {k: v for k, v in asdict(c).items() if k != "failures"} for name, c in counts.items()}
    total = sum(count.inputs for count in counts.values())
    slowest = max((count.slowest_s, name) for name, count in counts.items())
    print(
        json.dumps({"inputs": total, "slowest": slowest, "failures": failures, "readers": figures}, indent=2)
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
