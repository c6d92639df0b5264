"""Two processes that a launcher started train one document: equal adapters, one commit, one voice."""

import json
from pathlib import Path
from typing import Any

import pytest

from dlm_core.store.store import Store
from tests.children import free_port, start, train_together
from tests.tiny import BODY, DLM_ID, committed_hashes, document_text


def together(folder: Path, stop_at: int = 0, resume: bool = False) -> list[dict[str, Any]]:
    port = free_port()
    children = [start(train_together, rank, port, folder, stop_at, resume) for rank in range(2)]
    for child in children:
        child.join(240)
    assert [c.exitcode for c in children] == [0, 0]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
def test_two_processes_train_equal_adapters_and_commit_once(tmp_path: Path, tiny_base: Path) -> None:
    preference = "\n::preference#tone::\n### Prompt\nGreet.\n### Chosen\nAhoy!\n### Rejected\nSir.\n"
    text = document_text(
        BODY + preference,
        base=f"path:{tiny_base}",
        adapters={"facts": {"lora_dropout": 0.1}, "tone": {}},
        micro_batch_size=1,
        num_epochs=2,
        gate={"enabled": True, "cold_start_floor": 2, "steps": 5},
        rehearsal={"enabled": True, "every": 2},
    )
    (tmp_path / "doc.dlm").write_text(text, "utf-8")
    stopped = together(tmp_path, stop_at=2)
    assert [r["status"] for r in stopped] == ["stopped", "stopped"] and committed_hashes(
        tmp_path / "home"
    ) == {}
    assert stopped[0]["adapters"] == stopped[1]["adapters"]
    first, second = together(tmp_path, resume=True)
    assert first["status"] == second["status"] == "done"
    assert first["adapters"] == second["adapters"] != stopped[0]["adapters"]
    assert first["versions"] == second["versions"] == {"facts": "v0001", "tone": "v0001"}
    assert first["events"] and not second["events"], "the first process speaks, the second is silent"
    store = Store.open(DLM_ID, tmp_path / "home", create=False)
    store.verify()
    assert store.snapshot().generation == 2, "the adapters and the gate, each committed once"
    with store.metrics() as metrics:
        assert [r.status for r in metrics.runs()] == ["stopped", "done"]
