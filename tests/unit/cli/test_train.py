"""`dlm train`: progress in words on stderr, events on stdout with --json, and Ctrl-C in two steps."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_core import oneshot
from dlm_core.events import RunEnded, RunPlanned, TrainEpoch, TrainStep, decode
from dlm_tui.session.saves import Saves
from dlm_tui.session.wording import lines
from tests.fakes.engine import FakeEngine, Script
from tests.unit.cli.conftest import Run

ROOT = Path(__file__).parents[3]


class Interrupting(FakeEngine):
    """Presses Ctrl-C once, after the second step."""

    def train(self, options, emit, stop, between_steps):  # type: ignore[no-untyped-def]
        steps = iter(range(1, 100))

        def after_step() -> None:
            if next(steps) == 2:
                signal.raise_signal(signal.SIGINT)
            between_steps()

        return super().train(options, emit, stop, after_step)


def test_progress_goes_to_stderr_in_words(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("train", document)
    assert result.exit_code == 0
    assert result.stdout == ""
    for said in (
        "base fake-135m: cache: loaded",
        "run 1 trains knowledge (10 rows), tone (10 rows), procedure (10 rows): 2,000 tokens",
        "learning_rate 3e-3  auto for a 135M base",
        "epoch 2/2",
        "recall 100.0% (knowledge 100%, tone 100%, procedure 100%)",
        "forgetting +1.0% (perplexity 20.20, base 20.00)",
        "gate: trained",
        "run 1 done",
    ):
        assert said in result.stderr


def test_json_prints_every_event_as_a_line(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("train", document, "--json", "--epochs", "3")
    events = [decode(line) for line in result.stdout.splitlines()]
    assert sum(isinstance(event, TrainStep) for event in events) == 6
    assert sum(isinstance(event, TrainEpoch) for event in events) == 3
    assert isinstance(events[-1], RunEnded)
    assert all(json.loads(line)["type"] for line in result.stdout.splitlines())


def test_options_reach_the_engine(run: Run, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Listening(FakeEngine):
        def train(self, options, emit, stop, between_steps):  # type: ignore[no-untyped-def]
            asked.append(options)
            return super().train(options, emit, stop, between_steps)

    monkeypatch.setattr(oneshot, "engine_factory", Listening)
    run("train", document, "--fresh", "--seed", 7, "--epochs", 2)
    run("train", document, "--resume")
    assert (asked[0].fresh, asked[0].resume, asked[0].seed, asked[0].epochs) == (True, False, 7, 2)
    assert (asked[1].fresh, asked[1].resume, asked[1].seed, asked[1].epochs) == (False, True, None, None)


def test_fresh_and_resume_contradict_each_other(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("train", document, "--fresh", "--resume")
    assert result.exit_code == 2
    assert "--fresh and --resume cannot go together" in result.stderr
    assert engine.calls == []


def test_cold_start_warnings_are_shown_with_their_remedy(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(warnings=("cold start: tone has 2 of 4 sections",))
    monkeypatch.setattr(oneshot, "engine_factory", lambda: FakeEngine(script))
    result = run("train", document)
    assert "warning: cold start: tone has 2 of 4 sections\n  hint: add tagged sections" in result.stderr


def test_a_failed_run_is_one_sentence_and_exit_1(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(Script(train_error="the loss is not a number any more"))
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    result = run("train", document)
    assert result.exit_code == 1
    assert "Error: the loss is not a number any more\n  hint: lower the learning rate" in result.stderr
    assert engine.calls[-1] == "close"


def test_the_first_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(oneshot, "engine_factory", Interrupting)
    result = run("train", document)
    assert result.exit_code == 130
    assert "run 1 stopped" in result.stderr
    assert "--resume" in result.stderr
    assert "stopping at the next step" in capfd.readouterr().err


def test_ctrl_c_before_the_run_has_begun_leaves_at_once(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StillLoading(FakeEngine):
        def open(self, path):  # type: ignore[no-untyped-def]
            signal.raise_signal(signal.SIGINT)
            return super().open(path)

    engine = StillLoading()
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    result = run("train", document)
    assert result.exit_code == 130
    assert engine.calls == ["close"]


def test_the_second_ctrl_c_kills(document: Path) -> None:
    program = """
import signal, sys
from dlm_core import oneshot
from dlm_tui.cli import main
from tests.fakes.engine import FakeEngine

class Deaf(FakeEngine):
    def train(self, options, emit, stop, between_steps):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        raise AssertionError("still alive")

class DeafOnceRunning(Deaf):
    def train(self, options, emit, stop, between_steps):
        def first(event):
            emit(event)
            Deaf.train(self, options, emit, stop, between_steps)
        return FakeEngine.train(self, options, first, stop, between_steps)

oneshot.engine_factory = DeafOnceRunning
sys.argv = ["dlm", "train", sys.argv[1]]
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(document)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == -signal.SIGINT
    assert "Ctrl-C again leaves at once" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("no_color", ["", "1"])
@pytest.mark.slow
def test_a_terminal_gets_a_bar_with_eta_and_figures(document: Path, no_color: str) -> None:
    program = """
import sys
from dlm_core import oneshot
from dlm_tui.cli import main
from tests.fakes.engine import FakeEngine, Script

oneshot.engine_factory = lambda: FakeEngine(Script(step_delay=0.05))
sys.argv = ["dlm", "train", sys.argv[1]]
main()
"""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color, "COLUMNS": "100"}
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(document)], cwd=ROOT, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
    assert child.wait(timeout=60) == 0
    text = shown.decode()
    assert "training, epoch" in text
    assert "ETA" in text
    assert "openness" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor comes back"
    assert ("\x1b[3" in text) == (not no_color)


def test_a_plan_is_data_and_trains_nothing(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("train", document, "--plan")
    assert result.exit_code == 0 and "train" not in engine.calls
    assert result.stdout.startswith("Trains knowledge (10 rows), tone (10 rows), procedure (10 rows): 2,000")
    planned = json.loads(run("train", document, "--plan", "--json").stdout)
    assert planned["rows"] == {"knowledge": 10, "tone": 10, "procedure": 10} and planned["run_id"] == 0
    assert run("train", document, "--plan", "--watch").exit_code == 2


def test_a_revisions_plan_names_what_is_new_what_is_replayed_and_what_stays() -> None:
    planned = RunPlanned(
        run_id=3,
        adapters=("tone",),
        rows={"tone": 7},
        tokens=500,
        steps=0,
        epochs=12,
        recipe=(),
        reason="1 changed section",
        kind="revision",
        changed={"tone": 1},
        replayed={"tone": 6},
        untouched=("facts",),
        gate=True,
        estimated_s=6.2,
        memory=1_300_000_000,
    )
    assert lines(planned) == [
        "run 3 trains tone (7 rows: 1 changed, 6 replayed): 500 tokens; then the adapter gate",
        "  1 changed section",
        "  untouched: facts",
        "  takes about 6 s, 1.3 GB of memory",
    ]


def test_watching_trains_after_every_save_until_ctrl_c(
    run: Run, document: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = iter([True, True, False])
    monkeypatch.setattr(Saves, "wait", lambda self: next(saves))
    result = run("train", document, "--watch", "--fresh")
    assert result.exit_code == 0
    assert engine.calls.count("train") == 3 and engine.calls.count("close") == 1
    assert "waiting for the next save of guide.dlm" in result.stderr


def test_a_run_that_fails_does_not_end_the_watch(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = iter([True, False])
    monkeypatch.setattr(Saves, "wait", lambda self: next(saves))
    engine = FakeEngine(Script(train_error="the loss is not a number any more"))
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    result = run("train", document, "--watch")
    assert result.exit_code == 0 and engine.calls.count("train") == 2
    assert (
        result.stderr.count("error: the loss is not a number any more\n  hint: lower the learning rate") == 2
    )
