"""What every part of the harness counts and prints, and the damage that a file at rest can take."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path


@dataclass
class Tally:
    """Injected faults by kind, and a sentence for everything that was lost."""

    faults: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.lost.append(sentence)


def report(run: Callable[[int], Tally], description: str | None) -> int:
    """The program of one part: every `--stride`-th place is spoilt, the figures are printed as JSON."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stride", type=int, default=1, help="take every N-th place only")
    tally = run(parser.parse_args().stride)
    figures = {
        "faults": tally.faults.total(),
        "by_kind": dict(tally.faults),
        "lost": len(tally.lost),
        "what": tally.lost,
    }
    json.dump(figures, sys.stdout, indent=2)
    print()
    return 1 if tally.lost else 0


def damages(size: int) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Ways to damage a file of `size` bytes: a label that begins with the kind, and what does it."""
    yield "removed", Path.unlink
    for keep in sorted({0, 1, size // 2, size - 1} - {-1}):
        yield f"truncated to {keep}", partial(os.truncate, length=keep)
    shares = (0, 0.13, 0.29, 0.5, 0.71, 0.87, 1) if size else ()
    for place in sorted({round(share * (size - 1)) for share in shares}):
        yield f"flipped at {place}", partial(_flip, place=place)


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << (place % 8)
    path.write_bytes(data)
