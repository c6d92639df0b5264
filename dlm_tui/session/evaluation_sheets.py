"""The figures of an evaluation as tables: the same for the command line and for a screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from dlm_core.reports import Evaluation, TextRetention
from dlm_tui.session.wording import counted, decimals, percent

ALL = "all"


@dataclass(frozen=True)
class Sheet:
    """A table: headings, of which those that end in `#` stand over numbers, and rows."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def adapters_sheet(found: Evaluation, adapters: Sequence[str]) -> Sheet:
    """What every adapter knows, how its probes are routed, and how open its rank gates stand."""
    recall, routing = found.recall, found.routing
    headings = (
        "adapter",
        "verbatim#",
        "base#",
        "paraphrase#",
        "base#",
        "routed#",
        "open inside#",
        "outside#",
    )
    total = (
        ALL,
        percent(recall.verbatim),
        percent(recall.verbatim_base),
        decimals(recall.paraphrase_f1),
        decimals(recall.paraphrase_f1_base),
        percent(routing.accuracy),
        "",
        "",
    )
    rows = (_adapter_row(name, found) for name in adapters if name in recall.per_adapter)
    return Sheet(headings, (*rows, total))


def _adapter_row(name: str, found: Evaluation) -> tuple[str, ...]:
    own, opened = found.recall.per_adapter[name], found.openness.get(name)
    return (
        name,
        percent(own.verbatim),
        percent(own.verbatim_base),
        decimals(own.paraphrase_f1),
        decimals(own.paraphrase_f1_base),
        percent(found.routing.per_adapter.get(name)),
        decimals(opened.inside) if opened else "-",
        decimals(opened.outside) if opened else "-",
    )


def answers_sheet(found: Evaluation) -> Sheet | None:
    """Who answers probes how well; None without probes."""
    if found.answers is None:
        return None
    answers = (
        ("the base", found.answers.base),
        ("search in the document alone", found.answers.search),
        ("the weights alone", found.answers.weights),
        ("grounded: both together", found.answers.grounded),
    )
    rows = (
        (name, percent(s.right), decimals(s.f1), percent(s.verbatim), percent(s.false_facts))
        for name, s in answers
        if s is not None
    )
    return Sheet(
        (counted(found.probes, "probe"), "right#", "word F1#", "verbatim#", "false facts#"), tuple(rows)
    )


def retention_sheet(what: str, kept: TextRetention, adapters: Sequence[str]) -> Sheet:
    """What is kept on some text, the gate in auto and every adapter alone."""
    figures = [("gate auto", kept.perplexity, kept.kl)]
    figures += [
        (f"{name} pinned", kept.per_adapter[name].perplexity, kept.per_adapter[name].kl)
        for name in adapters
        if name in kept.per_adapter
    ]
    rows = ((who, f"{p:.2f}", f"{p / kept.perplexity_base - 1:+.1%}", f"{kl:.4f}") for who, p, kl in figures)
    headings = (f"{what} ({kept.tokens:,} tokens)", "perplexity#", "change#", "KL to base#")
    return Sheet(headings, (("base", f"{kept.perplexity_base:.2f}", "", ""), *rows))


def confusion_sheet(found: Evaluation, adapters: Sequence[str]) -> Sheet:
    """Probes of every adapter (rows) by the adapter they went to (columns)."""
    confusion = found.routing.confusion
    rows = ((name, *(str(confusion.get(name, {}).get(to, 0)) for to in adapters)) for name in adapters)
    return Sheet(("", *(f"{name}#" for name in adapters)), tuple(rows))


def measured_line(found: Evaluation) -> str:
    """What was asked, and of which version."""
    asked = f"{counted(found.questions, 'question')} and {counted(found.probes, 'probe')}"
    return f"{asked}, version {found.version}"


def went_wrong(found: Evaluation) -> int:
    """Probes that went to another adapter than theirs."""
    return sum(n for asked, row in found.routing.confusion.items() for to, n in row.items() if to != asked)


def missed_line(found: Evaluation) -> str:
    """How many probes were taken for outside; "" where nobody looked."""
    missed = found.missed
    return "" if missed is None else f"{missed:.0%} of the probes were taken for outside the document"


def support_line(found: Evaluation) -> str:
    """How far support is off; "" where there is none."""
    if found.support is None:
        return ""
    sure = found.support
    return f"support of {sure.count} replies: off by {sure.ece:.2f} on average (Brier {sure.brier:.2f})"


def near_line(found: Evaluation) -> str:
    """How many near misses got an answer of the document; "" where none were asked."""
    if found.near_miss is None:
        return ""
    close = found.near_miss
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in close.kinds.items())
    return (
        f"{close.count} near misses: {close.recited:.0%} got an answer of the document with support of "
        f"0.5 or more ({kinds})"
    )


def offtopic_line(found: Evaluation) -> str:
    """What became of prompts that the document says nothing about; "" where none were asked."""
    if found.offtopic is None:
        return ""
    strange = found.offtopic
    return (
        f"{strange.prompts} off-topic prompts: {strange.same_as_base:.0%} of the replies are the "
        f"base's, {strange.leaked:.0%} hold words of the document; strongest adapter {strange.weight:.2f}"
        + ("" if strange.outside is None else f"; {strange.outside:.0%} were told apart")
    )


def served_line(found: Evaluation) -> str:
    """The rise in perplexity as a chat reads the neutral text; "" where it was not measured."""
    served = found.retention.served
    if served is None:
        return ""
    rise = served.perplexity / found.retention.perplexity_base - 1
    return f"as a chat reads it, with what is outside left to the base: {rise:+.1%}"


def chat_line(found: Evaluation) -> str:
    """What is kept of the base's manner of chatting; "" where it was not measured."""
    chat = found.retention.chat
    if chat is None:
        return ""
    return (
        f"{chat.questions} bundled chat questions: replies begin {chat.kl:.2f} nats from the base's, and "
        f"{chat.same_as_base:.0%} of them are the base's"
    )
