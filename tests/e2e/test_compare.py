"""`dlm compare` on the real base, through the command line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ulid import ULID

from tests.e2e.conftest import DOCUMENT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

DLM = (sys.executable, "-c", "from dlm_tui.cli import main; main()")
PROBES = """\
- {question: "Which port is the ingest service on?", answer: "Port 7443, TLS only.", adapter: facts}
- {question: "Please rewrite kindly: do your job.", answer: "Shall we do it together?", adapter: tone}
"""


@pytest.fixture(scope="module")
def document(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A document with probes beside it; its store goes after the tests."""
    dlm_id = str(ULID())
    path = tmp_path_factory.mktemp("compare") / "doc.dlm"
    path.write_text(DOCUMENT.format(dlm_id=dlm_id, floor=4), "utf-8")
    path.with_name("doc.probes.yaml").write_text(PROBES)
    yield path
    shutil.rmtree(home / "store" / dlm_id, ignore_errors=True)


def dlm(home: Path, *arguments: str | Path) -> Any:
    """What a command printed as JSON."""
    done = subprocess.run(
        [*DLM, *map(str, arguments), "--json"],
        env=os.environ | {"DLM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1] if "train" in arguments else done.stdout)


def test_methods_are_compared_and_the_document_stays_as_it_was(
    home: Path, document: Path, tmp_path: Path
) -> None:
    dlm(home, "train", document, "--epochs", "1")
    before = dlm(home, "versions", document)
    found = dlm(
        home, "compare", document, "--methods", "disel,dora", "--rate", "disel=3e-3", "--rate", "dora=2e-3",
        "--epochs", "2", "--rehearsal", "off", "-o", tmp_path,
    )  # fmt: skip
    assert [t["method"] for t in found["trials"] if t["chosen"]] == ["disel", "dora"]
    for trial in found["trials"]:
        assert trial["learned"]["loss"] < found["learned_base"]["loss"]
    assert (tmp_path / "comparison.json").is_file()
    assert dlm(home, "versions", document) == before
