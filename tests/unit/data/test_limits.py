"""What a hundred thousand rows cost: they are counted to the end, and memory stays that of one document."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlm_core.data.importing import Wanted, prepare
from dlm_core.errors import Stopped

PROGRAM = """
import resource, sys
from pathlib import Path
from dlm_core.data.importing import Wanted, prepare
from dlm_core.errors import DataError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    prepare([sys.argv[1]], Path(sys.argv[1]).with_name("new.dlm"), None, Wanted())
except DataError as error:
    assert "100,000 rows were read" in error.message, error.message
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_counted_and_refused_in_bounded_time_and_memory(tmp_path: Path) -> None:
    words = " ".join(f"word{n}" for n in range(80))
    with (tmp_path / "rows.jsonl").open("w") as file:
        for n in range(100_000):
            said = [("user", f"Question {n} {words}?"), ("assistant", f"Answer {n} {words}.")]
            file.write(json.dumps({"messages": [{"role": r, "content": c} for r, c in said]}) + "\n")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "rows.jsonl")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - started < 30
    assert int(done.stdout) < 300_000  # KiB; the file has 150 MB


def test_reading_ends_at_the_next_row_when_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,answer\n" + "Who?,Me.\n" * 50)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(Stopped):
        prepare([str(path)], tmp_path / "new.dlm", None, Wanted(), stop=stop)
    assert len(asked) == 3
