"""The host serves one queue with one engine: what waits, what is superseded, what stops, what goes wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core import requests
from dlm_core.engine_protocol import EngineProtocol
from dlm_core.errors import Stopped
from dlm_core.events import (
    AnyEvent,
    Compared,
    Done,
    Embedded,
    Event,
    Examined,
    ExportDone,
    Failure,
    Ready,
    Reply,
    Routed,
    RunEnded,
    Token,
    TrainStep,
    Working,
)
from dlm_core.host import MAX_LINE_BYTES, Host, Inbox, feed
from dlm_core.requests import (
    AnyRequest,
    Compare,
    Doctor,
    Embed,
    Explain,
    Export,
    Generate,
    Message,
    Open,
    Route,
    Shutdown,
    Stop,
    Train,
    TrainOptions,
)
from tests.fakes.engine import FakeEngine, Script
from tests.fakes.reports import CHECKUP

HELLO = (Message("user", "hello there"),)


class Hosted:
    """A host over a fake engine, run to the end on the requests it is given."""

    def __init__(self, script: Script | None = None) -> None:
        self.engine = FakeEngine(script)
        self.inbox = Inbox()
        self.events: list[AnyEvent] = []
        self.on_event: Callable[[AnyEvent], None] = lambda event: None
        self.host = Host(self.create, self.inbox, self.write, Path("engine.log"))

    def create(self) -> EngineProtocol:
        return self.engine

    def write(self, event: Event) -> None:
        self.events.append(event)  # type: ignore[arg-type]
        self.on_event(event)  # type: ignore[arg-type]

    def put(self, *wanted: AnyRequest) -> "Hosted":
        feed_lines(self, *(requests.encode(r) for r in wanted))
        return self

    def run(self) -> list[AnyEvent]:
        """Serve what waits; the inbox closes itself once nothing does."""
        take = self.inbox.take

        def take_or_close() -> AnyRequest | None:
            return take() if self.inbox._waiting else None

        self.inbox.take = take_or_close  # type: ignore[method-assign]
        self.host.run()
        return self.events

    def of(self, request_id: str) -> list[AnyEvent]:
        return [e for e in self.events if e.request_id == request_id]


def feed_lines(hosted: Hosted, *lines: bytes | None) -> None:
    close, hosted.inbox.close = hosted.inbox.close, list  # type: ignore[method-assign]
    feed(hosted.inbox, iter(lines), hosted.write)
    hosted.inbox.close = close  # type: ignore[method-assign]


def opened(script: Script | None = None) -> Hosted:
    return Hosted(script).put(Open(request_id="open", path="runbook.dlm"))


def test_every_event_carries_the_id_of_its_request_and_done_comes_last() -> None:
    hosted = opened().put(Generate(request_id="ask", messages=HELLO))
    hosted.run()
    kinds = [type(e) for e in hosted.of("ask")]
    assert kinds[0] is Routed
    assert kinds[-2:] == [Reply, Done]
    assert set(kinds[1:-2]) == {Token}
    assert [type(e) for e in hosted.of("open")][-2:] == [Ready, Done]
    assert {e.request_id for e in hosted.events} == {"open", "ask"}


def test_a_newer_route_supersedes_one_that_waits_and_the_old_one_is_done() -> None:
    hosted = opened().put(
        Route(request_id="old", messages=HELLO), Route(request_id="new", messages=(Message("user", "newer"),))
    )
    hosted.run()
    assert [type(e) for e in hosted.of("old")] == [Done]
    assert [type(e) for e in hosted.of("new")] == [Routed, Done]
    assert "route hello there" not in hosted.engine.calls


def test_an_export_says_how_far_it_is_and_where_it_stands(tmp_path: Path) -> None:
    hosted = opened().put(Export(request_id="out", target="gguf", folder=str(tmp_path / "out"), quant="q8_0"))
    hosted.run()
    (done,) = (e for e in hosted.of("out") if isinstance(e, ExportDone))
    assert done.folder == str(tmp_path / "out") and (tmp_path / "out" / "manifest.json").is_file()
    assert any(isinstance(e, Working) for e in hosted.of("out"))
    again = opened().put(Export(request_id="out", target="gguf", folder=str(tmp_path / "out")))
    again.run()
    assert [e.kind for e in again.events if isinstance(e, Failure)] == ["ExportExistsError"]


def test_methods_are_compared_as_asked_and_a_stop_ends_it() -> None:
    hosted = opened().put(Compare(request_id="c", path="runbook.dlm", methods=("lora",)))
    hosted.run()
    assert "compare runbook.dlm lora" in hosted.engine.calls
    assert any(isinstance(e, Compared) for e in hosted.of("c"))
    stopped = opened().put(Compare(request_id="c", path="runbook.dlm"))

    def stop(event: AnyEvent) -> None:
        if isinstance(event, Working):
            stopped.put(Stop(request_id="s", target="c"))

    stopped.on_event = stop
    stopped.run()
    assert [e.kind for e in stopped.of("c") if isinstance(e, Failure)] == ["Stopped"]


def test_the_doctor_is_asked_without_a_document_and_between_two_steps() -> None:
    hosted = Hosted().put(Doctor(request_id="d", path="runbook.dlm"))
    hosted.run()
    assert [e.checkup for e in hosted.of("d") if isinstance(e, Examined)] == [CHECKUP]
    training = opened(Script(steps=4)).put(Train(request_id="train"))

    def ask(event: AnyEvent) -> None:
        if isinstance(event, TrainStep) and event.step == 2:
            training.put(Doctor(request_id="d", path="runbook.dlm"))

    training.on_event = ask
    training.run()
    order = [type(e) for e in training.events if isinstance(e, TrainStep | Examined)]
    assert order.index(Examined) == 2


def test_between_two_training_steps_chat_is_served() -> None:
    hosted = opened(Script(steps=4)).put(Train(request_id="train"))

    def ask_after_second_step(event: AnyEvent) -> None:
        if isinstance(event, TrainStep) and event.step == 2:
            hosted.put(Generate(request_id="ask", messages=HELLO), Route(request_id="route", messages=HELLO))

    hosted.on_event = ask_after_second_step
    hosted.run()
    reply = next(e for e in hosted.of("ask") if isinstance(e, Reply))
    assert reply.during_run == 1
    assert any(isinstance(e, Routed) for e in hosted.of("route"))
    order = [e for e in hosted.events if isinstance(e, TrainStep | Reply)]
    assert [getattr(e, "step", "reply") for e in order] == [1, 2, "reply", 3, 4]
    assert {e.request_id for e in hosted.events if isinstance(e, TrainStep)} == {"train"}


def test_texts_get_their_vectors_without_an_open_document_and_between_training_steps() -> None:
    alone = Hosted(Script(encoder=True)).put(Embed(request_id="e", texts=("What?", "so")))
    alone.run()
    (found,) = [event for event in alone.events if isinstance(event, Embedded)]
    assert (found.width, len(found.vectors)) == (2, 16)
    hosted = opened(Script(steps=3)).put(Train(request_id="train"))

    def ask_after_first_step(event: AnyEvent) -> None:
        if isinstance(event, TrainStep) and event.step == 1:
            hosted.put(Embed(request_id="e", texts=("What?",)))

    hosted.on_event = ask_after_first_step
    hosted.run()
    order = [type(e) for e in hosted.events if isinstance(e, TrainStep | Embedded)]
    assert order == [TrainStep, Embedded, TrainStep, TrainStep]


def test_the_line_being_typed_is_routed_while_a_reply_streams() -> None:
    hosted = opened().put(Generate(request_id="ask", messages=HELLO))

    def type_after_first_token(event: AnyEvent) -> None:
        if isinstance(event, Token) and not hosted.of("typed"):
            hosted.put(Route(request_id="typed", messages=(Message("user", "next"),)))

    hosted.on_event = type_after_first_token
    hosted.run()
    order = [type(e) for e in hosted.events if e.request_id in ("ask", "typed")]
    assert order.index(Done) < order.index(Reply)
    assert any(isinstance(e, Routed) for e in hosted.of("typed"))


def test_opening_waits_until_the_run_is_over() -> None:
    hosted = opened().put(Train(request_id="train"), Open(request_id="again", path="other.dlm"))
    hosted.run()
    assert hosted.engine.calls == ["open runbook.dlm", "train", "open other.dlm", "close"]


def test_of_several_trainings_that_wait_the_newest_runs() -> None:
    hosted = opened().put(Train(request_id="t1"), Train(request_id="t2"), Train(request_id="t3", fresh=True))
    hosted.run()
    assert hosted.engine.runs == 1
    assert [type(e) for e in hosted.of("t1")] == [Done]


def test_a_failing_reply_during_a_run_leaves_the_run_alone() -> None:
    hosted = opened(Script(steps=3, raise_on="hello")).put(Train(request_id="train"))
    hosted.on_event = lambda e: (
        hosted.put(Generate(request_id="ask", messages=HELLO))
        if isinstance(e, TrainStep) and e.step == 1
        else None
    )
    hosted.run()
    assert [type(e) for e in hosted.of("ask")] == [Failure, Done]
    assert next(e for e in hosted.of("train") if isinstance(e, RunEnded)).status == "done"


@pytest.mark.parametrize("target", ["train", ""])
def test_stop_ends_a_run_at_its_next_step(target: str) -> None:
    hosted = opened(Script(steps=50)).put(Train(request_id="train"))
    hosted.on_event = lambda e: (
        hosted.put(Stop(request_id="stop", target=target))
        if isinstance(e, TrainStep) and e.step == 3
        else None
    )
    hosted.run()
    ended = next(e for e in hosted.events if isinstance(e, RunEnded))
    assert ended.status == "stopped"
    assert max(e.step for e in hosted.events if isinstance(e, TrainStep)) == 3


def test_stop_ends_a_reply_at_its_next_token_and_keeps_what_was_said() -> None:
    hosted = opened(Script(reply="one two three four")).put(Generate(request_id="ask", messages=HELLO))
    hosted.on_event = lambda e: (
        hosted.put(Stop(request_id="stop", target="ask"))
        if isinstance(e, Token) and e.text == " two"
        else None
    )
    hosted.run()
    reply = next(e for e in hosted.events if isinstance(e, Reply))
    assert (reply.finish_reason, reply.reply) == ("interrupted", "one two")


def test_stop_of_a_reply_does_not_stop_the_run_around_it() -> None:
    hosted = opened(Script(steps=4, reply="one two three")).put(Train(request_id="train"))

    def act(event: AnyEvent) -> None:
        if isinstance(event, TrainStep) and event.step == 1:
            hosted.put(Generate(request_id="ask", messages=HELLO))
        if isinstance(event, Token) and event.text == "one":
            hosted.put(Stop(request_id="stop", target="ask"))

    hosted.on_event = act
    hosted.run()
    assert next(e for e in hosted.events if isinstance(e, Reply)).finish_reason == "interrupted"
    assert next(e for e in hosted.events if isinstance(e, RunEnded)).status == "done"


def test_stop_withdraws_what_only_waits() -> None:
    hosted = opened().put(Generate(request_id="ask", messages=HELLO), Stop(request_id="stop", target="ask"))
    hosted.run()
    assert [type(e) for e in hosted.of("ask")] == [Done]
    assert [type(e) for e in hosted.of("stop")] == [Done]


@pytest.mark.parametrize("how", ["shutdown", "end of input"])
def test_shutdown_and_the_end_of_input_stop_the_run_with_a_checkpoint(how: str) -> None:
    hosted = opened(Script(steps=50)).put(
        Train(request_id="train"), Explain(request_id="why", messages=HELLO)
    )

    def leave(event: AnyEvent) -> None:
        if isinstance(event, TrainStep) and event.step == 2:
            if how == "shutdown":
                hosted.put(Shutdown(request_id="bye"))
            else:
                feed(hosted.inbox, iter([]), hosted.write)

    hosted.on_event = leave
    hosted.run()
    ended = next(e for e in hosted.events if isinstance(e, RunEnded))
    assert (ended.status, ended.checkpoint) == ("stopped", "step-2")
    assert hosted.engine.calls[-1] == "close"


def test_an_engines_error_reaches_the_person_with_its_class_and_hint() -> None:
    hosted = Hosted(Script(open_error="no base \x1b[2J")).put(Open(request_id="open", path="x.dlm"))
    hosted.run()
    failure = next(e for e in hosted.events if isinstance(e, Failure))
    assert (failure.kind, failure.message, failure.hint) == ("DlmError", "no base ␛[2J", "try another base")


def test_an_unforeseen_error_is_a_sentence_that_names_the_log(caplog: pytest.LogCaptureFixture) -> None:
    hosted = opened(Script(raise_on="hello")).put(Generate(request_id="ask", messages=HELLO))
    hosted.run()
    failure = next(e for e in hosted.events if isinstance(e, Failure))
    assert failure.message == "the engine met an unexpected ZeroDivisionError"
    assert "engine.log" in failure.hint
    assert "a fault in the fake engine" in caplog.text


def test_asking_before_opening_is_refused() -> None:
    hosted = Hosted().put(Generate(request_id="ask", messages=HELLO))
    hosted.run()
    assert [type(e) for e in hosted.of("ask")] == [Failure, Done]


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b"not json", ""),
        (b"[1, 2]", ""),
        (b"\xff\xfe", ""),
        (b'{"type":"dance","request_id":"7"}', "7"),
        (b'{"type":"generate","request_id":"8"}', "8"),
        (b'{"type":"explain","request_id":"9","messages":[],"nearest":-1}', "9"),
        (b"[" * 100_000, ""),
        (None, ""),
    ],
)
def test_a_malformed_line_is_answered_and_the_next_one_served(line: bytes | None, request_id: str) -> None:
    hosted = Hosted()
    feed_lines(hosted, line, b"  ", requests.encode(Open(request_id="open", path="x.dlm")))
    hosted.run()
    assert isinstance(hosted.events[0], Failure)
    assert hosted.events[0].request_id == request_id
    assert isinstance(hosted.of(request_id)[-1], Done) or not request_id
    assert any(isinstance(e, Ready) for e in hosted.of("open"))


@given(
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["type", "request_id", "messages", "target", "x"]), inner, max_size=4
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_a_line_holds_it_is_taken_or_answered(line: bytes) -> None:
    hosted = Hosted()
    feed_lines(hosted, line)
    taken = bool(hosted.inbox._waiting)
    assert taken or hosted.events or not line.strip()


def test_options_of_a_training_reach_the_engine() -> None:
    hosted = opened()
    seen: list[TrainOptions] = []
    train = hosted.engine.train
    hosted.engine.train = lambda options, *rest: (seen.append(options), train(options, *rest))[1]  # type: ignore[method-assign]
    asked = Train(request_id="t", fresh=True, seed=7, epochs=1, keep=True, keep_versions=3)
    hosted.put(asked).run()
    assert seen == [asked]


def test_the_length_of_a_line_has_a_bound() -> None:
    assert MAX_LINE_BYTES <= 64 * 1024 * 1024


def test_a_stop_reaches_an_engine_that_fetches_its_base() -> None:
    hosted = Hosted()

    def fetch(path: Path) -> Ready:
        assert not hosted.engine.should_stop()
        hosted.inbox.put(Stop(request_id="s", target="o"))
        assert hosted.engine.should_stop()
        raise Stopped("stopped while downloading the base")

    hosted.engine.open = fetch  # type: ignore[method-assign]
    hosted.put(Open(request_id="o", path="a.dlm")).run()
    assert [e.kind for e in hosted.of("o") if isinstance(e, Failure)] == ["Stopped"]
