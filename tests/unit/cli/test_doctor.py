"""`dlm doctor`: what would be used and why, what fits, and what to change."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dlm_core import oneshot
from tests.fakes.reports import CHECKUP
from tests.unit.cli.conftest import Run


def test_the_doctor_gives_reasons_and_advice(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oneshot, "doctor", lambda path: CHECKUP)
    result = run("doctor", document)
    assert result.exit_code == 0
    for said in (
        "device: cpu, float32",
        "because no GPU that torch can use",
        "free memory: 8.00 GB",
        "training takes about 538.0 MB",
        "that fits",
        "advice: fetch the base",
        "torch 2.13.0",
    ):
        assert said in result.stdout
    assert json.loads(run("doctor", document, "--json").stdout)["needs"][0]["size"] == 538_000_000


def test_a_document_that_does_not_fit_exits_1(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oneshot, "doctor", lambda path: replace(CHECKUP, fits=False, needed=9_000_000_000))
    result = run("doctor", document)
    assert result.exit_code == 1
    assert "that does not fit" in result.stdout


def test_a_document_that_cannot_be_read_is_said_before_torch_is_imported(run: Run, tmp_path: Path) -> None:
    result = run("doctor", tmp_path / "nowhere.dlm")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr


def test_the_doctor_names_the_encoder_or_says_what_its_lack_costs(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(
        CHECKUP, encoder="minilm", encoder_sha256="53aa51172d142c89d9", encoder_path="/cache/minilm"
    )
    monkeypatch.setattr(oneshot, "doctor", lambda path: here)
    said = run("doctor", document).stdout
    assert "encoder: minilm, cached, sha256 53aa51172d142c89…" in said and "/cache/minilm" in said
    monkeypatch.setattr(oneshot, "doctor", lambda path: replace(CHECKUP, encoder="minilm"))
    said = " ".join(run("doctor", document).stdout.split())
    assert "encoder: minilm, not fetched" in said and "fewer reworded questions" in said
    assert "dlm base pull minilm" in said
