"""The toolbar says what matters most, in the room there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from dlm_core.events import Routing, TrainStep
from dlm_core.requests import RoutingChoice
from dlm_tui.repl.toolbar import Standing, toolbar
from dlm_tui.session.live_routing import static_routing
from dlm_tui.session.signs import adapter_signs
from dlm_tui.session.text import plain

NAMES = ("knowledge", "tone", "procedure")
SIGNS = adapter_signs(NAMES)
ROUTING = Routing(mode="auto", weights={"knowledge": 0.8, "tone": 0.15, "procedure": 0.05}, reason="")
STEP = TrainStep(
    run_id=1, phase="sft", step=12, steps=48, epoch=1, epochs=4, loss=1.234, losses={}, learning_rate=1e-3,
    grad_norm=1.0, tokens_per_s=812.0, elapsed_s=10.0, eta_s=75.0,
)  # fmt: skip


def shown(now: Standing, width: int = 100, unicode: bool = True) -> str:
    signs = adapter_signs(NAMES, unicode=unicode)
    return "\n".join(plain(line).rstrip() for line in toolbar(now, signs, width, unicode=unicode))


def test_every_adapter_has_sign_name_bar_and_number() -> None:
    first = shown(Standing(state="ready", routing=ROUTING)).splitlines()[0]
    assert first.startswith("● knowledge █")
    assert all(piece in first for piece in ("0.80", "▲ tone", "0.15", "■ procedure", "0.05"))


def test_in_a_narrow_terminal_adapters_stand_below_each_other() -> None:
    lines = shown(Standing(state="ready", routing=ROUTING), 40).splitlines()
    assert [line.split()[1] for line in lines[:3]] == list(NAMES)


def test_many_adapters_in_a_narrow_terminal_keep_sign_and_number() -> None:
    names = [f"adapter_{n}" for n in range(6)]
    routing = Routing(mode="auto", weights=dict.fromkeys(names, 1 / 6), reason="")
    lines = toolbar(Standing(state="ready", routing=routing), adapter_signs(names), 60)
    assert plain(lines[0]).count("0.17") == 6


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (RoutingChoice(), "gate auto"),
        (RoutingChoice(mode="off"), "gate off"),
        (RoutingChoice(mode="pin", adapter="tone"), "pin tone"),
        (RoutingChoice(mode="mix", mix={"tone": 1.0}), "mix"),
    ],
)
def test_the_key_and_the_mode_are_always_there(choice: RoutingChoice, said: str) -> None:
    for width in (30, 40, 80):
        assert f"^G {said}" in shown(Standing(state="loading", choice=choice), width)


def test_a_uniform_gate_is_told_from_one_that_decides() -> None:
    uniform = Routing(mode="uniform", weights=ROUTING.weights, reason="cold start")
    assert "gate auto (uniform)" in shown(Standing(state="ready", routing=uniform))


def test_hand_made_routing_is_shown_without_asking_the_engine() -> None:
    assert "1.00" in shown(Standing(state="loading", choice=RoutingChoice(mode="pin", adapter="tone")))
    mixed = static_routing(RoutingChoice(mode="mix", mix={"tone": 3.0, "knowledge": 1.0}), NAMES)
    assert mixed is not None
    assert mixed.weights == {"knowledge": 0.25, "tone": 0.75, "procedure": 0.0}
    assert static_routing(RoutingChoice(), NAMES) is None


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing(state="starting"), "starting the engine"),
        (Standing(state="loading", detail="smollm2 from cache"), "loading smollm2 from cache"),
        (Standing(state="dead"), "/restart"),
        (Standing(state="refused"), "/edit"),
        (Standing(state="ready", base="smollm2", version="g3"), "smollm2 g3"),
        (Standing(state="ready", base="smollm2", version="g0"), "smollm2 untrained"),
        (Standing(state="ready", warnings=2), "⚠ 2 warnings"),
        (Standing(state="ready", untrained=1), "1 new section: /train"),
        (Standing(state="ready", untrained=3, document_errors=2), "2 errors in the document"),
        (Standing(state="ready", replying=True, waiting=2), "replying, 2 waiting"),
        (Standing(state="ready", training=True), "training: preparing"),
        (Standing(state="ready", training=True, step=STEP), "step 12/48"),
        (Standing(state="ready", training=True, step=STEP), "1 min 15 s left"),
    ],
)
def test_what_stands_out_is_said(standing: Standing, said: str) -> None:
    assert said in shown(standing)


@pytest.mark.slow
@given(
    width=st.integers(12, 160),
    unicode=st.booleans(),
    names=st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True), max_size=9, unique=True),
    known=st.booleans(),
    training=st.booleans(),
    detail=st.text(max_size=30),
)
def test_no_line_is_wider_than_the_terminal(
    width: int, unicode: bool, names: list[str], known: bool, training: bool, detail: str
) -> None:
    weights = dict.fromkeys(names, 0.5)
    now = Standing(
        state="loading",
        detail=detail,
        routing=Routing(mode="auto", weights=weights, reason="") if known else None,
        step=STEP if training else None,
        training=training,
        warnings=3,
        untrained=12,
    )
    for line in toolbar(now, adapter_signs(names, unicode=unicode), width, unicode=unicode):
        assert get_cwidth(plain(line)) <= max(width, 20)
        assert "\n" not in plain(line)
