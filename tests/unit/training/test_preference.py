"""Preference losses by hand, and that training moves the chosen answer above the rejected one."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dlm_core.document.keys import key_docs
from dlm_core.document.model import SectionKind
from dlm_core.document.schema import PreferenceConfig
from dlm_core.errors import StoreError
from dlm_core.events import TrainEpoch, TrainStep
from dlm_core.training import checkpoint
from dlm_core.training.batches import collate
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.preference import PreferenceProgress, _Weighing, preference_loss
from dlm_core.training.progress import Learned
from tests.tiny import Desk, every_architecture, logits, make_model

PAIRS = """\
::preference#tone::
### Prompt
Greet me.
### Chosen
Ahoy, sailor!
### Rejected
Dear Sir.

### Prompt
Leave me.
### Chosen
Fair winds.
### Rejected
Goodbye, Sir.
"""


def loss(method: str = "dpo", loss_type: str = "sigmoid", alpha: float = 0.0, beta: float = 0.5) -> float:
    """One pair: chosen went from -6 to -4 over 2 tokens, rejected from -9 to -12 over 3."""
    figures = [torch.tensor([v]) for v in (-4.0, -12.0, -6.0, -9.0, 2.0, 3.0)]
    return float(preference_loss(*figures, method=method, loss_type=loss_type, beta=beta, alpha=alpha))


def test_dpo_by_hand() -> None:
    margin = 0.5 * ((-4 + 6) - (-12 + 9))
    assert loss() == pytest.approx(-math.log(1 / (1 + math.exp(-margin))))
    assert loss(loss_type="hinge") == 0.0
    assert loss(loss_type="hinge", beta=0.1) == pytest.approx(0.5)
    per_token = (-4 + 6) / 2 - (-12 + 9) / 3
    assert loss(loss_type="ipo") == pytest.approx((per_token - 1) ** 2, abs=1e-6)
    assert loss(alpha=0.3) == pytest.approx(loss() + 0.3 * 2.0)


def test_orpo_by_hand() -> None:
    def log_odds(mean: float) -> float:
        return mean - math.log(1 - math.exp(mean))

    ratio = log_odds(-2.0) - log_odds(-4.0)
    expected = 2.0 + 0.7 * math.log(1 + math.exp(-ratio))
    assert loss("orpo", alpha=0.7) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["dpo", "orpo"])
@pytest.mark.parametrize("loss_type", ["sigmoid", "hinge", "ipo"])
def test_alpha_counts_in_every_method_and_its_help_says_so(method: str, loss_type: str) -> None:
    assert loss(method, loss_type, alpha=0.5) > loss(method, loss_type, alpha=0.1)
    (alpha,) = (key for key in key_docs() if key.path == "training.preference.hyperparams.alpha")
    assert f"{method.upper()}: weight of" in alpha.description


def test_orpo_stays_finite_where_an_answer_is_certain() -> None:
    sure = torch.tensor([0.0], requires_grad=True)
    one = torch.ones(1)
    found = preference_loss(
        sure, -one, one, one, one, one, method="orpo", loss_type="sigmoid", beta=0.1, alpha=0.1
    )
    found.backward()
    assert torch.isfinite(found) and sure.grad is not None and torch.isfinite(sure.grad).all()


@pytest.mark.parametrize(
    "preference",
    [
        {"loss_type": "sigmoid"},
        pytest.param({"loss_type": "hinge"}, marks=pytest.mark.slow),
        pytest.param({"loss_type": "ipo"}, marks=pytest.mark.slow),
        pytest.param({"reference": "base"}, marks=pytest.mark.slow),
        pytest.param({"method": "orpo"}, marks=pytest.mark.slow),
    ],
    ids=lambda p: str(next(iter(p.values()))),
)
def test_the_chosen_answer_rises_over_the_rejected(desk: Desk, preference: dict[str, Any]) -> None:
    hyper = {"num_epochs": 6, "learning_rate": 0.01}
    if preference.get("method") == "orpo":  # starts with learning the chosen answers at all
        hyper = {"num_epochs": 15, "learning_rate": 0.02, "alpha": 1.0}
    desk.open(PAIRS, preference={**preference, "hyperparams": hyper}).train()
    epochs = desk.of(TrainEpoch)
    assert {e.phase for e in epochs} == {"preference"}
    assert epochs[-1].recall == 1.0 and epochs[-1].recalls == {"tone": 1.0}
    assert epochs[-1].loss < epochs[0].loss
    first = desk.of(TrainStep)[0]
    if preference.get("loss_type") == "sigmoid":
        # Nothing has moved yet: −log σ(0), and α times the answers' own loss.
        assert first.loss > math.log(2)


@pytest.mark.slow
def test_another_adapter_is_not_touched_by_preferences(desk: Desk) -> None:
    body = "::instruction#facts::\n### Q\nWhat?\n### A\nThat.\n\n"
    desk.open(body).train()
    before = desk.hashes()["facts"]
    both = desk.another("both")
    both.open(body + PAIRS).train()
    assert both.hashes()["facts"] == before


@pytest.mark.parametrize("method", ["dpo", "orpo"])
@pytest.mark.parametrize("loss_type", ["sigmoid", "hinge", "ipo"])
def test_what_tokens_count_is_the_derivative_of_the_pairs_loss(method: Any, loss_type: Any) -> None:
    config = PreferenceConfig(method=method, loss_type=loss_type)
    rows = [
        Row(tuple(range(n + 2)), tuple(i >= 2 for i in range(n + 2)), "a", "s", "r", SectionKind.PREFERENCE)
        for n in (3, 2, 4, 5)
    ]
    batch, reference = collate(rows, ["a"], 0), torch.tensor([[-4.0, -6.0], [-5.0, -7.5]])
    losses = torch.rand(14, generator=torch.Generator().manual_seed(5)) * 3 + 0.1
    weighing = _Weighing(config, batch, 0.5, reference)
    found = weighing.of(losses)
    whole = losses.clone().requires_grad_(True)
    sums = torch.zeros(4).index_add(0, batch.owners, -whole)
    figures = (sums[:2], sums[2:], reference[:, 0], reference[:, 1], torch.tensor([3.0, 2.0]))
    hyper = config.hyperparams
    said = 0.5 * preference_loss(
        *figures,
        torch.tensor([4.0, 5.0]),
        method=method,
        loss_type=loss_type,
        beta=hyper.beta,
        alpha=hyper.alpha,
    )
    (wanted,) = torch.autograd.grad(said, whole)
    torch.testing.assert_close(found, wanted)
    assert weighing.loss == pytest.approx(float(said.detach()))


@pytest.mark.parametrize("architecture", every_architecture())
def test_greedy_replies_that_read_each_token_once_are_those_that_read_all_again(architecture: str) -> None:
    model = make_model(architecture)
    prompts = [[5, 90, 33, 12, 61], [7, 8], [44, 3, 99, 120, 17, 20, 68, 70, 11, 13, 15]]
    with SelectiveHead(model) as head:
        found = head.greedy(prompts, 6, 2)
    for prompt, said in zip(prompts, found.tolist(), strict=True):
        ids = torch.tensor([prompt])
        for token in said:
            assert int(logits(model, ids)[0, -1].argmax()) == token
            ids = torch.cat([ids, torch.tensor([[token]])], 1)


@pytest.mark.slow
def test_a_number_of_epochs_that_is_given_bounds_those_of_preferences_too(desk: Desk) -> None:
    desk.open(PAIRS, num_epochs="auto").train(epochs=1)
    assert [(e.epoch, e.epochs) for e in desk.of(TrainEpoch)] == [(1, 1)]


class Standing:
    """A training with one parameter of some length, after a step."""

    def __init__(self, length: int) -> None:
        self.progress = PreferenceProgress()
        parameter = torch.nn.Parameter(torch.ones(length))
        self.optimiser = torch.optim.AdamW([parameter])
        parameter.grad = torch.ones(length)
        self.optimiser.step()

    def extra_tensors(self) -> dict[str, torch.Tensor]:
        return {}

    def take_extra_tensors(self, tensors: object) -> None:
        pass


def test_a_checkpoint_whose_optimiser_was_laid_out_otherwise_is_not_taken_up(tmp_path: Path) -> None:
    checkpoint.save(Standing(6), "preference", [], Learned(), tmp_path)
    checkpoint.restore(Standing(6), [], tmp_path)
    with pytest.raises(StoreError, match="laid out otherwise"):
        checkpoint.restore(Standing(4), [], tmp_path)
