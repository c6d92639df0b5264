"""`dlm eval` on the real base, through the command line, on a short training."""

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
    path = tmp_path_factory.mktemp("eval") / "doc.dlm"
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


def test_a_training_shows_in_every_figure(home: Path, document: Path) -> None:
    dlm(home, "train", document)
    found = dlm(home, "eval", document)
    assert (found["questions"], found["probes"]) == (8, 2)
    assert found["recall"]["verbatim"] > found["recall"]["verbatim_base"] == 0.0
    assert found["recall"]["paraphrase_f1"] > found["recall"]["paraphrase_f1_base"]
    assert found["routing"]["accuracy"] == 1.0
    kept = found["retention"]
    assert 0 < kept["kl"] < 1 and kept["perplexity"] < 1.5 * kept["perplexity_base"]
    for figures in found["openness"].values():
        assert figures["inside"] > figures["outside"], "ranks open for what the document is about"
    assert dlm(home, "show", document)["evaluation"]["recall"] == found["recall"]
