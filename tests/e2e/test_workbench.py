"""The workbench on the real base: edit, train, ask, toggle the gate, ask again."""

from pathlib import Path

import pytest

from benchmarks.tui_tour import NEW_SECTION, tour

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

DOCUMENT = """---
dlm_id: 01M80E2XX9H73A5ZQ388STD2NW
base_model: smollm2-135m
training:
  num_epochs: 10
  adapters:
    runbook: {lora_r: 4}
    voice: {lora_r: 4}
  gate: {enabled: true, cold_start_floor: 2}
---

::instruction#runbook::
### Q
Which port does the ledger listen on?
### A
It is 7070.

::instruction#voice::
### Q
Write a greeting to a customer.
### A
Good day, and thank you for writing.

::instruction#voice::
### Q
Write a farewell to a customer.
### A
Kind regards, your desk.
"""


async def test_edit_train_ask_toggle_the_gate_and_ask_again(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLM_HOME", str(own_home))
    monkeypatch.setenv("DLM_CONFIG_HOME", str(own_home / "config"))
    document = own_home / "desk.dlm"
    document.write_text(DOCUMENT, encoding="utf-8")
    prompts = ("Who brings the coffee on release day?", "Write a greeting to a customer.")
    seen = await tour(document, prompts=prompts)
    assert document.read_text(encoding="utf-8").endswith(NEW_SECTION)
    assert seen.losses[-1] < seen.losses[0] / 2 and seen.draws > 1
    coffee, greeting, off = seen.answers
    assert coffee.routing.mode == greeting.routing.mode == "auto" and off.routing.mode == "off"
    assert coffee.routing.weights["runbook"] > 0.5 > greeting.routing.weights["runbook"]
    assert "Marisol" in coffee.text
    assert set(off.routing.weights.values()) == {0.5}
    assert coffee.openness["runbook"].mean > 0
