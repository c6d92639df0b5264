"""What a run came to, in words: why it ended, and what of the document it did not learn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlm_core.events import Log
from dlm_core.training.examples import Row

_NAMED = 8  # rows that are named one by one
GATE_TRAINED = "gate trained"


@dataclass(frozen=True)
class Preferred:
    """What preference training came to: of `pairs`, how many chosen answers gained on the rejected ones.

    Of the first `compared` prompts, how many greedy replies begin otherwise than before (`changed`), and how
    many begin as the chosen answer does (`as_chosen`).
    """

    pairs: int
    won: int
    compared: int
    changed: int
    as_chosen: int

    def sentence(self) -> str:
        """The figures in one sentence."""
        gained = f"{self.won} of {_counted(self.pairs, 'pair')} moved towards the chosen answer"
        of = "" if self.compared == self.pairs else f" of {self.compared} looked at"
        if not self.changed:
            return f"{gained}, and no reply{of} changed"
        replies = _counted(self.changed, "reply", "replies")
        return f"{gained}; {replies}{of} changed, {self.as_chosen} to the chosen one"

    def warning(self) -> Log | None:
        """What to say where replies stay as they were."""
        if self.changed or self.as_chosen == self.compared:
            return None
        return Log(
            level="warning",
            message="preference training changed no reply: chosen answers are preferred more, but not enough",
            hint="teach the answer in an `::instruction::` section, or raise "
            "`training.preference.hyperparams.learning_rate` or `num_epochs`",
            code="preference_unmoved",
        )


def reason(finished: str, lost: Sequence[Row], preferred: Preferred | None) -> str:
    """Why a run's training ended and what it learned; `finished` is what the loop of answers said, or ""."""
    parts: list[str] = []
    cut = len({row.section for row in lost if row.lost is not None and row.lost.what == "cut"})
    if finished == "recall":
        parts.append(
            f"every answer was learned as far as it is read ({_counted(cut, 'section')} cut)"
            if cut
            else "every answer was learned"
        )
    elif finished:
        parts.append("all epochs done" if finished == "epochs" else finished)
    if preferred is not None:
        parts.append(preferred.sentence())
    if left_out := len({row.section for row in lost if row.lost is not None and row.lost.what == "left_out"}):
        parts.append(f"{_counted(left_out, 'section')} left out, at least in part")
    return "; ".join(parts) or GATE_TRAINED


def warnings(lost: Sequence[Row]) -> Iterator[Log]:
    """One warning for each row that is cut or left out, the first ones by name."""
    said = list(dict.fromkeys((row.lost.what, row.lost.message, row.lost.hint) for row in lost if row.lost))
    for what, message, hint in said[:_NAMED]:
        code = "truncated" if what == "cut" else "left_out"
        yield Log(level="warning", message=message, hint=hint, code=code)
    if len(said) > _NAMED:
        more = f"{len(said) - _NAMED} more rows are cut or left out"
        yield Log(level="warning", message=more, hint="`dlm check --mask` names each", code="truncated")


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
