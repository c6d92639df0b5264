"""Fit the coefficients of retrieval, and say how they do on documents that they were not fitted on.

    python -m benchmarks.calibrate --home DIR                        errors by leaving whole documents out
    python -m benchmarks.calibrate --home DIR --write                and write retrieval/calibration.json
    python -m benchmarks.calibrate --home DIR --held-out FILE.dlm …  figures on documents never fitted on

DIR is a home in which the sample documents have been trained with `dlm train`: what the weights say, and how
open the gates stand, is asked there, once, and kept beside (`evidence.json`). Fitted on the samples and on
the documents in `benchmarks/calibration/`, written for this and trained nowhere: their probes
(`NAME.probes.yaml`, `### Q !probe`, `runbook.more.probes.yaml`), their wordings left out one at a time, their
off-topic lists, their near misses (`NAME.near.yaml`), and the probes of other documents.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_core.document import load
from dlm_core.document.model import Document
from dlm_core.engine import Engine, create_engine
from dlm_core.errors import DlmError
from dlm_core.evaluation.answers import words
from dlm_core.evaluation.near import near_misses
from dlm_core.evaluation.offtopic import default_offtopic, load_offtopic
from dlm_core.evaluation.probes import all_probes, load_probes
from dlm_core.events import Routed, Token
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.retrieval import calibration
from dlm_core.retrieval.calibration import Coefficients, inside_logit, sigmoid, swapped, weighed
from dlm_core.retrieval.encoder import Encoder, load_encoder
from dlm_core.retrieval.index import Index
from dlm_core.retrieval.parts import LEXICAL
from dlm_core.retrieval.passages import passages_of
from dlm_core.retrieval.separation import separate
from dlm_core.retrieval.signs import SIGNS

ROOT = Path(__file__).parents[1]
SAMPLES = ("runbook", "glossary", "writing-partner")
WRITTEN_FOR_THIS = Path(__file__).parent / "calibration"
KINDS = ("encoder+states", "encoder", "states", "lexical")
WRITTEN = Path(calibration.__file__).with_name(calibration.CALIBRATION_FILE)
_BEGINNING = 12  # tokens that the weights are asked for
_LEAST_COEFFICIENT = 0.05
_SAME = 5  # words in which two beginnings must agree
PARTS = {
    "encoder+states": ("question", "answer", "joint", "words", "ngrams", "states"),
    "encoder": ("question", "answer", "joint", "words", "ngrams"),
    "states": ("words", "ngrams", "states"),
    "lexical": ("words", "ngrams"),
}
IN_CHOICE = {"probe": 1.0, "left out": 0.5}
IN_INSIDE = {"probe": 1.0, "off-topic": 1.0, "other document": 0.05}
WITHOUT_ENCODER = {"probe": 15.0, "off-topic": 1.0, "other document": 0.3}
"""BM25 and states tell less well what is outside, and losing a question is worse than answering one more."""
IN_SUPPORT = {"probe": 1.0, "trained": 0.2, "near miss": 0.07, "off-topic": 0.05}
ASKED = ("probe", "near miss", "off-topic")
"""Questions for the weights of a trained document."""

Array = NDArray[np.float64]
Figures = dict[str, Any]


class Evidence(msgspec.Struct, frozen=True):
    """How a document answers a prompt by its weights: how a reply begins, the openness at the prompt's
    end and over the first tokens, and the base's state.
    """

    begins: str
    openness: float
    later: float
    state: list[float]


@dataclass
class Case:
    """A prompt of a kind; `right` is the unit that answers it, or None; `without` a wording left out."""

    kind: str
    prompt: str
    right: int | None
    without: tuple[int, int] | None = None


@dataclass
class Bench:
    """A document with its cases, and an index of it for each kind."""

    name: str
    indexes: dict[str, Index]
    cases: list[Case]
    evidence: Mapping[str, Evidence]
    rows: dict[str, list["Row"]] = field(default_factory=dict)


@dataclass
class Row:
    """A case as an index of one kind sees it: ranked parts [units, parts] of answers, plain ones by part."""

    case: Case
    ranked: Array
    compared: Any
    index: Index
    evidence: Evidence | None


def asked_of_weights(engine: Engine, prompt: str) -> Evidence:
    """One greedy beginning of a reply by the weights."""
    weights: Mapping[str, float] = {}
    text, open_by_token = "", []
    for event in engine.generate(
        [Message("user", prompt)], RoutingChoice(), Sampling(max_tokens=_BEGINNING), lambda: False
    ):
        if isinstance(event, Routed):
            weights = event.routing.weights
        elif isinstance(event, Token):
            text += event.text
            if event.openness:
                total = sum(weights.values()) or 1.0
                open_by_token.append(
                    sum(weights.get(name, 0.0) * value for name, value in event.openness.items()) / total
                )
    assert engine._workshop is not None
    state = engine._workshop.embedder.embed([prompt])[0].tolist()
    mean = sum(open_by_token[:8]) / max(1, len(open_by_token[:8]))
    return Evidence(text, open_by_token[0] if open_by_token else 0.0, mean, state)


def evidence_of(
    document: Path, prompts: Iterable[str], home: Path, asks_weights: bool
) -> dict[str, Evidence]:
    """Evidence for some prompts, from a file in `home` as far as it is there."""
    kept = home / "evidence.json"
    every = (
        msgspec.json.decode(kept.read_bytes(), type=dict[str, dict[str, Evidence]]) if kept.exists() else {}
    )
    known = every.setdefault(document.stem, {})
    missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
    if missing:
        engine = create_engine(home)
        engine.open(document)
        assert engine._workshop is not None
        for prompt in missing:
            if asks_weights:
                known[prompt] = asked_of_weights(engine, prompt)
            else:
                known[prompt] = Evidence("", 0.0, 0.0, engine._workshop.embedder.embed([prompt])[0].tolist())
        kept.write_bytes(msgspec.json.encode(every))
    return known


def cases_of(document: Document, others: Sequence[Document]) -> list[Case]:
    """Every case of a document; the probes of `others` are outside of it."""
    units = Index.build(passages_of(document.sections), None).comparison.units
    place = {unit.text: i for i, unit in enumerate(units) if unit.kind == "answer"}
    probes = [(p.question, p.answer) for p in all_probes(document, None)]
    if document.path.stem == "runbook":
        more = load_probes(ROOT / "benchmarks/runbook.more.probes.yaml", document.adapter_names)
        probes += [(p.question, p.answer) for p in more]
    cases = [Case("probe", q, place[a]) for q, a in probes if a in place]
    off = default_offtopic(document.path)
    cases += [Case("off-topic", prompt, None) for prompt in (load_offtopic(off) if off else ())]
    cases += [Case("near miss", miss.question, None) for miss in near_misses(document)]
    for other in others:
        cases += [Case("other document", p.question, None) for p in all_probes(other, None)[:40]]
    for number, unit in enumerate(units):
        if unit.kind != "answer":
            continue
        cases += [Case("trained", question, number) for question in unit.questions]
        if len(unit.questions) > 1:
            for wording, question in enumerate(unit.questions):
                cases.append(Case("left out", question, number, (number, wording)))
    return cases


def bench_of(
    path: Path,
    others: Sequence[Path],
    encoder: Encoder,
    home: Path,
    kinds: Sequence[str],
    asks_weights: bool,
) -> Bench:
    """A document, indexed by each of `kinds`, and its cases compared."""
    document = load(path)
    cases = cases_of(document, [load(other) for other in others])
    passages = passages_of(document.sections)
    wordings = [q for p in passages for q in p.questions]
    given = [case.prompt for case in cases if case.kind in ASKED]
    evidence = evidence_of(path, given, home, True) if asks_weights else {}
    if any("states" in kind for kind in kinds):
        evidence = evidence | evidence_of(path, [*wordings, *(c.prompt for c in cases)], home, False)

    def states(texts: Sequence[str]) -> Tensor:
        return torch.tensor([evidence[text].state for text in texts])

    bench = Bench(path.stem, {}, cases, evidence)
    for kind in kinds:
        index = Index.build(
            passages, encoder if "encoder" in kind else None, states=states if "states" in kind else None
        )
        bench.indexes[kind] = index
        answers = [i for i, unit in enumerate(index.comparison.units) if unit.kind == "answer"]
        bench.rows[kind] = []
        for case in cases:
            state = states([case.prompt])[0] if "states" in kind else None
            compared = index.comparison.compare(case.prompt, state, case.without)
            ranked = np.stack([compared.ranked[part] for part in PARTS[kind]], 1)
            outside = [i for i in range(len(ranked)) if i not in set(answers)]
            ranked[outside] = -50.0
            told = evidence.get(case.prompt) if case.kind in ASKED else None
            bench.rows[kind].append(Row(case, ranked, compared, index, told))
    return bench


def fit(loss: Any, size: int, start: float) -> Array:
    """The argument of the least loss, by L-BFGS."""
    point = torch.full((size,), start, dtype=torch.float64, requires_grad=True)
    optimiser: Any = torch.optim.LBFGS([point], max_iter=300, line_search_fn="strong_wolfe")

    def step() -> Any:
        optimiser.zero_grad()
        value = loss(point)
        value.backward()
        return value

    optimiser.step(step)
    found: Array = point.detach().numpy()
    return found


def weights_of(rows: Sequence[Row], shares: Mapping[str, float]) -> list[float]:
    """Every kind of case counts its share in each document, however many there are."""
    count: dict[tuple[int, str], int] = {}
    for row in rows:
        key = id(row.index), row.case.kind
        count[key] = count.get(key, 0) + 1
    return [shares.get(row.case.kind, 0.0) / count[id(row.index), row.case.kind] for row in rows]


def fit_choice(rows: Sequence[Row], kind: str) -> dict[str, float]:
    """Coefficients of the parts: a multinomial logit over the answers."""
    grouped: dict[int, list[tuple[Row, float]]] = {}
    for row, weight in zip(rows, weights_of(rows, IN_CHOICE), strict=True):
        if weight > 0:
            grouped.setdefault(id(row.index), []).append((row, weight))
    used = [
        (
            torch.from_numpy(np.stack([row.ranked for row, _ in group])),  # [cases, units, parts]
            torch.tensor([row.case.right for row, _ in group]),
            torch.tensor([weight for _, weight in group], dtype=torch.float64),
        )
        for group in grouped.values()
    ]
    whole = sum(float(weights.sum()) for *_, weights in used)

    def above(raw: Tensor) -> Tensor:
        """Likeness counts for an answer, however little."""
        return _LEAST_COEFFICIENT + torch.nn.functional.softplus(raw)

    def loss(b: Tensor) -> Tensor:
        each = [
            (weights * torch.nn.functional.cross_entropy(ranked @ above(b), right, reduction="none")).sum()
            for ranked, right, weights in used
        ]
        return torch.stack(each).sum() / whole + 1e-4 * (above(b) ** 2).sum()

    found = above(torch.from_numpy(fit(loss, len(PARTS[kind]), 3.0))).numpy()
    return dict(zip(PARTS[kind], (round(float(x), 3) for x in found), strict=True))


def fit_logit(
    values: Sequence[Mapping[str, float]],
    yes: Sequence[float],
    weights: Sequence[float],
    names: Sequence[str],
    price: float,
) -> dict[str, float]:
    """A logistic regression over named values, with a bias."""
    x = torch.tensor([[v.get(name, 0.0) for name in names] + [1.0] for v in values], dtype=torch.float64)
    y, w = torch.tensor(yes, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)

    def loss(b: Tensor) -> Tensor:
        each = torch.nn.functional.binary_cross_entropy_with_logits(x @ b, y, reduction="none")
        return (w * each).sum() / w.sum() + price * (b[:-1] ** 2).sum()

    found = fit(loss, len(names) + 1, 0.0)
    return dict(zip((*names, "bias"), (round(float(v), 3) for v in found), strict=True))


def best_of(row: Row, choice: Mapping[str, float]) -> tuple[int, Array]:
    """The unit that is best, and the probabilities of all."""
    utility = row.ranked @ np.array([choice[part] for part in choice])
    shares = np.exp(utility - utility.max())
    return int(utility.argmax()), shares / shares.sum()


def values_of(row: Row, choice: Mapping[str, float]) -> tuple[int, dict[str, float]]:
    """The best unit, and what the inside logit and support are made of there."""
    best, shares = best_of(row, choice)
    values = row.index.values_of(row.case.prompt, best, row.compared.plain)
    share = min(max(float(shares[best]), 1e-3), 1 - 1e-3)
    values["swapped"] = swapped(values)
    values["certainty"] = math.log(share / (1 - share))
    if row.evidence is not None and row.evidence.begins:
        same = agrees(row.evidence.begins, row.index.comparison.units[best].text)
        values["agree" if same else "differ"] = 1.0
        values["openness"] = row.evidence.openness
    return best, values


def agrees(begins: str, answer: str) -> bool:
    """True where a reply begins as an answer does."""
    said, there = words(begins)[:_SAME], words(answer)[:_SAME]
    return bool(said) and said == there[: len(said)]


def fit_all(rows: Sequence[Row], kind: str) -> Coefficients:
    """All coefficients for one kind."""
    choice = fit_choice(rows, kind)
    valued = [values_of(row, choice) for row in rows]
    weights = weights_of(rows, IN_INSIDE if "encoder" in kind else WITHOUT_ENCODER)
    used = [i for i, w in enumerate(weights) if w > 0]
    inside_names = (*PARTS[kind], "novel")
    inside = fit_logit(
        [valued[i][1] for i in used], [float(rows[i].case.right is not None) for i in used],
        [weights[i] for i in used], inside_names, 1e-3,
    )  # fmt: skip
    told = [i for i in used if "openness" in valued[i][1]]
    openness, open_at = 0.0, 0.0
    if told:
        offsets = [{"logit": weighed(valued[i][1], inside), **valued[i][1]} for i in told]
        both = fit_logit(
            offsets, [float(rows[i].case.right is not None) for i in told], [weights[i] for i in told],
            ("logit", "openness"), 1e-4,
        )  # fmt: skip
        openness = max(0.0, both["openness"] / max(both["logit"], 0.2))
        open_at = -both["bias"] / both["openness"] if both["openness"] > 0 else 0.0
    weights = weights_of(rows, IN_SUPPORT)
    # Not BM25: probes are written to share few words with what they ask for, and people are not.
    cosines = [part for part in PARTS[kind] if part not in LEXICAL] or ["ngrams"]
    names = ("certainty", *cosines, *SIGNS, "swapped", "agree", "differ")
    values, yes, each = [], [], []
    for row, (best, found), weight in zip(rows, valued, weights, strict=True):
        if weight == 0:
            continue
        if row.case.kind == "trained":  # what was trained, the weights say
            found = {**found, "agree" if best == row.case.right else "differ": 1.0}
        # Half of the time it is not known what the weights say.
        for seen in (found, {k: v for k, v in found.items() if k not in ("agree", "differ")}):
            values.append(seen)
            yes.append(float(best == row.case.right))
            each.append(weight / 2)
    support = fit_logit(values, yes, each, names, 1e-4)
    return Coefficients(choice, inside, support, round(openness, 3), round(open_at, 4))


def auc(higher: Sequence[float], lower: Sequence[float]) -> float | None:
    """The share of pairs in the right order."""
    if not higher or not lower:
        return None
    a, b = np.array(higher)[:, None], np.array(lower)[None, :]
    return round(float(((a > b) + 0.5 * (a == b)).mean()), 4)


def calibration_error(sure: Sequence[float], right: Sequence[float], bins: int = 10) -> float:
    """Expected calibration error in bins of equal count (Naeini et al., 2015)."""
    p, y = np.array(sure), np.array(right)
    parts = np.array_split(np.argsort(p), bins)
    return float(sum(len(i) * abs(p[i].mean() - y[i].mean()) for i in parts if len(i)) / len(p))


def examine(bench: Bench, kind: str, coefficients: Coefficients) -> tuple[Figures, list[float], list[float]]:
    """Figures of one document; support and rightness of its probes."""
    index = bench.indexes[kind]
    separation = separate(index.comparison, coefficients, index.values_of, lambda: False)
    choice = separation.choice(coefficients)
    by_kind: dict[str, list[tuple[bool, float, float, bool]]] = {}
    for row in bench.rows[kind]:
        best, values = values_of(row, choice)
        told = values.get("openness")
        logit = inside_logit(values, coefficients, told)
        kept_out = sigmoid(logit) < 0.5
        likely = sigmoid(weighed(values, coefficients.support))
        by_kind.setdefault(row.case.kind, []).append((best == row.case.right, logit, likely, kept_out))

    def share(name: str, column: int) -> float | None:
        values = [float(entry[column]) for entry in by_kind.get(name, [])]
        return round(sum(values) / len(values), 3) if values else None

    sure = [entry[2] for entry in by_kind["probe"]]
    right = [float(entry[0]) for entry in by_kind["probe"]]
    out = by_kind.get("off-topic", [])
    figures: Figures = {
        "probes": len(sure),
        "right": share("probe", 0),
        "missed": share("probe", 3),
        "off_topic_auc": auc([e[1] for e in by_kind["probe"]], [e[1] for e in out]),
        "kept_out": {name: share(name, 3) for name in ("off-topic", "near miss", "other document")},
        "support": {
            "mean": round(sum(sure) / len(sure), 3),
            "ece": round(calibration_error(sure, right), 3),
            "brier": round(float(np.mean((np.array(sure) - np.array(right)) ** 2)), 3),
            "probes_from_half": round(float(np.mean(np.array(sure) >= 0.5)), 3),
            "near_from_half": (
                round(float(np.mean([e[2] >= 0.5 and not e[3] for e in by_kind["near miss"]])), 3)
                if by_kind.get("near miss")
                else None
            ),
        },
        "separation": msgspec.to_builtins(separation),
    }
    return figures, sure, right


def remembering(encoder: Encoder) -> None:
    """Have an encoder keep every vector that it gave."""
    encode, known = encoder.encode, dict[str, Tensor]()

    def recalled(texts: Sequence[str], stop: Any = lambda: False) -> Tensor:
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(missing, encode(missing, stop), strict=True))
        return torch.stack([known[text] for text in texts])

    encoder.encode = recalled  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--held-out", type=Path, nargs="*", default=[])
    asked = parser.parse_args()
    torch.manual_seed(0)
    encoder = load_encoder(asked.home, report=lambda _: None)
    remembering(encoder)
    paths = [ROOT / "sample_docs" / f"{name}.dlm" for name in SAMPLES]
    kinds = asked.kind or KINDS

    def made(path: Path, others: Sequence[Path], asks_weights: bool) -> Bench:
        print(f"comparing {path.stem}", file=sys.stderr)
        return bench_of(path, others, encoder, asked.home, kinds, asks_weights)

    benches = [made(path, [p for p in paths if p != path], True) for path in paths]
    benches += [made(path, paths[:1], False) for path in sorted(WRITTEN_FOR_THIS.glob("*.dlm"))]
    held = [made(path, paths[:1], False) for path in asked.held_out]
    shown: Figures = {}
    coefficients: dict[str, Coefficients] = {}
    for kind in kinds:
        figures: Figures = {}
        sure, right = [], []
        for bench in benches:
            others = [row for other in benches if other is not bench for row in other.rows[kind]]
            figures[bench.name], s, r = examine(bench, kind, fit_all(others, kind))
            sure += s
            right += r
        pooled = {"probes": len(sure), "ece": round(calibration_error(sure, right), 3)}
        coefficients[kind] = fit_all([row for bench in benches for row in bench.rows[kind]], kind)
        shown[kind] = {
            "left_out": figures,
            "pooled_support": pooled,
            "held_out": {bench.name: examine(bench, kind, coefficients[kind])[0] for bench in held},
            "coefficients": msgspec.to_builtins(coefficients[kind]),
        }
    if asked.write:
        known = json.loads(WRITTEN.read_text("utf-8"))["coefficients"]
        written = {
            "encoder_sha256": encoder.sha256,
            "coefficients": {**known, **msgspec.to_builtins(coefficients)},
        }
        WRITTEN.write_text(json.dumps(written, indent=2) + "\n", "utf-8")
    print(json.dumps(shown, indent=2))


if __name__ == "__main__":
    try:
        main()
    except DlmError as error:
        sys.exit(str(error))
