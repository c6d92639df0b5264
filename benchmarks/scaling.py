"""How cost grows with the number of sections, adapters and ranks and with the length of a conversation, and
what a document of five megabytes costs.

    python -m benchmarks.scaling [--home DIR] [--axes sections adapters rank history large] [--plot DIR]

Every axis gives its points, in seconds, and `growth`: the slope of log seconds over log size through the
upper half of them. 1 is linear; less means that something else still outweighs what grows. With `--plot` each
axis is drawn as an SVG too (needs matplotlib).
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dlm_core.surroundings import settle

settle()

import torch  # noqa: E402

from dlm_core.adapters.bank import Bank  # noqa: E402
from dlm_core.adapters.flat import FlatAdapters  # noqa: E402
from dlm_core.adapters.spec import AdapterSpec, GateShape  # noqa: E402
from dlm_core.adapters.targets import resolve_targets  # noqa: E402
from dlm_core.adapters.weights import AdapterWeights  # noqa: E402
from dlm_core.bases.load import load_base, outline_base  # noqa: E402
from dlm_core.bases.placement import choose_placement  # noqa: E402
from dlm_core.bases.registry import parse_base_name  # noqa: E402
from dlm_core.bases.sources import find_base  # noqa: E402
from dlm_core.document.parse import parse_text  # noqa: E402
from dlm_core.inference.decoders import Decoders  # noqa: E402
from dlm_core.llama.decode_forward import take_over  # noqa: E402
from dlm_core.requests import TrainOptions  # noqa: E402
from dlm_core.store.paths import dlm_home  # noqa: E402
from dlm_core.store.store import Store  # noqa: E402
from dlm_core.training.batches import collate  # noqa: E402
from dlm_core.training.examples import build_rows  # noqa: E402
from dlm_core.training.forward import SelectiveHead  # noqa: E402
from dlm_core.training.optimiser import BETAS, adamw, vectors  # noqa: E402
from dlm_core.training.passes import choose_passes  # noqa: E402
from dlm_core.training.planner import Planner  # noqa: E402
from dlm_core.training.processes import accelerator_for  # noqa: E402

SECTIONS = (10, 30, 100, 300, 1000, 3000)
ADAPTERS = (1, 2, 4, 8, 16, 32)
RANKS = (4, 8, 16, 32, 64)
HISTORY = (16, 64, 256, 1024, 4096)
LARGE = 5_000_000
TEXT = """\
payout queue settlement merchant webhook replay threshold ledger refund migration review partition
schema index worker region failover processor invoice balance"""
WORDS = TEXT.split()
HEAD = """\
---
dlm_id: 01M80E2XX9H73A5ZQ388STD2NT
dlm_version: 15
base_model: smollm2-135m
training:
  adapters: {a: {}, b: {}, c: {}}
  gate: {enabled: true}
---

"""
Points = dict[int, float]


def document(sections: int) -> str:
    """A document of so many sections: nine of five questions for every one of prose, three adapters."""

    def words(count: int, start: int) -> str:
        return " ".join(WORDS[(start * 7 + k * k) % len(WORDS)] for k in range(count))

    parts = [HEAD]
    for number in range(sections):
        tag = "abc"[number % 3]
        if number % 10 == 9:
            parts.append(f"::prose#{tag}::\n" + "\n\n".join(words(60, number + k) for k in range(4)) + "\n\n")
        else:
            asked = (
                f"### Q\nCase {number}.{k}: {words(12, number + k)}?\n\n### A\n{words(20, number * k)}.\n\n"
                for k in range(5)
            )
            parts.append(f"::instruction#{tag}::\n" + "".join(asked))
    return "".join(parts)


def seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """The median of some rounds, after one to warm up."""
    work()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def growth(points: Points) -> float:
    """Slope of log seconds over log size through the upper half of the points."""
    upper = sorted(points.items())[len(points) // 2 :]
    x, y = [math.log(size) for size, _ in upper], [math.log(time) for _, time in upper]
    return statistics.linear_regression(x, y).slope


class Bench:
    """The real base, and what is measured on it."""

    def __init__(self, home: Path) -> None:
        self.placement = choose_placement("auto", "cpu")
        ref = parse_base_name("smollm2-135m", Path())
        self.folder = find_base(ref, home=home, report=lambda _: None)

    def sections(self) -> dict[str, Points]:
        found: dict[str, Points] = {"parse and diagnose": {}, "plan": {}, "rows": {}}
        for count in SECTIONS:
            parsing, planning, rows = self._document(document(count), rounds=3)
            found["parse and diagnose"][count] = parsing
            found["plan"][count] = planning
            found["rows"][count] = rows
        return found

    def large(self) -> dict[str, float]:
        """Seconds for a document of five megabytes: parsing with diagnostics, the plan, and its rows."""
        each = len(document(1000)) / 1000
        text = document(int(LARGE / each))
        parsing, planning, rows = self._document(text, rounds=3)
        return {"bytes": len(text.encode()), "parse and diagnose": parsing, "plan": planning, "rows": rows}

    def _document(self, text: str, rounds: int) -> tuple[float, float, float]:
        parsed = parse_text(text).document
        assert parsed is not None
        with tempfile.TemporaryDirectory() as scratch:
            store = Store.open(parsed.dlm_id, Path(scratch), create=True)
            base = outline_base(self.folder, self.placement)
            planner = Planner(parsed, base, store, TrainOptions())
            plan, _ = planner.plan(store.snapshot())
            return (
                seconds(lambda: parse_text(text), rounds),
                seconds(lambda: planner.plan(store.snapshot()), rounds),
                seconds(lambda: planner.rows(plan), 1),
            )

    def adapters(self) -> dict[str, Points]:
        return self._by_shape([(count, count, 8) for count in ADAPTERS])

    def rank(self) -> dict[str, Points]:
        return self._by_shape([(rank, 3, rank) for rank in RANKS])

    def _by_shape(self, shapes: Sequence[tuple[int, int, int]]) -> dict[str, Points]:
        """Seconds of a training step on the same three rows, and of one token with every adapter active, for
        (point, number of adapters, rank).
        """
        base = load_base(self.folder, self.placement, lambda _: None)
        bank, head = Bank(base.model), SelectiveHead(base.model)
        parsed = parse_text(document(1)).document
        assert parsed is not None
        rows = build_rows(parsed, base.chat, base.context_length).sft[:3]
        modules = resolve_targets(tuple(bank.layers), "auto")
        lean = take_over(base.model, "float16")
        accelerator = accelerator_for(base.placement)
        found: dict[str, Points] = {"training step": {}, "token": {}}
        for point, count, rank in shapes:
            names = ["a", *(f"more{n}" for n in range(count - 1))]
            adapters = [
                AdapterWeights.initial(
                    AdapterSpec(n, "disel", rank, 2.0 * rank, modules, 0.0, GateShape()), bank.features, 1
                )
                for n in names
            ]
            with torch.no_grad():
                for adapter in adapters:
                    for layer in adapter.layers.values():
                        layer.b.normal_(std=1e-3)
            token = Decoders(base.model, bank, lean, adapters).under(dict.fromkeys(names, 1 / count))
            found["token"][point] = self._token(token, 64)
            token.close()
            flat = FlatAdapters(adapters)
            optimiser = adamw(
                vectors(flat, dict.fromkeys(names, 1e-5)),
                gate_lr_multiplier=5.0,
                weight_decay=0.0,
                betas=BETAS,
            )
            passes = choose_passes(base.model, bank, head, adapters, flat, None, accelerator, 1)
            batch = collate(rows, names, base.tokenizer.pad_token_id or 0)

            def step(
                flat: FlatAdapters = flat,
                passes: Any = passes,
                batch: Any = batch,
                optimiser: Any = optimiser,
                count: int = count,
            ) -> None:
                flat.begin_step()
                passes.learn(batch, 1.0 / batch.targets.numel(), None, None)
                flat.learn(range(count))
                torch.nn.utils.clip_grad_norm_(flat.end_step(), 1.0)
                optimiser.step()
                passes.changed()

            found["training step"][point] = seconds(step)
            bank.use(None)
        return found

    def history(self) -> dict[str, Points]:
        """Seconds to read a conversation of so many tokens, and for one more token after it."""
        base = load_base(self.folder, self.placement, lambda _: None)
        lean = take_over(base.model, "float16")
        decoder = Decoders(base.model, Bank(base.model), lean, []).under({})
        found: dict[str, Points] = {"reading": {}, "token": {}}
        for length in HISTORY:

            def read(length: int = length) -> None:
                decoder.past = None
                for begin in range(0, length, 256):
                    ids = [5 + i % 97 for i in range(begin, min(begin + 256, length))]
                    decoder.forward(ids, 1)

            found["reading"][length] = seconds(read, 1 if length > 1000 else 3)
            found["token"][length] = self._token(decoder, 0)
        return found

    def _token(self, decoder: Any, prompt: int) -> float:
        if prompt:
            decoder.forward(list(range(5, 5 + prompt)), 1)

        def one() -> None:
            decoder.forward([42], 1)
            decoder.forget(1)

        return seconds(one, 15)


def draw(axis: str, found: dict[str, Points], folder: Path) -> None:
    """The axis as an SVG, both scales logarithmic."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel=axis, ylabel="seconds")
    for name, points in found.items():
        axes.plot(list(points), list(points.values()), marker="o", label=f"{name} ({growth(points):.2f})")
    sizes = sorted({size for points in found.values() for size in points})
    axes.set_xticks(sizes, labels=[f"{size:,}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.legend(title="and how it grows")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{axis}.svg", metadata={"Date": None})


def main() -> None:
    names = ("sections", "adapters", "rank", "history", "large")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--home", type=Path, default=dlm_home(), help="the home that holds the base")
    parser.add_argument("--axes", nargs="+", choices=names, default=names)
    parser.add_argument("--plot", type=Path, help="a folder for one SVG an axis")
    options = parser.parse_args()
    bench, report = Bench(options.home), {}
    for axis in options.axes:
        found = getattr(bench, axis)()
        if axis == "large":
            report[axis] = found
            continue
        report[axis] = {
            name: {"seconds": points, "growth": round(growth(points), 2)} for name, points in found.items()
        }
        if options.plot:
            draw(axis, found, options.plot)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
