"""Which constants an export gets: the plainest that keeps the replies, decided by measuring each.

Where least squares still keeps half of the replies, fitting the factors brings the rest back. Where it does
not (three adapters that the gate keeps apart, added up), no factors do, and B is fitted as a whole. So it
is beside a base whose weights are rounded so coarsely that the adapters no longer fit it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from dlm_core.export.constants import Constants, exact, gather
from dlm_core.export.fidelity import Fidelity, measure
from dlm_core.export.fit import FitStep, Fitter
from dlm_core.export.reference import Observer, Reference
from dlm_core.export.routing import StaticRouting

_WORTH_FACTORS = 0.5


@dataclass(frozen=True)
class Chosen:
    """The constants, how faithful they are, and what every method that was tried measured."""

    constants: Constants
    fidelity: Fidelity
    tried: Mapping[str, Fidelity]


def choose(
    observer: Observer,
    reference: Reference,
    routing: StaticRouting,
    seed: int,
    say: Callable[[str], None],
    rounding: Callable[[], AbstractContextManager[None]] | None = None,
) -> Chosen:
    """Mean openness first, then least squares, then a fit; the first that is faithful, else the best of them.

    Without rank gates and under a routing that is constant in the engine too, nothing is approximated.

    Args:
        rounding: within it the model computes with the rounded weights that the adapters will stand
            beside. All is measured and fitted there, and a fit is one of B: factors do not undo rounding.
    """
    adapters = routing.active(observer.chat.serving)
    plain = all(a.spec.gate is None for a in adapters)
    tried: dict[str, Fidelity] = {}
    known: dict[str, Constants] = {}

    def trial(constants: Constants) -> bool:
        found = measure(observer, reference, [constants.static(a) for a in adapters], routing.weights)
        tried[constants.method], known[constants.method] = found, constants
        say(f"rank constants, {LABELS[constants.method]}: {_figures(found)}")
        return found.faithful

    constant = plain and (routing.gate_mode != "static_mean" or not reference.questions)
    if not (constant or reference.questions):
        raise AssertionError("a document with trained adapters has questions or prose")
    if constant:
        starts: tuple[Constants, ...] = (exact(adapters),)
    else:  # of the engine as it is, before anything is rounded
        moments = gather(observer, adapters, routing.weights, reference.questions, reference.rehearsal)
        first = exact(adapters) if plain else moments.mean()
        starts = (first, moments.least_squares())
    with rounding() if rounding else nullcontext():
        kept = any(trial(start) for start in starts)
        if not kept and reference.questions and (rounding or not constant):
            start = list(known.values())[-1]
            of_start = tried[start.method].questions
            freely = rounding is not None or (of_start is not None and of_start.same_reply < _WORTH_FACTORS)
            fitter = Fitter(observer, adapters, routing.weights, start, seed, freely=freely)
            trial(fitter.fit(reference, _progress(say, "B" if freely else "the rank constants")))
    best = next((m for m, f in tried.items() if f.faithful), None) or max(
        tried, key=lambda m: tried[m].rank()
    )
    return Chosen(known[best], tried[best], tried)


LABELS = {
    "exact": "none needed",
    "mean": "mean openness",
    "least_squares": "least squares",
    "fitted": "fitted to the engine",
    "distilled": "B fitted to the engine",
}


def _progress(say: Callable[[str], None], what: str) -> Callable[[FitStep], None]:
    return lambda step: say(
        f"fitting {what} to the engine, pass {step.done} of {step.passes}: "
        f"KL {step.kl:.3f}, {step.agreement:.1%} of tokens alike"
    )


def _figures(found: Fidelity) -> str:
    asked = found.questions
    here = f"{asked.same_reply:.0%} of replies the same, KL {asked.kl:.3f}; " if asked else ""
    return f"{here}neutral text KL {found.neutral.kl:.3f}"
