"""Whether a gate is sound is one judgement, and what to do about it is one sentence."""

import math
from typing import Any

import pytest

from dlm_core.events import GateTrained
from dlm_core.gate_health import Fault, fault_of, remedy


def gate(weights: dict[str, float], questions: dict[str, int], **figures: Any) -> GateTrained:
    """A trained gate; its adapters have two tagged sections each."""
    given: dict[str, Any] = {"mode": "trained", "train_accuracy": 1.0, "entropy": 0.1} | figures
    return GateTrained(
        run_id=1,
        mean_weights=weights,
        sample_counts=dict.fromkeys(weights, 2),
        question_counts=questions,
        floor=2,
        **given,
    )


EVEN = {"a": 5, "b": 5}
LEVEL = {"a": 0.5, "b": 0.5}


def found(gate: GateTrained) -> Fault:
    fault = fault_of(gate)
    assert fault is not None
    return fault


def test_a_gate_that_gives_everything_to_one_adapter_has_collapsed() -> None:
    fault = found(gate({"a": 0.97, "b": 0.03}, EVEN, train_accuracy=0.5))
    assert fault.kind == "one_adapter"
    assert "collapsed onto `a`" in fault.sentence and "97%" in fault.sentence and "50%" in fault.sentence


def test_an_adapter_with_nearly_all_questions_may_have_nearly_all_weight() -> None:
    assert fault_of(gate({"a": 0.92, "b": 0.08}, {"a": 46, "b": 4})) is None


def test_a_gate_that_is_sure_of_different_adapters_is_sound() -> None:
    assert fault_of(gate(LEVEL, EVEN, entropy=0.001)) is None


def test_a_gate_as_good_as_the_most_frequent_label_is_at_chance() -> None:
    assert found(gate(LEVEL, EVEN, train_accuracy=0.5)).kind == "chance"
    assert fault_of(gate(LEVEL, EVEN, train_accuracy=0.9)) is None


def test_chance_is_counted_in_questions_and_in_sections_where_a_store_has_no_more() -> None:
    weights, right = {"a": 0.6, "b": 0.4}, 0.8
    assert found(gate(weights, {"a": 8, "b": 2}, train_accuracy=right)).kind == "chance"
    assert fault_of(gate(weights, {}, train_accuracy=right)) is None
    assert found(gate(weights, {}, train_accuracy=0.5)).kind == "chance"


def test_a_gate_with_the_entropy_of_equal_weights_is_level() -> None:
    assert found(gate(LEVEL, EVEN, entropy=math.log(2))).kind == "level"


@pytest.mark.parametrize("mode", ["uniform", "failed"])
def test_a_gate_that_was_not_trained_has_no_fault(mode: str) -> None:
    assert fault_of(gate({"a": 1.0, "b": 0.0}, EVEN, mode=mode, train_accuracy=None)) is None


def test_lambda_is_raised_against_a_collapse_and_never_lowered() -> None:
    told = {kind: remedy(Fault(kind, "")) for kind in ("one_adapter", "chance", "level")}
    assert "raise `training.gate.entropy_lambda`" in told["one_adapter"]
    assert all("further apart" in told[kind] and "raise" not in told[kind] for kind in ("chance", "level"))
    assert not any("lower" in text for text in told.values())
