"""A document trained by hand, its home, and another home to take packs in."""

from pathlib import Path

import msgspec
import pytest

from dlm_core.document import load
from dlm_core.store import Store
from dlm_core.store.manifest import RunRecord

DOCUMENT = """\
---
dlm_id: 01J9ZQ4T7M3N5P6R8S9V0W1X2Y
base_model: smollm2-135m
training:
  adapters: {facts: {}, tone: {}}
  gate: {enabled: true}
---

::instruction#facts::
### Q
How high?
### A
Two metres.
"""
GATE = {
    "mode": "trained",
    "mean_weights": {"facts": 0.75, "tone": 0.25},
    "sample_counts": {"facts": 6, "tone": 2},
    "floor": 2,
    "loo_accuracy": 0.9,
    "reason": "",
}


def train(path: Path, home: Path, weights: bytes = b"weights") -> Store:
    """What a run commits, with any bytes for weights."""
    store = Store.open(load(path).dlm_id, home, create=True)
    with store.stage(run_id=store.snapshot().run_id + 3) as stage:
        for name in ("facts", "tone"):
            folder = stage.adapter_dir(name)
            (folder / "adapter_model.safetensors").write_bytes(weights + name.encode() * 300)
            (folder / "adapter_config.json").write_text("{}")
        (stage.gate_dir() / "gate.safetensors").write_bytes(b"gate")
        (stage.gate_dir() / "gate_config.json").write_bytes(msgspec.json.encode(GATE))
        stage.commit(RunRecord(document_hash="d", extra={"base": "smollm2-135m"}))
    return store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the document was trained."""
    return tmp_path / "home"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Another home, on another machine say."""
    return tmp_path / "elsewhere"


@pytest.fixture
def document(tmp_path: Path, home: Path) -> Path:
    """A trained document."""
    path = tmp_path / "hedge.dlm"
    path.write_text(DOCUMENT)
    train(path, home)
    return path
