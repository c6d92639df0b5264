"""All injected faults, part after part, each in a process of its own; the figures as JSON.

python -m tests.faults [--stride N]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

PARTS = ("store", "pack", "export", "host", "file")
ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stride", type=int, default=1, help="take every N-th place only")
    stride = str(parser.parse_args().stride)
    figures = {}
    for part in PARTS:
        command = [sys.executable, "-m", f"tests.faults.{part}_faults", "--stride", stride]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
        figures[part] = json.loads(ended.stdout)
    total = {key: sum(part[key] for part in figures.values()) for key in ("faults", "lost")}
    print(json.dumps({**total, "parts": figures}, indent=2))
    return 1 if total["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
