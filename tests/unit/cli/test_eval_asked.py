"""`dlm eval --asked`: what was judged in the chat is asked again."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from dlm_core import oneshot
from dlm_core.document import load
from dlm_core.events import Reply, Routed, Token
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.store.asked import AskedQuestions
from dlm_core.store.paths import StorePaths, dlm_home
from tests.fakes.engine import FakeEngine
from tests.unit.cli.conftest import Run

NOW = {"who": "Ada does.", "how many": "Five hundred.", "where": "Here.", "why": "No idea."}


class Answering(FakeEngine):
    """Says what `NOW` has, and remembers what it was asked behind what."""

    asked: list[tuple[str, ...]]

    def generate(
        self, messages: Sequence[Message], choice: RoutingChoice, sampling: Sampling, stop: object
    ) -> Iterator[Routed | Token | Reply]:
        self.asked.append(tuple(message.content for message in messages))
        for event in super().generate(messages, choice, sampling, lambda: False):
            if isinstance(event, Reply):
                event = structs.replace(event, reply=NOW[messages[-1].content])
            yield event


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Answering:
    engine = Answering()
    engine.asked = []
    monkeypatch.setattr(oneshot, "engine_factory", lambda: engine)
    return engine


@pytest.fixture
def judged(document: Path) -> AskedQuestions:
    paths = StorePaths(dlm_home(), load(document).dlm_id)
    paths.root.mkdir(parents=True, exist_ok=True)
    kept = AskedQuestions(paths.asked)

    def said(*texts: str) -> tuple[Message, ...]:
        return tuple(Message("assistant" if n % 2 else "user", text) for n, text in enumerate(texts))

    kept.keep(said("hello", "Hi.", "who"), "Ada does.", "right", "Ada does.")
    kept.keep(said("how many"), "Four hundred.", "right", "Four hundred pieces.")
    kept.keep(said("where"), "There.", "wrong")
    kept.keep(said("why"), "No idea.", "wrong")
    kept.keep(said("unjudged"), "Never mind.")
    return kept


def test_it_is_said_what_is_right_now(
    run: Run, document: Path, answering: Answering, judged: AskedQuestions
) -> None:
    shown = run("eval", document, "--asked")
    assert shown.exit_code == 0, shown.stderr
    assert answering.asked[0] == ("hello", "Hi.", "who")
    assert [asked[-1] for asked in answering.asked] == ["who", "how many", "where", "why"]
    assert "wrong: how many\n  expected: Four hundred pieces.\n  replied:  Five hundred.\n" in shown.stdout
    assert "wrong: why\n  replied:  No idea.\n" in shown.stdout and "Ada" not in shown.stdout
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["right", "2", "2", "1"] in rows and ["wrong", "2", "-", "-"] in rows
    assert "1 that was wrong has another reply now" in shown.stdout


def test_json_has_every_question(
    run: Run, document: Path, answering: Answering, judged: AskedQuestions
) -> None:
    found = json.loads(run("eval", document, "--asked", "--json").stdout)
    assert (found["asked"], found["right"]) == (4, 1)
    assert [question["right"] for question in found["questions"]] == [True, False, None, False]


def test_where_nothing_was_judged_that_is_said(run: Run, document: Path, answering: Answering) -> None:
    shown = run("eval", document, "--asked")
    assert shown.exit_code == 1 and "was found right or wrong yet" in shown.stderr and not answering.asked


def test_it_goes_with_no_probes(run: Run, document: Path, answering: Answering) -> None:
    assert run("eval", document, "--asked", "--probes", document).exit_code == 2
