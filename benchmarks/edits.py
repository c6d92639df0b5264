"""Twenty rounds of editing and retraining the sample runbook: what they take, and what other sections lose.

    python -m benchmarks.edits --home DIR      goes on from where it was; run it until it prints figures

Every round gives one question another answer, trains on an engine that stays in memory, and asks. Twelve of
the thirty sections are edited, eight of them twice. At the end every question is asked, and neutral text
read; then the same after a fresh training of the last text. Begins nothing new after `--seconds`, keeps what
it found in DIR, and prints one JSON object when all is done. Run it on an otherwise idle machine.
"""

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec
import yaml

from dlm_core.document.parse import load
from dlm_core.engine import Engine, create_engine
from dlm_core.evaluation.measure import Examiner
from dlm_core.events import Event, RunPlanned, Token, TrainStep
from dlm_core.requests import Message, RoutingChoice, Sampling, TrainOptions
from dlm_core.store.paths import dlm_home
from dlm_core.training.rehearsal import bundled

ROOT = Path(__file__).parents[1]
EDITS = Path(__file__).with_name("runbook.edits.yaml")


@dataclass
class Round:
    """One edit: seconds from the save to the committed version and to the first token; what the run said."""

    warm: bool
    trained_s: float
    first_token_s: float
    run_s: float
    steps: int
    tokens: int
    adapters: list[str]
    recall: float | None
    perplexity: float | None
    perplexity_base: float | None
    learned: bool


@dataclass
class State:
    """What was found so far."""

    rounds: list[Round] = field(default_factory=list)
    trained_s: float | None = None
    after: dict[str, object] = field(default_factory=dict)
    fresh: dict[str, object] = field(default_factory=dict)


class Bench:
    """A copy of the runbook with a home of its own, and the state file beside it."""

    def __init__(self, folder: Path, document: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.path = folder / document.name
        if not self.path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(document, self.path)
        if not (self.home / "cache").exists():
            shutil.copytree(dlm_home() / "cache", self.home / "cache")
        self._file = folder / "state.json"
        text = self._file.read_bytes() if self._file.exists() else b"{}"
        self.state = msgspec.json.decode(text, type=State)
        self.edits = [(e["question"], e["answer"]) for e in yaml.safe_load(EDITS.read_text("utf-8"))]
        self.touched = frozenset(question for question, _ in self.edits)

    def save(self) -> None:
        self._file.write_text(json.dumps(asdict(self.state), indent=1))

    def edit(self, turn: int) -> tuple[str, str]:
        """Give the question of this round its new answer, and save the document."""
        question, answer = self.edits[turn]
        text = self.path.read_text("utf-8")
        found = next(q for s in load(self.path).sections for q in s.questions if q.question == question)
        self.path.write_text(text.replace(found.answer.strip(), answer), "utf-8")
        return question, answer

    def round(self, engine: Engine, turn: int, *, warm: bool) -> Round:
        """One edit, from the save to the first token of the reply to its question."""
        question, answer = self.edit(turn)
        events: list[Event] = []
        begun = time.perf_counter()
        ended = engine.train(TrainOptions(), events.append, lambda: False, lambda: None)
        trained = time.perf_counter() - begun
        reply, first = "", 0.0
        for event in ask(engine, question):
            if isinstance(event, Token):
                first = first or time.perf_counter() - begun
                reply += event.text
        steps = [e for e in events if isinstance(e, TrainStep)]
        planned = next(e for e in events if isinstance(e, RunPlanned))
        return Round(
            warm=warm,
            trained_s=round(trained, 2),
            first_token_s=round(first, 2),
            run_s=round(ended.seconds, 2),
            steps=max((e.step for e in steps), default=0),
            tokens=planned.tokens,
            adapters=list(planned.adapters),
            recall=ended.recall,
            perplexity=ended.retention.get("perplexity"),
            perplexity_base=ended.retention.get("perplexity_base"),
            learned=reply.strip() == answer,
        )

    def examine(self, engine: Engine) -> dict[str, object]:
        """Recall of edited and untouched sections, decoded, and perplexity on neutral text; gate in auto."""
        document, chat, shop = engine._document, engine._chat, engine._workshop
        assert document is not None and chat is not None and shop is not None
        right: dict[bool, list[bool]] = {True: [], False: []}
        for section in document.sections:
            for q in section.questions:
                reply = "".join(e.text for e in ask(engine, q.question) if isinstance(e, Token))
                right[q.question in self.touched].append(reply.strip() == q.answer.strip())
        found = Examiner(chat, shop.head).examine(replace(document, sections=()), [], bundled("held_out"))
        return {
            "recall_untouched": statistics.mean(right[False]),
            "recall_edited": statistics.mean(right[True]),
            "perplexity": found.retention.perplexity,
            "perplexity_base": found.retention.perplexity_base,
            "kl": found.retention.kl,
        }


def ask(engine: Engine, question: str, limit: int = 96) -> Iterator[Event]:
    sampling = Sampling(max_tokens=limit)
    return engine.generate([Message("user", question)], RoutingChoice(), sampling, lambda: False)


def summary(state: State) -> dict[str, object]:
    """The figures of a finished bench."""
    warm = [r for r in state.rounds if r.warm]
    return {
        "rounds": len(state.rounds),
        "learned": sum(r.learned for r in state.rounds),
        "edit_to_first_token_s": {
            "median": statistics.median(r.first_token_s for r in warm),
            "max": max(r.first_token_s for r in warm),
            "cold": [r.first_token_s for r in state.rounds if not r.warm],
        },
        "run_s_median": statistics.median(r.run_s for r in warm),
        "steps_median": statistics.median(r.steps for r in warm),
        "first_training_s": state.trained_s,
        "after_rounds": state.after,
        "fresh_training": state.fresh,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Edit and retrain the runbook twenty times; prints one JSON object."
    )
    parser.add_argument(
        "--home", type=Path, required=True, help="folder for the document, its store and the state"
    )
    parser.add_argument("--document", type=Path, default=ROOT / "sample_docs" / "runbook.dlm")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=200.0, help="begin nothing new after so long")
    options = parser.parse_args()
    bench = Bench(options.home, options.document)
    state, begun = bench.state, time.perf_counter()

    def time_left() -> bool:
        return bool(time.perf_counter() - begun < options.seconds)

    engine = create_engine(bench.home)
    engine.open(bench.path)
    warm = False
    if state.trained_s is None:
        started = time.perf_counter()
        engine.train(TrainOptions(), lambda _: None, lambda: False, lambda: None)
        state.trained_s, warm = round(time.perf_counter() - started, 1), True
        bench.save()
    for _ in ask(engine, bench.edits[0][0], 4):
        pass
    while len(state.rounds) < options.rounds and time_left():
        state.rounds.append(bench.round(engine, len(state.rounds), warm=warm))
        warm = True
        bench.save()
    if len(state.rounds) == options.rounds and not state.after and time_left():
        state.after = bench.examine(engine)
        bench.save()
    if state.after and not state.fresh and time_left():
        other = bench.folder / "fresh" / bench.path.name
        if not other.exists():
            (other.parent / "home").mkdir(parents=True)
            shutil.copy(bench.path, other)
            (other.parent / "home" / "cache").symlink_to((bench.home / "cache").absolute())
        engine.close()
        again = create_engine(other.parent / "home")
        again.open(other)
        again.train(TrainOptions(), lambda _: None, lambda: False, lambda: None)
        state.fresh = bench.examine(again)
        bench.save()
    done = bool(state.fresh)
    print(json.dumps(summary(state) if done else {"rounds": len(state.rounds), "go_on": True}, indent=2))


if __name__ == "__main__":
    main()
