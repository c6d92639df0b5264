"""The gate on synthetic embeddings: it learns what can be told apart, and is honest about what cannot."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from dlm_core.document.schema import GateConfig
from dlm_core.errors import GateTrainingError, StoreError, UsageError
from dlm_core.events import Routing
from dlm_core.requests import RoutingChoice
from dlm_core.routing import gate as gates
from dlm_core.routing import train as training
from dlm_core.routing.gate import AdapterGate, GateMeta
from dlm_core.routing.modes import decide
from tests.tiny import make_document

NAMES = ("a", "b", "c")
CONFIG = GateConfig(enabled=True, steps=120, lr=3e-3)
HIDDEN = 24


def clouds(per: int = 8, spread: float = 0.3, offset: float = 0.0) -> tuple[Tensor, list[int]]:
    generator = torch.Generator().manual_seed(2)
    centres = torch.randn(len(NAMES), HIDDEN, generator=generator)
    labels = [i % len(NAMES) for i in range(per * len(NAMES))]
    noise = torch.randn(len(labels), HIDDEN, generator=generator)
    return centres[labels] + spread * noise + offset, labels


def fit(
    x: Tensor, labels: list[int], config: GateConfig = CONFIG, **changes: Any
) -> tuple[AdapterGate, GateMeta]:
    counts = {n: labels.count(i) for i, n in enumerate(NAMES)}
    sections = changes.pop("sections", [f"s{i}" for i in range(len(labels))])
    return training.train_gate(x, labels, sections, NAMES, config, counts, **({"seed": 1} | changes))


def test_separable_prompts_are_learned_and_generalise() -> None:
    x, labels = clouds()
    gate, meta = fit(x[:18], labels[:18])
    assert (meta.train_accuracy, meta.loo_accuracy) == (1.0, 1.0)
    assert gate(x[18:]).argmax(-1).tolist() == labels[18:]
    assert meta.entropy is not None and 0 <= meta.entropy < 0.5 * math.log(3)
    assert sum(meta.mean_weights.values()) == pytest.approx(1.0)


@pytest.mark.slow
def test_leaving_one_out_does_not_flatter_random_labels() -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(60, HIDDEN, generator=generator)
    labels = torch.randint(0, 3, (60,), generator=generator).tolist()
    _, meta = fit(x, labels, GateConfig(enabled=True, steps=400, lr=1e-2))
    assert meta.train_accuracy is not None and meta.train_accuracy > 0.9, "it can learn them by heart"
    assert meta.loo_accuracy is not None and meta.loo_accuracy < 0.55


@pytest.mark.slow
def test_a_section_is_left_out_as_a_whole() -> None:
    """Random labels, every sample twice in one section: its twin must not give the answer away."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(30, HIDDEN, generator=generator).repeat(2, 1)
    labels = torch.randint(0, 3, (30,), generator=generator).tolist() * 2
    config = GateConfig(enabled=True, steps=400, lr=1e-2)
    _, together = fit(x, labels, config, sections=[f"s{i % 30}" for i in range(60)])
    _, apart = fit(x, labels, config)
    assert together.loo_accuracy is not None and together.loo_accuracy < 0.6
    assert apart.loo_accuracy is not None and apart.loo_accuracy > 0.9


def test_inputs_are_standardised_inside_the_gate() -> None:
    x, labels = clouds(offset=50.0)
    x = x * torch.logspace(-2, 2, HIDDEN)
    gate, meta = fit(x, labels)
    assert meta.loo_accuracy == 1.0
    torch.testing.assert_close(gate.get_buffer("mean"), x.mean(0))
    standard = (x - gate.get_buffer("mean")) / gate.get_buffer("scale")
    torch.testing.assert_close(standard.std(0, unbiased=False), torch.ones(HIDDEN))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_gate_and_folds_do_not_change_it() -> None:
    x, labels = clouds()
    first, again = fit(x, labels)[0], fit(x, labels)[0]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    other = fit(x, labels, seed=2)[0]
    assert not torch.equal(first.w1, other.w1)


@pytest.mark.slow
def test_more_entropy_is_wanted_more_entropy_comes() -> None:
    x, labels = clouds(spread=1.0)
    sharp = fit(x, labels, GateConfig(enabled=True, steps=120, lr=3e-3, entropy_lambda=0.0))[1].entropy
    soft = fit(x, labels, GateConfig(enabled=True, steps=120, lr=3e-3, entropy_lambda=1.0))[1].entropy
    assert sharp is not None and soft is not None and soft > sharp


def test_figures_of_a_step_are_those_of_the_kept_gate() -> None:
    x, labels = clouds()
    steps: list[training.StepFigures] = []
    fit(x, labels, on_step=steps.append)
    assert [s.step for s in steps] == list(range(1, CONFIG.steps + 1))
    assert steps[0].entropy == pytest.approx(math.log(3), rel=0.1) and steps[-1].accuracy == 1.0


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    x, labels = clouds()
    x[0, 0] = math.nan
    with pytest.raises(GateTrainingError, match="not finite"):
        fit(x, labels)
    with pytest.raises(GateTrainingError, match="stopped"):
        fit(clouds()[0], labels, stop=lambda: True)


def test_samples_are_the_questions_of_tagged_sections() -> None:
    body = (
        "::prose#facts::\nFirst part.\n\nSecond part.\n\n::prose::\nNo tag.\n\n"
        "::instruction#tone::\n### Q\nOne?\n### A\n1\n\n### Q\nTwo?\n### A\n2\n\n"
        "::instruction::\n### Q\nNobody's?\n### A\n-\n\n"
        "::preference#tone::\n### Prompt\nThree?\n### Chosen\ny\n### Rejected\nn\n"
    )
    found = training.collect(make_document(body))
    assert [(s.text, s.adapter) for s in found] == [
        ("First part.", "facts"),
        ("One?", "tone"),
        ("Two?", "tone"),
        ("Three?", "tone"),
    ]
    assert found[1].section == found[2].section


def test_a_gate_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    x, labels = clouds()
    gate, meta = fit(x, labels)
    gates.save_gate(tmp_path, meta, gate, x)
    back = gates.load_gate(tmp_path, NAMES, HIDDEN)
    assert back.meta == meta and back.module is not None and back.embeddings is not None
    assert torch.equal(back.module(x), gate(x)) and torch.equal(back.embeddings, x)


def test_a_uniform_gate_has_no_weights_file(tmp_path: Path) -> None:
    meta = training.uniform_meta(NAMES, {"a": 1, "b": 5, "c": 5}, 4, "cold start")
    gates.save_gate(tmp_path, meta, None, None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gate_config.json"]
    assert msgspec.json.decode((tmp_path / "gate_config.json").read_bytes())["mode"] == "uniform"
    assert gates.load_gate(tmp_path, NAMES, HIDDEN).module is None


def test_a_gate_of_other_adapters_is_uniform_and_of_another_base_refused(tmp_path: Path) -> None:
    x, labels = clouds()
    gate, meta = fit(x, labels)
    gates.save_gate(tmp_path, meta, gate, x)
    changed = gates.load_gate(tmp_path, ("a", "b"), HIDDEN)
    assert changed.module is None and changed.meta.mode == "uniform" and "changed" in changed.meta.reason
    with pytest.raises(StoreError, match="another base"):
        gates.load_gate(tmp_path, NAMES, HIDDEN + 1)


@pytest.mark.parametrize("damage", ["torn", "empty", "missing", "config", "keys"])
@pytest.mark.slow
def test_a_damaged_gate_is_an_error_in_words(tmp_path: Path, damage: str) -> None:
    x, labels = clouds()
    gate, meta = fit(x, labels)
    gates.save_gate(tmp_path, meta, gate, x)
    weights = tmp_path / gates.WEIGHTS_FILE
    match damage:
        case "torn":
            weights.write_bytes(weights.read_bytes()[:100])
        case "empty":
            weights.write_bytes(b"")
        case "missing":
            weights.unlink()
        case "config":
            (tmp_path / gates.CONFIG_FILE).write_text("{}")
        case "keys":
            weights.write_bytes(gates.save({"w1": torch.zeros(2, 2)}))
    with pytest.raises(StoreError):
        gates.load_gate(tmp_path, NAMES, HIDDEN)


def trained(adapters: tuple[str, ...] = NAMES) -> GateMeta:
    level = dict.fromkeys(adapters, 1 / len(adapters))
    return GateMeta(
        mode="trained",
        adapters=adapters,
        sample_counts=dict.fromkeys(adapters, 5),
        mean_weights=level,
        floor=4,
        train_accuracy=1.0,
        entropy=0.1,
    )


def route(choice: RoutingChoice, meta: GateMeta | None = None, adapters: tuple[str, ...] = NAMES) -> Routing:
    return decide(choice, adapters, meta, lambda: {"a": 0.7, "b": 0.2, "c": 0.1})


def test_modes_give_their_weights() -> None:
    uniform = dict.fromkeys(NAMES, 1 / 3)
    auto = route(RoutingChoice(), trained())
    assert (auto.mode, auto.weights) == ("auto", {"a": 0.7, "b": 0.2, "c": 0.1})
    off = route(RoutingChoice(mode="off"), trained())
    assert (off.mode, off.weights) == ("off", uniform)
    pin = route(RoutingChoice(mode="pin", adapter="b"), trained())
    assert (pin.mode, pin.weights) == ("pin", {"a": 0.0, "b": 1.0, "c": 0.0})
    mix = route(RoutingChoice(mode="mix", mix={"c": 3.0, "a": 1.0}), trained())
    assert (mix.mode, mix.weights) == ("mix", {"a": 0.25, "b": 0.0, "c": 0.75})
    base = route(RoutingChoice(mode="base"), trained())
    assert (base.mode, base.weights) == ("base", dict.fromkeys(NAMES, 0.0))
    ungated = route(RoutingChoice())
    assert (ungated.mode, ungated.weights) == ("uniform", uniform) and "no gate" in ungated.reason
    assert route(RoutingChoice(), trained(("a",)), ("a",)).weights == {"a": 1.0}
    untrained = route(RoutingChoice(), None, ())
    assert (untrained.mode, untrained.weights) == ("base", {}) and "not trained" in untrained.reason


def test_a_cold_start_says_who_lacks_what() -> None:
    meta = training.uniform_meta(NAMES, {"a": 2, "b": 5, "c": 0}, 4, "cold start")
    reason = route(RoutingChoice(), meta).reason
    assert reason == "cold start, a has 2 of 4 sections, c has 0 of 4 sections"


@pytest.mark.parametrize(
    "choice",
    [
        RoutingChoice(mode="pin", adapter="tone"),
        RoutingChoice(mode="mix", mix={"a": 1.0, "tone": 1.0}),
        RoutingChoice(mode="pin"),
    ],
)
def test_an_unknown_adapter_is_a_usage_error_with_the_names(choice: RoutingChoice) -> None:
    with pytest.raises(UsageError) as caught:
        route(choice, trained())
    assert "a, b, c" in caught.value.hint


@pytest.mark.parametrize("mix", [{}, {"a": 0.0}, {"a": 2.0, "b": -1.0}, {"a": math.nan}, {"a": math.inf}])
def test_a_mix_that_sums_to_nothing_is_a_usage_error(mix: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="mix"):
        route(RoutingChoice(mode="mix", mix=mix), trained())
