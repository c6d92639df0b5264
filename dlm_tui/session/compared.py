"""A comparison of methods as rows of a table and as a chart: for the terminal and for the workbench."""

from collections.abc import Sequence

import msgspec

from dlm_core.errors import StoreError
from dlm_core.reports import METHODS, Comparison, Learned, Trial
from dlm_core.store import Store, atomic
from dlm_tui.session.wording import decimals, percent

HEADINGS = (
    "method",
    "rate#",
    "verbatim#",
    "paraphrase#",
    "loss#",
    "on probes#",
    "perplexity#",
    "change#",
    "KL#",
    "chat KL#",
    "epochs#",
    "time#",
    "trained#",
)
"""The columns; `#` stands for numbers."""
DISPENSABLE = ("trained#", "chat KL#", "epochs#", "on probes#", "loss#", "KL#", "perplexity#", "time#")
"""Columns that are left out where there is no room for all, in this order."""
_TITLES = ("without rehearsal", "with rehearsal")


def last_comparison(dlm_id: str) -> Comparison | None:
    """The store's last report; None where there is none that can be read."""
    try:
        content = atomic.read_bytes(Store.open(dlm_id, create=False).paths.comparison)
        return msgspec.json.decode(content, type=Comparison)
    except (StoreError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def recall_name(comparison: Comparison) -> str:
    """What stands for recall in the pictures."""
    if comparison.probes:
        return "paraphrase recall (word F1 on probes)"
    return "verbatim recall" if comparison.questions else "share of tokens predicted"


def recall_of(learned: Learned) -> float:
    """The figure that `recall_name` names."""
    for figure in (learned.paraphrase_f1, learned.verbatim):
        if figure is not None:
            return figure
    return learned.token_recall


def change(trial: Trial, comparison: Comparison) -> float:
    """Perplexity on neutral text against the base's, in per cent."""
    return 100 * (trial.kept.perplexity / comparison.perplexity_base - 1)


def letter(trial: Trial) -> str:
    """What stands for a trial in a chart of letters; a capital: trained with rehearsal."""
    small = "abcdef"[METHODS.index(trial.method)]
    return small.upper() if trial.rehearsal else small


def chart_title(found: Comparison) -> str:
    """What a chart of letters shows."""
    return f"{recall_name(found)}, up, against change of perplexity on neutral text in %, right"


def chart_legend(found: Comparison) -> str:
    """What its letters mean."""
    chosen = found.chosen()
    named = {method: letter(t).lower() for method in METHODS for t in chosen if t.method == method}
    legend = ", ".join(f"{sign} {method}" for method, sign in named.items())
    return legend + ("; capitals: with rehearsal" if any(t.rehearsal for t in chosen) else "")


def heading(found: Comparison) -> str:
    """What was compared on, in a line."""
    return (
        f"{found.document} on {found.base}: {found.rows} rows, {found.questions} questions, "
        f"{found.probes} probes, {found.neutral_tokens:,} tokens of neutral text"
    )


def rows(found: Comparison, *, rehearsal: bool) -> list[tuple[str, ...]]:
    """The trials that stand for their methods, without or with rehearsal, below the bare base; none where
    there are none. Of a comparison that is not complete, all trials.
    """
    shown: Sequence[Trial] = found.chosen() or found.trials
    trained = [_row(trial, found) for trial in shown if trial.rehearsal is rehearsal]
    if not trained:
        return []
    base = found.learned_base
    figures = (
        percent(base.verbatim),
        decimals(base.paraphrase_f1),
        decimals(base.loss),
        decimals(base.loss_probes),
    )
    return [("base", "", *figures, f"{found.perplexity_base:.2f}", "", "", "", "", "", ""), *trained]


def _row(trial: Trial, found: Comparison) -> tuple[str, ...]:
    learned, kept = trial.learned, trial.kept
    return (
        trial.method,
        f"{trial.learning_rate:g}",
        percent(learned.verbatim),
        decimals(learned.paraphrase_f1),
        decimals(learned.loss),
        decimals(learned.loss_probes),
        f"{kept.perplexity:.2f}",
        f"{kept.perplexity / found.perplexity_base - 1:+.1%}",
        f"{kept.kl:.3f}",
        decimals(kept.chat_kl),
        str(trial.epochs),
        f"{trial.seconds:.0f} s",
        _count(trial.parameters),
    )


def _count(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M" if parameters >= 100_000 else f"{parameters:,}"


def tables(found: Comparison, width: int) -> list[tuple[str, list[str]]]:
    """The trials without rehearsal and those with it: a title, and aligned lines no wider than `width`, the
    headings first. Columns that do not fit are left out.
    """
    both = {title: rows(found, rehearsal=title == "with rehearsal") for title in _TITLES}
    names = [name.rstrip("#") for name in HEADINGS]
    every = [names, *(row for found_rows in both.values() for row in found_rows)]
    wide = [max(len(row[number]) for row in every) for number in range(len(names))]
    kept = list(range(len(names)))
    for dropped in DISPENSABLE:
        if sum(wide[n] for n in kept) + 2 * (len(kept) - 1) <= width:
            break
        kept.remove(HEADINGS.index(dropped))

    def line(row: Sequence[str]) -> str:
        cells = (
            f"{row[n]:>{wide[n]}}" if HEADINGS[n].endswith("#") else f"{row[n]:<{wide[n]}}" for n in kept
        )
        return "  ".join(cells).rstrip()

    return [(title, [line(names), *map(line, cells)]) for title, cells in both.items() if cells]
