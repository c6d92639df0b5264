"""Whatever stands in documents, stores and file names, what commands print cannot steer a terminal."""

import re
from pathlib import Path

import pytest
from msgspec import structs

from dlm_core.document import load
from dlm_core.store import SectionRecord, Store, manifest
from dlm_core.store.manifest import RunRecord
from tests.unit.cli.conftest import Run, home, run  # noqa: F401

ESCAPES = "\x1b]0;own\x07\x1b[2J\x9b31m\u202eeman\u2066\u2028"
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")
HOSTILE = f"""\
---
dlm_id: 01J9ZQ4T7M3N5P6R8S9V0W1X2Y
base_model: smollm2-135m
system_prompt: "{ESCAPES.encode("unicode_escape").decode().replace("x9b", "u009b")}"
training:
  adapters: {{facts: {{}}, tone: {{}}}}
  sources: [{{path: notes}}]
---
::instruction#facts::
### Q
What {ESCAPES} is it?
### A
{ESCAPES}

::prose#{ESCAPES}::
{ESCAPES}
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A document whose name, folder, text and store try to steer the terminal."""
    folder = tmp_path / f"f{ESCAPES}"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / f"{ESCAPES}.md").write_text(ESCAPES)
    path = folder / f"n{ESCAPES}.dlm"
    path.write_text(HOSTILE)
    return path


def trained(path: Path) -> None:
    """A commit whose every text is hostile, as it might come out of a pack."""
    store = Store.open(load(path).dlm_id, create=True)
    with store.stage(run_id=1) as stage:
        (stage.adapter_dir("facts") / "adapter_model.safetensors").write_bytes(b"x")
        record = SectionRecord(content_hash="h", kind=ESCAPES, adapter=ESCAPES, title=ESCAPES)
        snapshot = stage.commit(RunRecord(sections=(record,), recipe_hash=ESCAPES, base_fingerprint=ESCAPES))
    hostile = structs.replace(
        snapshot, note=ESCAPES, document_hash=ESCAPES, extra={"base": ESCAPES, ESCAPES: 1}
    )
    fields = {name: getattr(hostile, name) for name in manifest.Committed.__struct_fields__}
    manifest.write(store.paths.manifest, manifest.Committed(**fields))
    with store.metrics() as metrics:
        metrics.end_run(metrics.start_run(ESCAPES, ESCAPES, ESCAPES), "failed", ESCAPES)


@pytest.mark.slow
def test_no_command_passes_a_steering_character_on(run: Run, hostile: Path, tmp_path: Path) -> None:  # noqa: F811
    said = [run("check", hostile), run("check", hostile, "--json"), run("show", hostile)]
    assert said[0].exit_code == 1 and "tag" in said[0].stdout
    hostile.write_text(HOSTILE.replace(f"::prose#{ESCAPES}::", "::prose#tone::"))
    trained(hostile)
    for words in (
        ["check", hostile], ["show", hostile], ["show", hostile, "--json"], ["versions", hostile],
        ["versions", hostile, "--json"], ["rollback", hostile], ["rollback", hostile, "--to", "7"],
        ["migrate", hostile], ["pack", hostile], ["pack", hostile, "-o", tmp_path / f"{ESCAPES}.dlmpack"],
        ["unpack", hostile], ["unpack", ESCAPES], ["init", hostile], ["init", hostile, "--adapters", ESCAPES],
        ["base", "show", ESCAPES], ["base", "remove", f"path:{ESCAPES}"], [ESCAPES], ["show", ESCAPES],
    ):  # fmt: skip
        said.append(run(*words))
    for result in said:
        assert result.output, result
        assert not STEERING.search(result.output), result.output
        assert "Traceback" not in result.output
