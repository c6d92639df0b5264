"""What an export says for itself: how it was weighed, what was measured, and what was lost."""

from collections.abc import Mapping

from dlm_core.export.choose import LABELS
from dlm_core.export.fidelity import ENOUGH_REPLIES, Fidelity
from dlm_core.export.manifest import Manifest
from dlm_core.reports import Answers


def lines(manifest: Manifest) -> tuple[str, ...]:
    """The banner, line by line."""
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in _carried(manifest).items())
    said = [f"adapters: {weights} ({MODES[manifest.gate_mode]})"]
    if manifest.rank_gate_mode == "dynamic":
        said.append("rank gates: whole; load them with the DISeL package")
    elif manifest.rank_gate_mode == "static_mean":
        means = ", ".join(f"{n} {m:.2f}" for n, m in manifest.coefficients.mean.items())
        said.append(
            f"rank gates: fixed, {LABELS[manifest.rank_constants]}" + (f" (mean {means})" if means else "")
        )
    if manifest.fidelity is not None:
        said += _measured(manifest.fidelity)
    return tuple(said)


def search_stays_behind(answers: Answers | None, probes: int) -> str:
    """The sentence on what is lost where the document is not looked up; `answers` as these versions were
    measured, None where they were not.
    """
    if answers is None or answers.grounded is None:
        return "search in the document stays behind; `dlm eval` measures what that costs in right answers"
    return (
        f"search in the document stays behind: with it {answers.grounded.right:.0%} of {probes} probes are "
        f"right, by the weights alone {answers.weights.right:.0%}"
    )


def warnings(
    found: Fidelity, gate_mode: str, adapters: int, *, merged: bool = False
) -> tuple[tuple[str, str], ...]:
    """(what is wrong, what to do) for what an export lost; empty where it is faithful.

    `merged`: the adapters went into weights that were rounded with them.
    """
    finer = "try a finer --quant"
    if merged:
        finer += ", or leave out --merge: an adapter beside the base can be fitted to the rounded weights"
    said: list[tuple[str, str]] = []
    asked = found.questions
    if asked is not None and not found.of_prose and asked.same_reply < ENOUGH_REPLIES:
        kept, count = round(asked.same_reply * asked.count), asked.count
        lost = round(asked.learned * count) - round(asked.kept * count)
        words = f"this export gives another reply than the engine to {count - kept} of {count} questions"
        words += (
            f"; of {round(asked.learned * count)} answers that were learned, {lost} are lost" if lost else ""
        )
        if gate_mode == "static_mean" and adapters > 1:
            words += f". Nothing outside can evaluate the gate: all {adapters} adapters answer everything"
            said.append((words, "export one with --adapter NAME, or weigh them by hand with --adapter-mix"))
        else:
            said.append((words, f"{finer}; `--target peft` without --fold keeps the rank gates"))
    elif asked is not None and found.of_prose and asked.agreement < ENOUGH_REPLIES:
        words = (
            f"this export continues the document's prose otherwise at {1 - asked.agreement:.0%} of its tokens"
        )
        said.append((words, f"export one adapter with --adapter NAME, or {finer}"))
    if found.duller:
        before, after = found.neutral.perplexity_engine, found.neutral.perplexity_export
        said.append(
            (
                f"neutral text is less likely to this export than to the engine: perplexity {after:.1f}, "
                f"not {before:.1f}",
                f"gates kept the adapters out of it: export one with --adapter NAME, or {finer}"
                if adapters > 1
                else finer,
            )
        )
    return tuple(said)


MODES: Mapping[str, str] = {
    "static_mean": "static_mean: the gate's mean over the training prompts",
    "pin": "pinned",
    "mix": "weights by hand",
    "off": "equal weights",
    "uniform": "equal weights, as in the engine",
}


def _carried(manifest: Manifest) -> dict[str, float]:
    return {name: entry.weight for name, entry in manifest.adapters.items()}


def _measured(found: Fidelity) -> list[str]:
    asked, neutral, said = found.questions, found.neutral, []
    if asked is not None and found.of_prose:
        said.append(
            f"fidelity on {asked.count} passages of prose: KL {asked.kl:.3f}, "
            f"{asked.agreement:.1%} of tokens the same"
        )
    elif asked is not None:
        of_all = f" of {found.asked}" if found.asked > asked.count else ""
        said.append(
            f"fidelity on {asked.count}{of_all} questions: {asked.same_reply:.0%} of replies the same, "
            f"KL {asked.kl:.3f}, {asked.agreement:.1%} of tokens the same"
        )
        said.append(f"learned answers: the engine gives {asked.learned:.0%}, this export {asked.kept:.0%}")
    said.append(
        f"fidelity on neutral text: KL {neutral.kl:.3f}, {neutral.agreement:.1%} of tokens the same, "
        f"perplexity {neutral.perplexity_export:.1f} (engine {neutral.perplexity_engine:.1f})"
    )
    return said
