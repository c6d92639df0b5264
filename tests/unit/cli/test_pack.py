"""`dlm pack` and `dlm unpack` on the command line: what is said, and how it ends."""

import shutil
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from tests.unit.cli.test_store_commands import ADAPTERS, commit


@pytest.fixture
def packed(run: Run, document: Path) -> Path:
    """A trained document in a pack."""
    commit(document, *ADAPTERS)
    assert run("pack", document).exit_code == 0
    return document.with_suffix(".dlmpack")


def test_a_document_goes_to_another_home_and_is_known_there(
    run: Run, document: Path, home: Path, packed: Path, tmp_path: Path
) -> None:
    document.unlink()
    shutil.rmtree(home)
    taken = run("unpack", packed, "-o", tmp_path / "taken")
    assert taken.exit_code == 0
    assert "3 adapters (knowledge, tone, procedure) and the gate" in taken.stderr
    assert f"dlm prompt {tmp_path / 'taken' / 'guide.dlm'}" in taken.stderr
    assert "tone v0001" in run("versions", tmp_path / "taken" / "guide.dlm").stdout
    again = run("unpack", packed, "-o", tmp_path / "taken")
    assert again.exit_code == 0
    assert "is there already, the same" in again.stderr


def test_packing_says_what_is_in_it_and_what_is_not(run: Run, document: Path, packed: Path) -> None:
    again = run("pack", document, "--output", packed.with_name("other.dlmpack"))
    assert "other.dlmpack: 3 adapters" in again.stderr
    assert "needs the base smollm2-135m" in again.stderr
    assert again.stdout == ""


def test_refusals_end_with_1_and_a_way_out(run: Run, document: Path, packed: Path) -> None:
    refused = run("pack", document)
    assert refused.exit_code == 1
    assert "is there already" in refused.stderr and "hint: " in refused.stderr
    packed.write_bytes(packed.read_bytes()[:-700])
    damaged = run("unpack", packed)
    assert damaged.exit_code == 1
    assert "guide.dlmpack is" in damaged.stderr
    assert run("unpack", document).exit_code == 1
    assert run("unpack", "nothing.dlmpack").exit_code == 1
