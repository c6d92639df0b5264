"""What a comparison says: the rate that stands for a method, the methods that nothing beats on both counts,
and how far the figures can be trusted.
"""

from collections.abc import Sequence

from dlm_core.reports import Comparison, Trial

MARGIN = 0.02  # shares of answers that differ by less are the same


def best(trials: Sequence[Trial]) -> Trial:
    """Of one method's trials at several rates, the one that is compared.

    Of those that give as many answers word for word as the best of them, but for two in a hundred, the one
    that changes the base's predictions on neutral text least (KL). Where there are no questions, the share
    of tokens predicted stands for the answers.
    """
    most = max(_told(t) for t in trials)
    return min((t for t in trials if _told(t) >= most - MARGIN), key=lambda t: t.kept.kl)


def _told(trial: Trial) -> float:
    return trial.learned.token_recall if trial.learned.verbatim is None else trial.learned.verbatim


def learned(trial: Trial) -> float:
    """What a method has learned, in one figure: paraphrase recall where there are probes, else verbatim
    recall, else the share of tokens predicted.
    """
    found = trial.learned
    for figure in (found.paraphrase_f1, found.verbatim):
        if figure is not None:
            return figure
    return found.token_recall


def unbeaten(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Those that no other beats both in what is learned and in perplexity on neutral text."""
    return tuple(
        t
        for t in trials
        if not any(
            learned(o) >= learned(t)
            and o.kept.perplexity <= t.kept.perplexity
            and (learned(o), o.kept.perplexity) != (learned(t), t.kept.perplexity)
            for o in trials
        )
    )


def notes(comparison: Comparison) -> tuple[str, ...]:
    """Sentences for the report, in the order in which they matter."""
    said: list[str] = []
    for rehearsal in (False, True):
        field = [t for t in comparison.chosen() if t.rehearsal is rehearsal]
        if len(field) < 2:
            continue
        front = sorted(unbeaten(field), key=lambda t: t.kept.perplexity)
        names = ", ".join(t.method for t in front)
        where = "with rehearsal" if rehearsal else "without rehearsal"
        what = "paraphrase" if comparison.probes else "recall"
        said.append(f"{where}, no method beats these in both {what} and perplexity: {names}")
    tried = {(t.method, t.rehearsal) for t in comparison.trials}
    chosen = comparison.chosen()
    if any(sum((o.method, o.rehearsal) == pair for o in comparison.trials) > 1 for pair in tried):
        said.append(
            "each method stands at the rate that, of those that give the answers word for word as often as "
            "its best (within 2 %), changes the base least on neutral text (KL); --json has every rate tried"
        )
    if any(t.rehearsal for t in chosen) and any(not t.rehearsal for t in chosen):
        said.append("the rates were chosen without rehearsal and kept with it")
    for trial in chosen:
        if trial.ended == "epochs":
            where = " with rehearsal" if trial.rehearsal else ""
            said.append(
                f"{trial.method}{where} did not predict every answer token within {trial.epochs} epochs"
            )
    asked = comparison.probes or comparison.questions
    if asked:
        said.append(
            f"one run each, seed {comparison.settings.get('seed', '?')}, {asked} questions: small "
            "differences mean little"
        )
    return tuple(said)
