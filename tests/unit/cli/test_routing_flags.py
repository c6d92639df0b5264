"""What people write about routing becomes a choice, or a usage error that says what is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.errors import UsageError
from dlm_core.requests import RoutingChoice
from dlm_tui.session.routing_flags import check_adapter, choice_from_flags, parse_mix

ADAPTERS = ("knowledge", "tone", "steps")


def test_a_mix_keeps_the_weights_as_written() -> None:
    assert parse_mix("tone:0.7, knowledge : 3", ADAPTERS) == {"tone": 0.7, "knowledge": 3.0}


def test_a_weight_of_zero_is_fine_beside_a_positive_one() -> None:
    assert parse_mix("tone:0,steps:1", ADAPTERS) == {"tone": 0.0, "steps": 1.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tonne:1", "did you mean `tone`?"),
        ("zebra:1", "`knowledge`, `tone` and `steps`"),
        ("tone:-1", "negative"),
        ("tone:much", "`much`, which is not a number"),
        ("tone:nan", "not a number"),
        ("tone:inf", "not a number"),
        ("tone:0,steps:0", "add up to 0"),
        ("tone:1,tone:2", "twice"),
        ("tone", "`tone` is not NAME:WEIGHT"),
        ("tone:", "not NAME:WEIGHT"),
        ("tone=1", "not NAME:WEIGHT"),
        (":1", "not NAME:WEIGHT"),
        ("tone:1,", "an entry is empty"),
        ("", "an entry is empty"),
    ],
)
def test_a_malformed_mix_says_what_is_right(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_mix(text, ADAPTERS)
    assert said in str(caught.value)
    assert caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_a_usable_mix_or_a_usage_error(text: str) -> None:
    try:
        mix = parse_mix(text, ADAPTERS)
    except UsageError:
        return
    assert sum(mix.values()) > 0
    assert set(mix) <= set(ADAPTERS)


def test_without_flags_the_gate_decides() -> None:
    assert choice_from_flags(ADAPTERS) == RoutingChoice(mode="auto")


def test_gate_off_means_equal_weights() -> None:
    assert choice_from_flags(ADAPTERS, gate="off") == RoutingChoice(mode="off")


def test_an_adapter_is_pinned_and_the_gate_ignored() -> None:
    pinned = RoutingChoice(mode="pin", adapter="tone")
    assert choice_from_flags(ADAPTERS, adapter="tone") == pinned
    assert choice_from_flags(ADAPTERS, adapter="tone", gate="auto") == pinned


def test_a_mix_becomes_a_mix_choice() -> None:
    assert choice_from_flags(ADAPTERS, adapter_mix="tone:1") == RoutingChoice(mode="mix", mix={"tone": 1.0})


def test_flags_that_contradict_each_other_are_both_named() -> None:
    with pytest.raises(UsageError, match="--adapter and --adapter-mix"):
        choice_from_flags(ADAPTERS, adapter="tone", adapter_mix="tone:1")
    with pytest.raises(UsageError, match="--gate off and --adapter cannot"):
        choice_from_flags(ADAPTERS, adapter="tone", gate="off")
    with pytest.raises(UsageError, match="--gate off and --adapter-mix cannot"):
        choice_from_flags(ADAPTERS, adapter_mix="tone:1", gate="off")


def test_an_unknown_gate_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="--gate cannot be `on`"):
        choice_from_flags(ADAPTERS, gate="on")


def test_a_capitalised_adapter_is_recognised_as_a_slip() -> None:
    with pytest.raises(UsageError) as caught:
        check_adapter("Tone", ADAPTERS)
    assert "did you mean `tone`?" in caught.value.hint
