"""Write a small data set of word problems in GSM8K's form, to try the recipes on where there is no network.

python make_sums.py sums            # sums.jsonl to train on, sums.test.jsonl with other numbers and names
"""

import argparse
import json
import random
from pathlib import Path

NAMES = ("Mia", "Tom", "Ada", "Ben", "Lea", "Sam", "Ida", "Max", "Eva", "Jon")
THINGS = ("apples", "pens", "coins", "shells", "cards", "stamps", "beads", "books")


def problem(rng: random.Random) -> dict[str, str]:
    """A question of two steps, and its answer, which ends in `#### N`."""
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), rng.randint(1, 9)
    product = a * b
    if rng.random() < 0.5:
        question = (
            f"{name} has {a} boxes with {b} {thing} each and finds {c} more. How many {thing} are there?"
        )
        return _row(question, f"{a} * {b} = {product}. {product} + {c} = {product + c}.", product + c)
    c = min(c, product - 1)
    question = f"{name} has {a} bags of {b} {thing} and gives {c} away. How many {thing} are left?"
    return _row(question, f"{a} * {b} = {product}. {product} - {c} = {product - c}.", product - c)


def _row(question: str, steps: str, answer: int) -> dict[str, str]:
    return {"question": question, "answer": f"{steps}\n#### {answer}"}


def write(prefix: str, train: int, test: int, seed: int = 7) -> tuple[Path, Path]:
    """Two files, none of whose questions is in both."""
    rng, seen, rows = random.Random(seed), set[str](), list[dict[str, str]]()
    while len(rows) < train + test:
        row = problem(rng)
        if row["question"] not in seen:
            seen.add(row["question"])
            rows.append(row)
    files = Path(f"{prefix}.jsonl"), Path(f"{prefix}.test.jsonl")
    for file, part in zip(files, (rows[:train], rows[train:]), strict=True):
        file.write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    return files


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prefix")
    parser.add_argument("--train", type=int, default=400)
    parser.add_argument("--test", type=int, default=60)
    options = parser.parse_args()
    write(options.prefix, options.train, options.test)
