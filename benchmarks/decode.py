"""How fast replies come, as ratios in one alternating run: bank against bare base, lean forward against
transformers with PEFT, taught replies against llama.cpp, routing as one types, and memory at chat.

    python -m benchmarks.decode --document trained.dlm --home HOME
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlm_core.surroundings import settle

settle()

import torch  # noqa: E402

from benchmarks import rivals  # noqa: E402
from dlm_core.bases.registry import parse_base_name  # noqa: E402
from dlm_core.bases.sources import find_base  # noqa: E402
from dlm_core.engine import Engine, create_engine  # noqa: E402
from dlm_core.events import Reply  # noqa: E402
from dlm_core.inference.chat import Chat  # noqa: E402
from dlm_core.requests import Message, RoutingChoice, Sampling  # noqa: E402

FREE = "Write a short story about a lighthouse keeper and a storm."
TOKENS = 48
PAIRS = 4
"""Replies with and without the bank by turns in every round: a ratio near 1 takes more of them."""
EVERY = RoutingChoice(mode="off")  # all three adapters active
BARE = RoutingChoice(mode="base")
TYPED = (
    "Case {}: the nightly settlement job failed halfway through, some merchants have been paid twice and "
    "others not at all, so what should I do now?"
)


def ask(engine: Engine, question: str, choice: RoutingChoice, tokens: int, **sampling: Any) -> Reply:
    settings = Sampling(max_tokens=tokens, **sampling)
    events = list(engine.generate((Message("user", question),), choice, settings, lambda: False))
    assert isinstance(events[-1], Reply)
    return events[-1]


def opened(document: Path, home: Path) -> tuple[Engine, Chat]:
    engine = create_engine(home)
    engine.open(document)
    assert engine._chat is not None
    return engine, engine._chat


def memory(document: Path, home: Path) -> float:
    """Peak resident memory of this process after a chat of two replies, in GB (10^9 bytes)."""
    engine, _ = opened(document, home)
    ask(engine, FREE, RoutingChoice(), 24)
    ask(engine, "The payout queue keeps growing. What do I do?", RoutingChoice(), 24)
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found.group(1)) * 1024 / 1e9


def typing(engine: Engine) -> dict[str, float]:
    """Milliseconds of routing a fresh prompt of about thirty tokens, and of each further word of it."""
    whole, words = [], []
    for case in range(5):
        text = TYPED.format(case)
        begun = time.perf_counter()
        engine.route((Message("user", text),), RoutingChoice())
        whole.append((time.perf_counter() - begun) * 1e3)
        begun = time.perf_counter()
        engine.route((Message("user", text + " Quickly!"),), RoutingChoice())
        words.append((time.perf_counter() - begun) * 1e3)
    return {"route_fresh_ms": statistics.median(whole), "route_next_word_ms": statistics.median(words)}


def skipped(make: Callable[[], rivals.Speed], notes: dict[str, str], name: str) -> rivals.Speed | None:
    try:
        return make()
    except (OSError, RuntimeError) as error:
        notes[name] = f"skipped: {error}"
        return None


def measure(document: Path, home: Path, rounds: int) -> dict[str, Any]:
    engine, chat = opened(document, home)
    base = engine._document.frontmatter.base_model  # type: ignore[union-attr]
    folder = find_base(parse_base_name(base, document.parent), home=home, report=lambda _: None)
    prompt = chat.base.chat.encode([Message("user", FREE)], True)
    from dlm_core.document.model import SectionKind

    questions = [
        q.question
        for s in engine._document.sections  # type: ignore[union-attr]
        if s.kind is SectionKind.INSTRUCTION
        for q in s.questions
    ][:: max(1, 30 // 3)]
    notes: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        peft = skipped(lambda: rivals.peft_three_loras(folder.path, chat), notes, "peft")
        llama = skipped(
            lambda: rivals.llama_cpp(Path(scratch), chat, torch.get_num_threads()), notes, "llama.cpp"
        )
        speeds: dict[str, list[float]] = {}
        pairs: list[float] = []
        drafted = accepted = 0

        def note(name: str, speed: float) -> None:
            speeds.setdefault(name, []).append(speed)

        def fresh(question: str, choice: RoutingChoice, tokens: int, **sampling: Any) -> Reply:
            chat._cache.drop()
            return ask(engine, question, choice, tokens, **sampling)

        for turn in range(rounds + 1):
            for pair in range(PAIRS):
                sampled = {"temperature": 0.8, "seed": turn * PAIRS + pair}
                bank = fresh(FREE, EVERY, TOKENS, **sampled).timing.tokens_per_s
                bare = fresh(FREE, BARE, TOKENS, **sampled).timing.tokens_per_s
                if turn:
                    note("bank, free text", bank)
                    note("bare base, free text", bare)
                    pairs.append(bank / bare)
            found = {}
            if peft is not None:
                found["transformers + PEFT, free text"] = peft(prompt, 16)
            taught, plain = 0.0, 0.0
            for question in questions:
                timing = fresh(question, RoutingChoice(), 64).timing
                taught += timing.tokens_per_s / len(questions)
                drafted, accepted = drafted + timing.drafted, accepted + timing.accepted
                chat.drafting = False
                plain += fresh(question, RoutingChoice(), 64).timing.tokens_per_s / len(questions)
                chat.drafting = True
            found["bank, taught replies, drafted"] = taught
            found["bank, taught replies, not drafted"] = plain
            if llama is not None:
                found["llama.cpp Q8_0, three LoRAs"] = llama(prompt, TOKENS)
            for name, speed in found.items():
                if turn:  # the first round warms up
                    note(name, speed)
        typed = typing(engine)
    middle = {name: statistics.median(values) for name, values in speeds.items()}

    def ratio(one: str, other: str) -> float | None:
        return middle[one] / middle[other] if one in middle and other in middle else None

    return {
        "tokens_per_s": middle,
        "bank_to_bare": statistics.median(pairs),
        "bank_to_bare_quartiles": statistics.quantiles(pairs, n=4),
        "free_text_to_peft": ratio("bank, free text", "transformers + PEFT, free text"),
        "taught_to_llama_cpp": ratio("bank, taught replies, drafted", "llama.cpp Q8_0, three LoRAs"),
        "drafts_kept": accepted / max(drafted, 1),
        **typed,
        "notes": notes,
    }


def peak(precision: str, options: argparse.Namespace) -> float | str:
    """`memory` in a process of its own, with the base's weights in that number format."""
    command = [sys.executable, "-m", "benchmarks.decode", "--memory"]
    command += ["--document", str(options.document), "--home", str(options.home)]
    environ = {**os.environ, "DLM_WEIGHTS": precision}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return float(json.loads(done.stdout)) if done.returncode == 0 else done.stderr[-300:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", type=Path, required=True, help="a trained document")
    parser.add_argument("--home", type=Path, required=True, help="the home that holds its store and base")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory", action="store_true", help="only the peak memory of this process")
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(memory(options.document, options.home)))
        return
    # First, while no other process of this run has the weights' file mapped: pages in use elsewhere stay.
    peaks = {f"peak_gb_{p}": peak(p, options) for p in ("float32", "float16", "int8")}
    found = {**measure(options.document, options.home, options.rounds), **peaks}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
