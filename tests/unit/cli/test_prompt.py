"""`dlm prompt`: the reply alone on stdout, routing above it, JSON as promised, and flags that contradict."""

import json
import signal
from pathlib import Path

import pytest

from dlm_core import oneshot
from tests.fakes.engine import FakeEngine, Script
from tests.unit.cli.conftest import Run


def test_stdout_is_the_reply_alone(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("prompt", document, "what is knowledge?")
    assert result.exit_code == 0
    assert result.stdout == "Turn 1, auto: what is knowledge?\n"
    assert result.stderr == ""


def test_the_prompt_may_come_from_stdin(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("prompt", document, stdin="from a pipe\n")
    assert result.stdout == "Turn 1, auto: from a pipe\n"


def test_an_empty_prompt_is_a_usage_error(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("prompt", document, stdin="\n")
    assert result.exit_code == 2
    assert "the prompt is empty" in result.stderr
    assert engine.calls == []


def test_bars_show_every_adapter_with_its_weight(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("prompt", document, "hello", "--bars", "--adapter-mix", "tone:3,knowledge:1")
    assert result.stdout == "Turn 1, mix: hello\n"
    assert "routing: mix (weights by hand)" in result.stderr
    assert [line.split()[-1] for line in result.stderr.splitlines()[1:4]] == ["0.25", "0.75", "0.00"]


def test_json_has_the_keys_that_are_promised(run: Run, document: Path, engine: FakeEngine) -> None:
    result = run("prompt", document, "hello", "--adapter", "tone", "--json")
    reply = json.loads(result.stdout)
    promised = ["reply", "finish_reason", "routing", "openness", "timing", "version", "citation", "grounded"]
    assert list(reply) == [*promised, "overruled"]
    assert reply["routing"] == {
        "mode": "pin",
        "weights": {"knowledge": 0.0, "tone": 1.0, "procedure": 0.0},
        "reason": "pinned to tone",
        "outside": None,
        "base": 0.0,
    }
    assert set(reply["openness"]) == {"tone"}
    assert set(reply["openness"]["tone"]) == {"mean", "per_layer", "layers"}
    promised = {"load_s", "route_s", "first_token_s", "tokens_per_s", "tokens"}
    assert set(reply["timing"]) == promised | {"drafted", "accepted"}


def test_sampling_and_system_flags_reach_the_engine(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Listening(FakeEngine):
        def generate(self, messages, choice, sampling, stop):  # type: ignore[no-untyped-def]
            asked.append((messages, sampling))
            return super().generate(messages, choice, sampling, stop)

    monkeypatch.setattr(oneshot, "engine_factory", Listening)
    flags: dict[str, object] = {"max-tokens": 7, "temperature": 0.5, "top-p": 0.9, "top-k": 3, "seed": 11}
    given = [f"--{name}={value}" for name, value in flags.items()]
    assert run("prompt", document, "hello", "--system", "Brief.", *given).exit_code == 0
    messages, sampling = asked[0]
    assert [(m.role, m.content) for m in messages] == [("system", "Brief."), ("user", "hello")]
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (7, 0.5, 0.9)
    assert (sampling.top_k, sampling.seed) == (3, 11)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--adapter", "tnoe"], "did you mean `tone`?"),
        (["--adapter", "tone", "--adapter-mix", "tone:1"], "--adapter and --adapter-mix"),
        (["--adapter", "tone", "--gate", "off"], "--gate off and --adapter"),
        (["--adapter-mix", "tone:-1"], "negative"),
        (["--adapter-mix", "tone:0"], "add up to 0"),
        (["--gate", "sometimes"], "'auto', 'off'"),
        (["--max-tokens", "0"], "--max-tokens"),
        (["--temperature", "nan"], "temperature"),
        (["--top-p", "nan"], "top_p"),
        (["--temprature", "1"], "--temperature"),
    ],
)
def test_a_wrong_request_says_what_is_right_before_the_base_is_loaded(
    run: Run, document: Path, engine: FakeEngine, flags: list[str], said: str
) -> None:
    result = run("prompt", document, "hello", *flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert engine.calls == []


def test_escape_sequences_of_a_model_are_shown_not_obeyed(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oneshot, "engine_factory", lambda: FakeEngine(Script(reply="a \x1b[2J \x9b1m b")))
    for flags in ([], ["--json"]):
        result = run("prompt", document, "hello", *flags)
        assert "\x1b" not in result.output
        assert "\x9b" not in result.output
    assert json.loads(result.stdout)["reply"] == "a \x1b[2J \x9b1m b"


def test_ctrl_c_keeps_the_part_that_was_said(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(FakeEngine):
        def generate(self, messages, choice, sampling, stop):  # type: ignore[no-untyped-def]
            for n, event in enumerate(super().generate(messages, choice, sampling, stop)):
                if n == 2:
                    signal.raise_signal(signal.SIGINT)
                yield event

    monkeypatch.setattr(oneshot, "engine_factory", Interrupting)
    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run behind a shell's `&`
    result = run("prompt", document, "a long question", "--json")
    assert result.exit_code == 130
    assert json.loads(result.stdout)["finish_reason"] == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


def test_the_engine_is_closed_when_it_fails(
    run: Run, document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(Script(generate_error="the base speaks in riddles"))
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    result = run("prompt", document, "hello")
    assert result.exit_code == 1
    assert "Error: the base speaks in riddles\n  hint: ask something else" in result.stderr
    assert engine.calls[-1] == "close"
