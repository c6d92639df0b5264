"""How events are worded, and how often a log without a terminal hears of a step."""

import io
import math

import pytest
from rich.console import Console

from dlm_core.events import BaseProgress, Event, GateTrained, Log, Ready, RunEnded, TrainEpoch, TrainStep
from dlm_tui.cli.progress import JsonLines, PlainLines
from dlm_tui.session.wording import duration, lines


def step(number: int) -> TrainStep:
    return TrainStep(
        run_id=1,
        phase="sft",
        step=number,
        steps=100,
        epoch=1,
        epochs=5,
        loss=2.5,
        losses={"tone": 2.0, "facts": 3.0},
        learning_rate=1e-3,
        grad_norm=1.0,
        tokens_per_s=1234.0,
        elapsed_s=1.0,
        eta_s=95.0,
        openness={"tone": 0.1, "facts": 0.3},
    )


def ready() -> Ready:
    return Ready(
        dlm_id="x",
        base="b",
        device="cpu",
        dtype="float32",
        adapters=(),
        version="",
        gate_mode="none",
        load_s=1.0,
    )


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(*events: Event, quiet: bool = False, clock: Clock | None = None, seconds: float = 0) -> list[str]:
    out = io.StringIO()
    clock = clock or Clock()
    view = PlainLines(Console(file=out, width=200), quiet=quiet, every=10, clock=clock)
    for event in events:
        clock.now += seconds
        view.show(event)
    return out.getvalue().splitlines()


def test_a_log_hears_of_a_step_every_ten_seconds() -> None:
    said = shown(*(step(n) for n in range(1, 31)), seconds=1)
    assert len(said) == 3
    assert said[0] == (
        "  training, epoch 1 of 5  10%  ETA 1 min 35 s"
        "  loss 2.500  tone 2.000, facts 3.000  openness 0.20  1,234 tokens/s"
    )


def test_a_quiet_view_keeps_to_itself_what_went_as_usual() -> None:
    usual = [BaseProgress(base="b", source="cache", outcome="found"), ready()]
    unusual = [
        BaseProgress(base="b", source="hub", outcome="missed"),
        Log(level="warning", message="mind the gap"),
    ]
    assert shown(*usual, *unusual, quiet=True) == ["base b: hub: missed", "warning: mind the gap"]
    assert len(shown(*usual)) == 2


def test_a_fetch_says_how_far_it_is() -> None:
    fetching = BaseProgress(
        base="b", source="hub", outcome="trying", done_bytes=3_000_000, total_bytes=12_000_000
    )
    assert shown(fetching, seconds=11) == ["  fetching b (hub)  25%  3 of 12 MB"]


def test_json_lines_hold_no_character_that_steers_a_terminal() -> None:
    out = io.StringIO()
    JsonLines(out).show(Log(level="info", message="\x1b[2J\x9b\u202e", hint="ü"))
    assert out.getvalue() == (
        '{"type":"log","request_id":"","level":"info","message":"\\u001b[2J\\u009b\\u202e","hint":"ü","code":""}\n'
    )


def test_json_lines_have_null_where_a_figure_is_no_number() -> None:
    out = io.StringIO()
    JsonLines(out).show(
        TrainEpoch(
            run_id=1, epoch=1, epochs=1, loss=float("nan"), recall=0.5, recalls={}, perplexity=float("inf")
        )
    )
    assert '"loss":null' in out.getvalue()
    assert '"perplexity":null' in out.getvalue()


def test_events_are_worded_without_escape_sequences() -> None:
    said = lines(Log(level="error", message="\x1b[31mred", hint="\x9b"))
    assert said == ["error: ␛[31mred", "  hint: \\x9b"]


def gate(mode: str, reason: str = "") -> GateTrained:
    return GateTrained(
        run_id=1,
        mode=mode,  # type: ignore[arg-type]
        mean_weights={"tone": 0.5, "facts": 0.5},
        sample_counts={"tone": 2, "facts": 9},
        floor=4,
        reason=reason,
    )


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (gate("trained"), "gate: trained  mean weights tone 0.50, facts 0.50"),
        (gate("uniform"), "gate: uniform (samples: tone 2, facts 9)"),
        (gate("uniform", "tone has 2 of 4"), "gate: uniform: tone has 2 of 4"),
        (gate("failed", "no loss"), "gate: failed: no loss; the adapters are trained and committed"),
    ],
)
def test_the_gates_outcome_is_said_plainly(event: GateTrained, said: str) -> None:
    assert lines(event) == [said]


def test_a_stopped_run_says_how_to_go_on() -> None:
    ended = RunEnded(
        run_id=3, status="stopped", reason="stopped by you", versions={}, seconds=61, checkpoint="step-4"
    )
    assert lines(ended) == [
        "run 3 stopped after 1 min 01 s: stopped by you",
        "  a checkpoint is kept; `dlm train FILE --resume` goes on from it",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.4, "59 s"), (65, "1 min 05 s"), (7800, "2 h 10 min"), (-1, "0 s"), (math.inf, "0 s")],
)
def test_durations_are_for_people(seconds: float, said: str) -> None:
    assert duration(seconds) == said
