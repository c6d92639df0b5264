"""One pass for all adapters: each gets the gradients it would get alone, from loss positions only."""

import pytest
import torch
from torch.nn import functional

from dlm_core.adapters.bank import Bank, TrainingPlan
from dlm_core.adapters.openness import OpennessLayout, OpennessRecorder, adapter_means, by_module
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import SectionKind
from dlm_core.training.batches import collate
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from tests.tiny import every_architecture, make_adapter, make_model, make_spec

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def row(adapter: str, ids: list[int], answer: int) -> Row:
    """A row whose last `answer` tokens carry loss."""
    loss = [i >= len(ids) - answer for i in range(len(ids))]
    return Row(tuple(ids), tuple(loss), adapter, f"{adapter}{ids[0]}", adapter, SectionKind.INSTRUCTION)


ROWS = [
    row("a", [9, 20, 31, 42, 53, 64], 3),
    row("b", [8, 8, 21, 33], 2),
    row("a", [7, 77, 70], 1),
    row("b", [6, 60, 61, 62, 63, 64, 65], 4),
]


class Trainer:
    """A tiny model with two adapters of different rank and kind."""

    def __init__(self, architecture: str = "llama_tied", dropout: float = 0.0) -> None:
        self.model = make_model(architecture)
        self.bank = Bank(self.model)
        every = tuple(self.bank.layers)
        self.adapters = [
            make_adapter(make_spec("a", every, rank=2, dropout=dropout), self.bank.features, 1),
            make_adapter(
                make_spec("b", every[: len(every) // 2], "lora", rank=5, dropout=dropout),
                self.bank.features,
                2,
            ),
        ]
        for adapter in self.adapters:
            adapter.requires_grad_(True)
        self.head = SelectiveHead(self.model)
        self.plan = TrainingPlan(self.bank, self.adapters)

    def losses(self, rows: list[Row]) -> torch.Tensor:
        """Loss per answer token under each row's own adapter."""
        batch = collate(rows, [a.spec.name for a in self.adapters], 0)
        self.plan.set_rows(batch.weights)
        self.bank.use(self.plan)
        logits = self.head.logits(batch.input_ids, batch.attention_mask, batch.positions)
        return functional.cross_entropy(logits, batch.targets, reduction="none")

    def gradients(self, rows: list[Row]) -> dict[str, torch.Tensor | None]:
        for adapter in self.adapters:
            for _, _, parameter in adapter.named_tensors():
                parameter.grad = None
        self.losses(rows).sum().backward()
        return {f"{a.spec.name}.{m}.{r}": p.grad for a in self.adapters for m, r, p in a.named_tensors()}


@pytest.mark.parametrize("architecture", every_architecture())
def test_a_mixed_batch_gives_every_adapter_the_gradients_it_would_get_alone(architecture: str) -> None:
    trainer = Trainer(architecture)
    mixed = trainer.gradients(ROWS)
    for name in ("a", "b"):
        alone = trainer.gradients([r for r in ROWS if r.adapter == name])
        for key, grad in alone.items():
            if key.startswith(f"{name}."):
                assert grad is not None and grad.abs().sum() > 0, key
                torch.testing.assert_close(mixed[key], grad, **CLOSE)
            else:
                assert grad is None, "an adapter without rows is left out"


def test_gradients_reach_the_gates_once_b_has_moved() -> None:
    trainer = Trainer()
    fresh = AdapterWeights.initial(trainer.adapters[0].spec, trainer.bank.features, 1)
    trainer.adapters[0] = fresh.requires_grad_(True)
    trainer.plan = TrainingPlan(trainer.bank, trainer.adapters)
    first = trainer.gradients(ROWS)
    of_gates = [g for k, g in first.items() if g is not None and k.endswith((".gate_weight", ".gate_bias"))]
    assert of_gates and all(not g.any() for g in of_gates)
    of_b = {k: g for k, g in first.items() if g is not None and k.startswith("a.") and k.endswith(".b")}
    assert all(g.any() for g in of_b.values())
    with torch.no_grad():
        for _, role, parameter in fresh.named_tensors():
            if role == "b":
                parameter.normal_()
    moved = trainer.gradients(ROWS)
    assert all(
        g is not None and g.any() for k, g in moved.items() if k.endswith((".gate_weight", ".gate_bias"))
    )


@pytest.mark.parametrize("architecture", every_architecture())
def test_logits_at_loss_positions_are_those_of_the_whole(architecture: str) -> None:
    trainer = Trainer(architecture)
    selected = trainer.losses(ROWS)
    whole = []
    for r in ROWS:
        trainer.plan.set_rows(torch.tensor([[float(r.adapter == "a"), float(r.adapter == "b")]]))
        trainer.bank.use(trainer.plan)
        logits = trainer.model(input_ids=torch.tensor([r.ids]), use_cache=False).logits[0]
        each = functional.cross_entropy(logits[:-1], torch.tensor(r.ids[1:]), reduction="none")
        whole.append(each[torch.tensor(r.loss[1:])])
    torch.testing.assert_close(selected, torch.cat(whole), rtol=1e-4, atol=1e-5)


def test_the_head_computes_every_position_again_once_it_is_closed() -> None:
    trainer = Trainer()
    ids = torch.tensor([[1, 2, 3]])
    with trainer.head as head:
        assert head.logits(ids, torch.ones_like(ids), torch.tensor([1])).shape[0] == 1
        assert trainer.model(input_ids=ids).logits.shape[1] == 3
    assert trainer.model(input_ids=ids).logits.shape[1] == 3


def test_dropout_draws_the_same_for_the_same_seed_and_another_for_another() -> None:
    trainer = Trainer(dropout=0.5)

    def seeded(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return trainer.losses(ROWS).detach()

    first = seeded(1)
    assert torch.equal(seeded(1), first) and not torch.equal(seeded(2), first)
    trainer.plan.dropping = False
    calm = seeded(1)
    assert torch.equal(seeded(2), calm)
    torch.testing.assert_close(calm, Trainer(dropout=0.0).losses(ROWS).detach(), rtol=1e-4, atol=1e-5)


def test_a_gate_reads_the_same_dropped_input_as_a() -> None:
    """With everything dropped A x is 0, and the gates see 0 too: openness is the bias's."""
    trainer = Trainer(dropout=0.999999)
    name = next(iter(trainer.bank.layers))
    weights = trainer.adapters[0].layers[name]
    layout = OpennessLayout({name: (("a", 2),)})
    trainer.plan.recorder = recorder = OpennessRecorder(layout)
    trainer.plan.set_rows(torch.tensor([[1.0, 0.0]]))
    torch.manual_seed(0)
    delta = trainer.plan.delta(name, torch.randn(1, 4, trainer.bank.features[name][0]))
    assert delta is not None and not delta.any()
    flat = recorder.flush()
    assert flat is not None and weights.gate_bias is not None
    torch.testing.assert_close(flat, torch.sigmoid(weights.gate_bias).detach())


@pytest.mark.parametrize("dropout", [0.0, 1e-9])
def test_openness_is_the_mean_over_an_adapters_own_tokens(dropout: float) -> None:
    trainer = Trainer(dropout=dropout)
    every = tuple(trainer.bank.layers)
    trainer.adapters[1] = make_adapter(
        make_spec("b", every, rank=3, dropout=dropout), trainer.bank.features, 2
    )
    plan = TrainingPlan(trainer.bank, trainer.adapters)
    name = every[0]
    x = torch.randn(2, 5, trainer.bank.features[name][0], generator=torch.Generator().manual_seed(1))
    read = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    own = {"a": read & torch.tensor([[True], [False]]), "b": read & torch.tensor([[False], [True]])}
    layout = OpennessLayout({name: (("a", 2), ("b", 3))})
    plan.recorder = recorder = OpennessRecorder(layout, own)
    plan.set_rows(torch.eye(2))
    plan.delta(name, x)
    flat = recorder.flush()
    assert flat is not None
    for i, (adapter, tokens, stretch) in enumerate((("a", 3, slice(0, 2)), ("b", 5, slice(2, 5)))):
        w = trainer.adapters[i].layers[name]
        assert w.gate_weight is not None and w.gate_bias is not None
        by_hand = torch.sigmoid(x[i, :tokens] @ w.gate_weight.T + w.gate_bias).mean(0).detach()
        torch.testing.assert_close(flat[stretch], by_hand)
        assert adapter_means(layout, flat, [adapter])[adapter] == pytest.approx(float(by_hand.mean()))
    assert float(flat.min()) >= 0 and float(flat.max()) <= 1
    assert by_module(layout, flat, "b") == {"q_proj": {0: [round(v, 4) for v in flat[2:].tolist()]}}


def test_an_adapter_without_rank_gates_counts_as_open() -> None:
    layout = OpennessLayout({})
    assert adapter_means(layout, torch.zeros(0), ["plain"]) == {"plain": 1.0}
