"""The figures of the sample runbook: training time, recall, paraphrase, routing, retention, cost of the gate.

    python -m benchmarks.runbook                 trains in a fresh home, with the base cache of $DLM_HOME
    python -m benchmarks.runbook --keep DIR      leaves the home behind

Prints one JSON object. Run it on an otherwise idle machine.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from dlm_core.engine import Engine, create_engine
from dlm_core.evaluation.measure import Examiner, trained_questions
from dlm_core.evaluation.probes import load_probes
from dlm_core.requests import Message
from dlm_core.store.paths import dlm_home
from dlm_core.training.rehearsal import bundled

ROOT = Path(__file__).parents[1]
DLM = str(Path(sys.executable).with_name("dlm"))


def train(document: Path, home: Path) -> float:
    """Seconds that `dlm train` takes as a whole command, the base being cached."""
    begun = time.perf_counter()
    command = [DLM, "train", str(document), "--fresh"]
    subprocess.run(command, check=True, env=os.environ | {"DLM_HOME": str(home)}, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def first_token(document: Path, home: Path, question: str) -> float:
    """Seconds from the start of `dlm prompt` to the first byte of the reply."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [DLM, "prompt", str(document), question, "--max-tokens", "4"],
        env=os.environ | {"DLM_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.read(1)
    seconds = time.perf_counter() - begun
    process.communicate()
    return seconds


def median_ms(work: Callable[[], object], times: int = 9) -> float:
    taken: list[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def gate_costs(engine: Engine, question: str) -> dict[str, float]:
    """Milliseconds of the gate's MLP, of one embedding, and of one prefill of the same prompt."""
    import torch

    chat = engine._chat
    assert chat is not None and chat.serving.gate is not None and chat.serving.gate.module is not None
    module, embedder = chat.serving.gate.module, chat.embedder
    chat.bank.use(None)
    embedding = embedder.embed([question])
    ids = torch.tensor([chat.base.chat.encode([Message("user", question)], True)])

    def embed() -> None:
        embedder.forget()
        embedder.embed([question])

    def prefill() -> None:
        with torch.inference_mode():
            chat.base.model(input_ids=ids, logits_to_keep=1)

    return {
        "mlp_ms": median_ms(lambda: module(embedding), 99),
        "embedding_ms": median_ms(embed),
        "prefill_ms": median_ms(prefill),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the sample runbook; prints one JSON object.")
    parser.add_argument("--document", type=Path, default=ROOT / "sample_docs" / "runbook.dlm")
    parser.add_argument("--keep", type=Path, help="home to train in, and to leave behind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "cache").exists():
            shutil.copytree(dlm_home() / "cache", home / "cache")
        seconds = train(options.document, home)
        engine = create_engine(home)
        engine.open(options.document)
        document, chat, shop = engine._document, engine._chat, engine._workshop
        assert document is not None and chat is not None and shop is not None
        probes = load_probes(options.document.with_suffix(".probes.yaml"), document.adapter_names)
        found = Examiner(chat, shop.head).examine(document, probes, bundled("held_out"))
        question = trained_questions(document)[0].question
        costs = gate_costs(engine, question)
        engine.close()
        starts = [first_token(options.document, home, question) for _ in range(3)]
        kept = found.retention
        print(
            json.dumps(
                {
                    "train_s": round(seconds, 1),
                    "verbatim": found.recall.verbatim,
                    "paraphrase_f1": found.recall.paraphrase_f1,
                    "paraphrase_f1_base": found.recall.paraphrase_f1_base,
                    "routing_accuracy": found.routing.accuracy,
                    "perplexity_change_auto": kept.perplexity / kept.perplexity_base - 1,
                    "perplexity_change_pinned": {
                        n: d.perplexity / kept.perplexity_base - 1 for n, d in kept.per_adapter.items()
                    },
                    "first_token_s": [round(s, 2) for s in starts],
                    **costs,
                    "evaluation": msgspec.to_builtins(found),
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
