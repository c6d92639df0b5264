"""Replies together against replies one by one, by turns in one process, on a trained document.

    python -m benchmarks.rows --document trained.dlm --home HOME [--rounds 20]

`rows` has the tokens per second of that many rows over those of one, every row under a routing of its
own, drafts off on both sides, prompts read before the clock runs. `questions` has the seconds of the
document's own questions asked one by one, with drafts, over those of `Chat.replies`; `base` has those of
`greedy_replies` over those of `Chat.replies` on the bare base. Ratios are medians of the rounds' own ratios.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dlm_core.surroundings import settle

settle()

import torch  # noqa: E402

from dlm_core.engine import create_engine  # noqa: E402
from dlm_core.evaluation.decode import greedy_replies, room_for  # noqa: E402
from dlm_core.evaluation.measure import trained_questions  # noqa: E402
from dlm_core.inference.chat import Asked, Chat  # noqa: E402
from dlm_core.inference.sampling import Sampler  # noqa: E402
from dlm_core.inference.together import Together  # noqa: E402
from dlm_core.requests import Message, RoutingChoice, Sampling  # noqa: E402

TOKENS = 24
ROWS = (2, 4, 8, 16)
BASE = RoutingChoice(mode="base")
FREE = "Write a short story about a lighthouse keeper and a storm."


def tokens_per_s(chat: Chat, rows: int) -> float:
    """Tokens of all rows per second, once their prompts are read."""
    assert chat.lean is not None
    names = chat.serving.names
    together = Together(chat.lean, chat._decoders.all_stacks(), frozenset(), rows)
    ids = chat.base.chat.encode([Message("user", FREE)], True)
    for row in range(rows):
        weights = {name: (1 + (row + i) % 3) / 6 for i, name in enumerate(names)}
        together.join(row, ids, weights, Sampler(Sampling(temperature=0.7, seed=row)), 10 * TOKENS)
    together.step()  # what was read with the prompts
    begun = time.perf_counter()
    for _ in range(TOKENS):
        together.step()
    return rows * TOKENS / (time.perf_counter() - begun)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def spread(ratios: Sequence[float]) -> dict[str, float]:
    """Median and range of ratios."""
    return {
        "median": round(statistics.median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
        "pairs": len(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--document", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--asked", type=int, default=8, help="questions of a round")
    arguments = parser.parse_args()
    engine = create_engine(arguments.home, "cpu")
    engine.open(arguments.document)
    chat, document = engine._chat, engine._document
    assert chat is not None and document is not None
    probes = trained_questions(document)[: arguments.asked]
    rooms = [Sampling(max_tokens=room_for(p.answer, chat.base)) for p in probes]
    ours = [
        Asked((Message("user", p.question),), RoutingChoice(), room)
        for p, room in zip(probes, rooms, strict=True)
    ]
    bare = [Asked(one.messages, BASE, one.sampling) for one in ours]

    def one_by_one() -> None:
        for one in ours:
            list(chat.generate(one.messages, one.choice, one.sampling, lambda: False))

    one_by_one()
    rows: dict[int, list[float]] = {n: [] for n in ROWS}
    questions: list[float] = []
    base: list[float] = []
    for _ in range(arguments.rounds):
        for n in ROWS:
            alone = tokens_per_s(chat, 1)
            rows[n].append(tokens_per_s(chat, n) / alone)
        questions.append(seconds(one_by_one) / seconds(lambda: list(chat.replies(ours, lambda: False))))
        base.append(
            seconds(lambda: greedy_replies(chat.base, probes, chat.system))
            / seconds(lambda: list(chat.replies(bare, lambda: False)))
        )
    found = {
        "threads": torch.get_num_threads(),
        "rows": {n: spread(ratios) for n, ratios in rows.items()},
        "questions": spread(questions),
        "base": spread(base),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
