"""Runs the REPL on the fake engine: `python -m tests.tui.repl.drive FILE [--json] [--watch]`."""

import sys
from pathlib import Path

from dlm_core.requests import RoutingChoice, Sampling
from dlm_tui.repl.run import run_repl

if __name__ == "__main__":
    sys.exit(
        run_repl(
            Path(sys.argv[1]),
            choice=RoutingChoice(),
            sampling=Sampling(),
            system=None,
            as_json="--json" in sys.argv,
            watch="--watch" in sys.argv,
            engine="tests.fakes.engine:create_engine",
        )
    )
