"""Events of the engine as plain sentences: one place for the words, wherever they are shown."""

import math
from collections.abc import Mapping

from dlm_core.events import (
    BaseProgress,
    Event,
    Failure,
    GateTrained,
    Log,
    Ready,
    RunEnded,
    RunPlanned,
    TrainEpoch,
    TrainStep,
)
from dlm_core.reports import Evaluation
from dlm_core.safetext import visible


def lines(event: Event) -> list[str]:
    """What is said about an event, safe for a terminal; nothing for events that only move a bar."""
    match event:
        case BaseProgress():
            said = _base(event)
        case Ready():
            said = [f"{event.base} on {event.device} ({event.dtype}), loaded in {event.load_s:.1f} s"]
        case Log():
            prefix = "" if event.level == "info" else f"{event.level}: "
            said = [f"{prefix}{event.message}", *([f"  hint: {event.hint}"] if event.hint else [])]
        case RunPlanned():
            said = _planned(event)
        case TrainEpoch():
            said = [_epoch(event)]
        case GateTrained():
            said = _gate(event)
        case RunEnded():
            said = _ended(event)
        case Failure():
            said = [f"error: {event.message}", *([f"  hint: {event.hint}"] if event.hint else [])]
        case _:
            said = []
    return [visible(line) for line in said]


def chat_lines(event: Event) -> list[str]:
    """What a chat says of an event beside it: as `lines`, but shorter, and in the chat's own commands."""
    match event:
        case RunPlanned():
            return plan_head(event)
        case RunEnded() if event.checkpoint:
            return [*lines(event)[:-1], "  a checkpoint is kept; /train --resume goes on from it"]
        case Log(code="cold_start"):
            return []  # said by the warnings that stand
        case TrainEpoch() | GateTrained() | RunEnded() | Log():
            return lines(event)
        case _:
            return []


def step_figures(event: TrainStep) -> str:
    """The figures of a step on one line: loss, loss per adapter, openness, speed."""
    figures = [f"loss {event.loss:.3f}"]
    if len(event.losses) > 1:
        figures.append(", ".join(f"{name} {loss:.3f}" for name, loss in event.losses.items()))
    if event.openness:
        figures.append(f"openness {_mean(event.openness):.2f}")
    figures.append(f"{event.tokens_per_s:,.0f} tokens/s")
    return visible("  ".join(figures))


def duration(seconds: float) -> str:
    """Seconds for people: `8 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = max(0, round(seconds)) if math.isfinite(seconds) else 0
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(number: int, noun: str, form: str = "") -> str:
    """A number of things, as in `1 turn` and `2 turns`; `form` is the number's, as in `f"{number:,}"`."""
    return f"{number:{form}} {noun}{'' if number == 1 else 's'}"


def percent(share: float | None) -> str:
    """A share in 0..1 for a table; a dash where it was not measured."""
    return "-" if share is None else f"{share:.0%}"


def decimals(value: float | None) -> str:
    """A figure with two decimals for a table; a dash where it was not measured."""
    return "-" if value is None else f"{value:.2f}"


def evaluation_line(found: Evaluation) -> str:
    """An evaluation in one line: recall, paraphrase, routing, retention."""
    recall, kept = found.recall, found.retention
    figures = [f"verbatim {percent(recall.verbatim)}"]
    if found.answers is not None:
        search = found.answers.search.right
        weights, grounded = found.answers.weights.right, found.answers.grounded
        beside = f"search alone {search:.0%}"
        if grounded is not None:
            figures.append(f"right {grounded.right:.0%} of probes (weights alone {weights:.0%}, {beside})")
        else:
            figures.append(f"right {weights:.0%} of probes ({beside})")
    if recall.paraphrase_f1 is not None:
        base = "" if recall.paraphrase_f1_base is None else f" (base {recall.paraphrase_f1_base:.2f})"
        figures.append(f"paraphrase {recall.paraphrase_f1:.2f}{base}")
    if found.routing.accuracy is not None:
        figures.append(f"routing {found.routing.accuracy:.0%}")
    if found.offtopic is not None:
        figures.append(f"off-topic leaks {found.offtopic.leaked:.0%}")
    figures.append(f"perplexity {kept.perplexity / kept.perplexity_base - 1:+.1%} on neutral text")
    if kept.chat is not None:
        figures.append(f"chat KL {kept.chat.kl:.2f}, {kept.chat.same_as_base:.0%} of its replies the base's")
    return ", ".join(figures)


def _base(event: BaseProgress) -> list[str]:
    if event.outcome == "trying" and event.done_bytes:
        return []
    return [
        f"base {event.base}: {event.source}: {event.outcome}" + (f" ({event.detail})" if event.detail else "")
    ]


def plan_lines(event: RunPlanned) -> list[str]:
    """A plan that was asked for, in words, safe for a terminal."""
    if not event.adapters and not event.gate:
        return [visible(event.reason)]
    first, *rest = _planned(event)
    first = first.removeprefix(f"run {event.run_id} ")
    return [visible(line) for line in (f"{first[0].upper()}{first[1:]}", *rest)]


def plan_head(event: RunPlanned) -> list[str]:
    """What a run trains, why, and what it takes, without its recipe; safe for a terminal."""
    trained = ", ".join(f"{name} ({_share(event, name)})" for name in event.adapters)
    if event.adapters:
        size = [f"{event.tokens:,} tokens"]
        if event.steps and (event.fresh or event.kind == "full"):
            size += [f"{event.steps} steps", f"at most {counted(event.epochs, 'epoch')}"]
        if event.pair_epochs:
            size.append(f"{counted(event.pair_epochs, 'epoch')} of preference")
        trained += f": {', '.join(size)}"
    work = [*([trained] if trained else []), *(["the adapter gate"] if event.gate else [])]
    said = [f"run {event.run_id} trains {'; then '.join(work)}"]
    said += [f"  {event.reason}"] if event.reason else []
    if event.untouched:
        said.append(f"  untouched: {', '.join(event.untouched)}")
    if event.retired:
        said.append(f"  no longer declared: {', '.join(event.retired)}")
    takes = []
    if event.estimated_s is not None and event.adapters:
        takes.append(duration(event.estimated_s))
    if event.memory is not None:
        takes.append(f"{event.memory / 1e9:.1f} GB of memory")
    said += [f"  takes about {', '.join(takes)}"] if takes else []
    return [visible(line) for line in said]


def _planned(event: RunPlanned) -> list[str]:
    if event.kind == "revision":
        return plan_head(event)
    settings = [(f"{entry.key} {entry.value}", entry.reason) for entry in event.recipe]
    width = max((len(setting) for setting, _ in settings), default=0)
    recipe = (f"  {setting:<{width}}  {reason}".rstrip() for setting, reason in settings)
    return [*plan_head(event), *recipe]


def _share(event: RunPlanned, name: str) -> str:
    """How many rows an adapter learns from, and from what kinds of sections where it goes on."""
    pairs = event.pairs.get(name, 0)
    answers = event.rows.get(name, 0) - pairs
    counts = [counted(answers, "row")] if answers or not pairs else []
    rows = " and ".join([*counts, *([counted(pairs, "pair")] if pairs else [])])
    if name in event.fresh or event.kind == "full":
        return rows
    kinds = (("new", event.new), ("changed", event.changed), ("replayed", event.replayed))
    parts = [f"{counts[name]} {word}" for word, counts in kinds if counts.get(name)]
    return f"{rows}: {', '.join(parts)}" if parts else rows


def _epoch(event: TrainEpoch) -> str:
    of = "" if event.phase == "sft" else "preference, "
    figures = [f"{of}epoch {event.epoch}/{event.epochs}", f"loss {event.loss:.3f}"]
    recalls = ", ".join(f"{name} {share:.0%}" for name, share in event.recalls.items())
    what = "recall" if event.phase == "sft" else "preferred"
    figures.append(f"{what} {event.recall:.1%}" + (f" ({recalls})" if len(event.recalls) > 1 else ""))
    if event.perplexity is not None and event.perplexity_base:
        change = event.perplexity / event.perplexity_base - 1
        figures.append(
            f"forgetting {change:+.1%} (perplexity {event.perplexity:.2f}, base {event.perplexity_base:.2f})"
        )
    if event.chat_kl is not None:
        figures.append(f"chat KL {event.chat_kl:.2f}")
    if event.validation_loss is not None:
        figures.append(f"validation {event.validation_loss:.3f}")
    return "  ".join(figures)


def gate_lines(gate: GateTrained | None, *, enabled: bool) -> list[str]:
    """How a document's gate stands: `enabled` in the document, and as it was trained last, if it was."""
    if not enabled:
        return ["gate: off in this document, every adapter weighs the same"]
    return ["gate: not trained yet"] if gate is None else lines(gate)


def _gate(event: GateTrained) -> list[str]:
    counts = ", ".join(f"{name} {count}" for name, count in event.sample_counts.items())
    if event.mode == "uniform":
        return [f"gate: uniform: {event.reason}" if event.reason else f"gate: uniform (samples: {counts})"]
    if event.mode == "failed":
        return [f"gate: failed: {event.reason}; the adapters are trained and committed"]
    figures = ["gate: trained"]
    if event.train_accuracy is not None:
        figures.append(f"accuracy {event.train_accuracy:.1%}")
    if event.loo_accuracy is not None:
        figures.append(f"leave-one-out {event.loo_accuracy:.1%}")
    if event.entropy is not None and event.max_entropy is not None:
        figures.append(f"entropy {event.entropy:.2f} of {event.max_entropy:.2f}")
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in event.mean_weights.items())
    return ["  ".join([*figures, f"mean weights {weights}"])]


def _ended(event: RunEnded) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in event.versions.items())
    said = [f"run {event.run_id} {event.status} after {duration(event.seconds)}: {event.reason}"]
    if versions:
        said.append(f"  versions: {versions}")
    if event.retention.get("perplexity_base"):
        kept = event.retention["perplexity"] / event.retention["perplexity_base"] - 1
        said.append(f"  perplexity on neutral text {kept:+.1%} against the base")
    if "chat_kl_auto" in event.retention:
        drift = event.retention["chat_kl_auto"]
        said.append(f"  chat questions: replies begin {drift:.2f} nats from the base's")
    if event.checkpoint:
        said.append("  a checkpoint is kept; `dlm train FILE --resume` goes on from it")
    return said


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)
