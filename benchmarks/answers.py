"""Compare who answers a reworded question right: the base, search, the trained weights, and both together.

    python -m benchmarks.answers                           the sample documents, each trained once
    python -m benchmarks.answers runbook PATH/help.dlm --seed 42 --seed 43 --output answers.json

A document is named by its sample's name or by a path; probes (`NAME.probes.yaml`, `### Q !probe`) and
`NAME.offtopic.txt` lie beside it. Every seed trains from new adapters in a home of its own, with the base
cache of $DLM_HOME. Prints one JSON object: figures, and how they may come out with other probes (`low` to
`high`, the middle 95 % of 10,000 bootstrap samples of them).
"""

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlm_core.document import load
from dlm_core.document.wordings import count_wordings
from dlm_core.engine import create_engine
from dlm_core.engine_protocol import EvalOptions
from dlm_core.evaluation.answers import Judge, Judgement
from dlm_core.evaluation.probes import all_probes
from dlm_core.evaluation.search import DocumentSearch
from dlm_core.events import Event, RunEnded, TrainEpoch
from dlm_core.reports import Evaluation
from dlm_core.requests import TrainOptions
from dlm_core.store.paths import dlm_home

ROOT = Path(__file__).parents[1]
SAMPLES = ("runbook", "glossary", "writing-partner")
_SAMPLES_DRAWN = 10_000

Figure = dict[str, float]


def bootstrap(values: Sequence[float], seed: int = 0) -> Figure:
    """The mean of one figure a probe, and the middle 95 % of what it is in samples of them (Efron, 1979)."""
    rng = random.Random(seed)
    drawn = sorted(sum(rng.choices(values, k=len(values))) / len(values) for _ in range(_SAMPLES_DRAWN))
    mean = sum(values) / len(values)
    return {
        "mean": round(mean, 4),
        "low": round(drawn[int(0.025 * _SAMPLES_DRAWN)], 4),
        "high": round(drawn[int(0.975 * _SAMPLES_DRAWN)], 4),
    }


def share(part: float, count: int) -> Figure:
    """As `bootstrap`, for a share of `count` probes."""
    yes = round(part * count)
    return bootstrap([1.0] * yes + [0.0] * (count - yes))


def of_judged(judged: Sequence[Judgement]) -> dict[str, Figure]:
    return {
        "right": bootstrap([float(j.right) for j in judged]),
        "f1": bootstrap([j.f1 for j in judged]),
        "verbatim": bootstrap([float(j.verbatim) for j in judged]),
    }


def measured(document: Path, found: Evaluation) -> dict[str, object]:
    """An evaluation's figures with their intervals."""
    parsed = load(document)
    judge, search = Judge(parsed.sections), DocumentSearch(parsed.sections)
    probes = all_probes(parsed, None)
    searched = [judge.judge(search.answer(probe.question), probe.answer) for probe in probes]
    replied = [judge.judge(reply.reply, reply.expected) for reply in found.replies]
    shown: dict[str, Any] = {
        "verbatim": found.recall.verbatim,
        "perplexity_change": found.retention.perplexity / found.retention.perplexity_base - 1,
        "kl": found.retention.kl,
        "routing": found.routing.accuracy,
    }
    if found.answers is not None:
        base = found.answers.base
        shown["answers"] = {
            "base": {
                "right": share(base.right, found.probes),
                "f1": {"mean": round(base.f1, 4)},
                "verbatim": share(base.verbatim, found.probes),
            },
            "search": of_judged(searched),
            "weights": {
                "right": share(found.answers.weights.right, found.probes),
                "f1": {"mean": round(found.answers.weights.f1, 4)},
                "verbatim": share(found.answers.weights.verbatim, found.probes),
            },
        }
        if found.answers.grounded is not None:
            shown["answers"]["grounded"] = of_judged(replied)
            shown["false_facts"] = found.answers.grounded.false_facts
    if found.offtopic is not None:
        strange = found.offtopic
        shown["offtopic"] = {
            "prompts": strange.prompts,
            "same_as_base": share(strange.same_as_base, strange.prompts),
            "leaked": share(strange.leaked, strange.prompts),
            "weight": round(strange.weight, 4),
            "outside": strange.outside,
        }
    if found.support is not None:
        shown["support"] = {"ece": round(found.support.ece, 4), "brier": round(found.support.brier, 4)}
        shown["missed"] = share(found.missed or 0.0, found.probes)
    if found.near_miss is not None:
        shown["near_miss"] = share(found.near_miss.recited, found.near_miss.count)
    if found.retention.chat is not None:
        shown["chat_kl"] = round(found.retention.chat.kl, 4)
    return shown


def measure(document: Path, seed: int, home: Path) -> dict[str, object]:
    """Train a document once from new adapters, and evaluate it."""
    ended: list[RunEnded] = []
    epochs: list[int] = []

    def emit(event: Event) -> None:
        if isinstance(event, RunEnded):
            ended.append(event)
        elif isinstance(event, TrainEpoch):
            epochs.append(event.epoch)

    engine = create_engine(home)
    try:
        engine.open(document)
        wall, cpu = time.perf_counter(), time.process_time()
        run = engine.train(TrainOptions(fresh=True, seed=seed), emit, lambda: False, lambda: None)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found = engine.evaluate(EvalOptions(), emit, lambda: False).evaluation
    finally:
        engine.close()
    wordings = count_wordings(load(document).sections)
    return {
        "document": document.stem,
        "seed": seed,
        "answers_taught": wordings.answers,
        "with_one_wording": len(wordings.single),
        "questions": found.questions,
        "probes": found.probes,
        "train_s": round(wall, 1),
        "train_cpu_s": round(cpu, 1),
        "epochs": max(epochs, default=0),
        "reason": run.reason,
        **measured(document, found),
    }


def path_of(name: str) -> Path:
    """The document that an argument names."""
    return ROOT / "sample_docs" / f"{name}.dlm" if name in SAMPLES else Path(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("documents", nargs="*", default=list(SAMPLES), help="samples by name, others by path")
    parser.add_argument("--seed", type=int, action="append", help="may be given several times (42)")
    parser.add_argument("--output", type=Path, help="write the JSON there as well, after every training")
    options = parser.parse_args()
    found: list[dict[str, object]] = []
    for name in options.documents:
        for seed in options.seed or [42]:
            with tempfile.TemporaryDirectory() as folder:
                shutil.copytree(dlm_home() / "cache", Path(folder) / "cache")
                found.append(measure(path_of(name), seed, Path(folder)))
            if options.output:
                options.output.write_text(json.dumps({"measured": found}, indent=1) + "\n", "utf-8")
    print(json.dumps({"measured": found}, indent=1))


if __name__ == "__main__":
    main()
