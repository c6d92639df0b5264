"""Times of an index: three thousand instruction sections built, one edited, a query, loading it.

    python -m benchmarks.retrieval [--sections N] [--home DIR]

Prints one JSON object, seconds. Sections have one question of about ten words and an answer of about twenty;
queries run on one thread, encoding included. The encoder is fetched into DIR ($DLM_HOME) if it is not there.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from dlm_core.retrieval.encoder import load_encoder
from dlm_core.retrieval.index import Index
from dlm_core.retrieval.passages import Passage
from dlm_core.store.paths import dlm_home
from dlm_core.training.rehearsal import bundled

_QUERIES = 60


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def passages_of(count: int) -> tuple[Passage, ...]:
    """Made-up sections out of the words of neutral English text."""
    rng = random.Random(0)
    words = " ".join(bundled("held_out")).split()

    def stretch(length: int) -> str:
        start = rng.randrange(len(words) - length)
        return " ".join(words[start : start + length])

    return tuple(
        Passage(
            f"{i:064x}", "answer", "help", (f"{stretch(rng.randint(7, 13))} {i}?",), f"{stretch(20)} {i}."
        )
        for i in range(count)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--sections", type=int, default=3000)
    parser.add_argument("--home", type=Path, default=dlm_home())
    asked = parser.parse_args()
    begun = time.perf_counter()
    encoder = load_encoder(asked.home, report=lambda _: None)
    figures: dict[str, object] = {"sections": asked.sections, "threads": torch.get_num_threads()}
    figures["encoder_loaded"] = round(time.perf_counter() - begun, 3)
    passages = passages_of(asked.sections)
    begun = time.perf_counter()
    index = Index.build(passages, encoder)
    figures["built"] = round(time.perf_counter() - begun, 2)
    edits = []
    for i in range(5):
        edited = (*passages[:i], replace(passages[i], text=f"Something else, {i}."), *passages[i + 1 :])
        edits.append(seconds(lambda edited=edited: Index.build(edited, encoder, known=index)))  # type: ignore[misc]
    figures["one_edited"] = round(statistics.median(edits), 4)
    with tempfile.TemporaryDirectory() as folder:
        figures["saved"] = round(seconds(lambda: index.save(Path(folder) / "index")), 3)
        figures["loaded"] = round(seconds(lambda: Index.load(Path(folder) / "index", encoder)), 3)
        figures["megabytes"] = round(
            sum(p.stat().st_size for p in (Path(folder) / "index").iterdir()) / 1e6, 1
        )
    torch.set_num_threads(1)
    prompts = [p.questions[0].rsplit(" ", 1)[0] for p in passages[:_QUERIES]]
    taken = sorted(seconds(lambda prompt=prompt: index.search(prompt)) for prompt in prompts)  # type: ignore[misc]
    encoded = sorted(seconds(lambda prompt=prompt: encoder.encode([prompt])) for prompt in prompts)  # type: ignore[misc]
    figures["query"] = {"median": round(taken[_QUERIES // 2], 4), "p95": round(taken[-_QUERIES // 20], 4)}
    figures["query_encoding"] = round(encoded[_QUERIES // 2], 4)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
