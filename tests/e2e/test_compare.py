"""`dlm compare` on the real base, through the command line."""

from pathlib import Path

import pytest

from tests.e2e.conftest import dlm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def test_methods_are_compared_and_the_document_stays_as_it_was(
    home: Path, probed: Path, tmp_path: Path
) -> None:
    dlm(home, "train", probed, "--epochs", "1")
    before = dlm(home, "versions", probed)
    found = dlm(
        home, "compare", probed, "--methods", "disel,dora", "--rate", "disel=3e-3", "--rate", "dora=2e-3",
        "--epochs", "2", "--rehearsal", "off", "-o", tmp_path,
    )  # fmt: skip
    assert [t["method"] for t in found["trials"] if t["chosen"]] == ["disel", "dora"]
    for trial in found["trials"]:
        assert trial["learned"]["loss"] < found["learned_base"]["loss"]
    assert (tmp_path / "comparison.json").is_file()
    assert dlm(home, "versions", probed) == before
