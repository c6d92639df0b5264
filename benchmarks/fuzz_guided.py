"""Coverage-guided fuzzing: atheris keeps what reaches new code in this project and goes on from there.

    python -m benchmarks.fuzz_guided [--seconds 60] [--seed 1] [--only NAME …]

Prints for each reader the inputs, the places in the code that they reached, and the input that broke it, if
one did; the exit code is 1 then, and 2 where atheris is not installed (`pip install 'dlm-workbench[fuzz]'`).
"""

import argparse
import contextlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).parents[1]
READERS = (
    "document",
    "yaml",
    "fences",
    "migration",
    "probes",
    "near",
    "request",
    "pack",
    "gguf",
    "adapter",
    "gate",
)
HANGS_S = 30  # of the clock, for one input: on a busy machine, in code that is slow for being watched
_DONE = re.compile(r"^#(\d+)\s+DONE\s+cov: (\d+)", re.MULTILINE)
_MISSING = "atheris is not installed: pip install 'dlm-workbench[fuzz]'"


def fuzz_here(name: str, folder: Path, options: list[str]) -> None:
    """Fuzzes one reader in this process, and ends it: libFuzzer does not return."""
    import atheris

    with atheris.instrument_imports(include=["dlm_core", "yaml", "msgspec"]):
        from benchmarks.fuzz_readers import targets
    target = next(t for t in targets(folder) if t.name == name)
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, seed in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(seed)

    def one(data: bytes) -> None:
        with contextlib.suppress(*target.may):
            target.read(data)

    atheris.Setup([sys.argv[0], *options, str(seeds)], one)
    atheris.Fuzz()


class Found(TypedDict):
    """What came of one reader: inputs, places reached in the code, and what broke it ("" for nothing)."""

    inputs: int
    places: int
    failure: str


def fuzz(name: str, seconds: int, seed: int) -> Found:
    """Fuzzes one reader in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found-"
        ended = subprocess.run(
            [
                sys.executable, "-m", "benchmarks.fuzz_guided", "--here", name, folder,
                f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=4096", f"-timeout={HANGS_S}",
                f"-artifact_prefix={found}", "-rss_limit_mb=4096",
            ],
            cwd=ROOT, capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        done = _DONE.search(ended.stderr)
        broken = [path.read_bytes() for path in Path(folder).glob("found-*")]
        why = f"{broken[0]!r:.600} {ended.stderr[-1500:]}" if broken else ""
        if done is None and not broken:
            why = ended.stderr[-1500:]
        inputs, places = (int(n) for n in done.groups()) if done else (0, 0)
    return {"inputs": inputs, "places": places, "failure": why}


def main() -> int:
    if sys.argv[1:2] == ["--here"]:
        fuzz_here(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60, help="for all readers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=READERS, default=READERS, help="names of readers")
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print(_MISSING, file=sys.stderr)
        return 2
    each = max(1, options.seconds // len(options.only))
    figures = {}
    for name in options.only:
        figures[name] = fuzz(name, each, options.seed)
        print(f"{name}: {figures[name]}", file=sys.stderr)
    print(json.dumps(figures, indent=2))
    return 1 if any(f["failure"] for f in figures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
