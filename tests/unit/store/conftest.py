"""A store in a fresh home, and small commits to put into it."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from dlm_core.store import Snapshot, Store
from dlm_core.store.manifest import RunRecord

DLM_ID = "01J0000000000000000000TEST"
Commit = Callable[..., Snapshot]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Store:
    return Store.open(DLM_ID, home, create=True)


@pytest.fixture
def commit(store: Store) -> Commit:
    """Commits adapters (name → content), and a gate if given, as one run."""

    def commit_adapters(
        adapters: dict[str, str],
        gate: str | None = None,
        *,
        keep: Collection[str] | None = None,
        keep_gate: bool = True,
        **fields: Any,
    ) -> Snapshot:
        with store.stage(run_id=store.snapshot().generation + 1) as stage:
            for name, content in adapters.items():
                (stage.adapter_dir(name) / "adapter_model.safetensors").write_text(content)
            if gate is not None:
                (stage.gate_dir() / "gate.safetensors").write_text(gate)
            return stage.commit(RunRecord(**fields), keep=keep, keep_gate=keep_gate)

    return commit_adapters


def text(snapshot: Snapshot, name: str) -> str:
    """What an adapter's file holds."""
    return (snapshot.adapter_dir(name) / "adapter_model.safetensors").read_text()
