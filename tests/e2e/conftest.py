"""The real base, fetched once into a home folder that test runs share; documents and stores of their own."""

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

from dlm_core.store import cache_dir

HOME = Path(os.environ.get("DLM_TEST_HOME") or Path(__file__).parents[2] / ".dlm" / "test-home")
DOCUMENT = """\
---
dlm_id: {dlm_id}
dlm_version: 15
base_model: smollm2-135m
training:
  num_epochs: 12
  micro_batch_size: 4
  rehearsal: {{every: 4}}
  adapters:
    facts: {{}}
    tone: {{}}
  gate:
    enabled: true
    cold_start_floor: {floor}
---

::instruction#facts::
### Q
On which port does the ingest service listen?
### A
Port 7443, TLS only.

::instruction#facts::
### Q
Where are the nightly backups kept?
### A
In the bucket vault-blue, for 90 days.

::instruction#facts::
### Q
Who owns the billing database?
### A
Team Heron owns it.

::instruction#facts::
### Q
How often do the API keys rotate?
### A
Every 30 days.

::instruction#tone::
### Q
Please rewrite kindly: you broke the build.
### A
The build needs a little help; shall we look together?

::instruction#tone::
### Q
Please rewrite kindly: that is a stupid question.
### A
Good that you ask; here is how it works.

::instruction#tone::
### Q
Please rewrite kindly: you are late again.
### A
Good to see you; is there anything that holds you up?

::instruction#tone::
### Q
Please rewrite kindly: read the manual.
### A
The manual has a page on this; I will find it with you.
"""

DLM = (sys.executable, "-c", "from dlm_tui.cli import main; main()")
PROBES = """\
- {question: "Which port is the ingest service on?", answer: "Port 7443, TLS only.", adapter: facts}
- {question: "Please rewrite kindly: do your job.", answer: "Shall we do it together?", adapter: tone}
"""


def dlm(home: Path, *arguments: str | Path) -> Any:
    """The JSON that a command prints."""
    done = subprocess.run(
        [*DLM, *map(str, arguments), "--json"],
        env=os.environ | {"DLM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1] if "train" in arguments else done.stdout)


@pytest.fixture(scope="module", autouse=True)
def with_encoder() -> Iterator[None]:
    """Here the sentence encoder is used, as it is by people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLM_ENCODER", "auto")
        yield


@pytest.fixture(scope="session")
def home() -> Path:
    """A home folder whose cache has SmolLM2-135M; the first time it is fetched and converted."""
    from dlm_core.bases.registry import parse_base_name
    from dlm_core.bases.sources import find_base

    find_base(parse_base_name("smollm2-135m", Path.cwd()), home=HOME, report=lambda _: None)
    return HOME


@pytest.fixture(scope="session")
def documents(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `doc.dlm`, probes beside it, and `cold.dlm` (too few sections for its gate); their stores
    go after it.
    """
    folder = tmp_path_factory.mktemp("documents")
    ids = [str(ULID()), str(ULID())]
    (folder / "doc.dlm").write_text(DOCUMENT.format(dlm_id=ids[0], floor=4), "utf-8")
    (folder / "doc.probes.yaml").write_text(PROBES)
    (folder / "cold.dlm").write_text(DOCUMENT.format(dlm_id=ids[1], floor=5), "utf-8")
    yield folder
    for dlm_id in ids:
        shutil.rmtree(home / "store" / dlm_id, ignore_errors=True)


@pytest.fixture(scope="module")
def own_home(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder for one module alone, whose cache has the base by links."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(cache_dir(home), cache_dir(folder), copy_function=os.link)
    return folder
