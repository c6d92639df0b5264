"""`dlm eval` on the real base, through the command line, on a short training."""

from pathlib import Path

import pytest

from tests.e2e.conftest import dlm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def test_a_training_shows_in_every_figure(home: Path, probed: Path) -> None:
    dlm(home, "train", probed)
    found = dlm(home, "eval", probed)
    assert (found["questions"], found["probes"]) == (8, 2)
    assert found["recall"]["verbatim"] > found["recall"]["verbatim_base"] == 0.0
    assert found["recall"]["paraphrase_f1"] > found["recall"]["paraphrase_f1_base"]
    assert found["routing"]["accuracy"] == 1.0
    kept = found["retention"]
    assert 0 < kept["kl"] < 1 and kept["perplexity"] < 1.5 * kept["perplexity_base"]
    for figures in found["openness"].values():
        assert figures["inside"] > figures["outside"], "ranks open for what the document is about"
    assert dlm(home, "show", probed)["evaluation"]["recall"] == found["recall"]
