"""What a search ranks: passages with the same answer as one, with every wording that asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from dlm_core.retrieval.passages import Kind, Passage


@dataclass(frozen=True)
class Unit:
    """Passages that say the same, by their numbers; `owners[i]` is the passage that has `questions[i]`."""

    kind: Kind
    text: str
    passages: tuple[int, ...]
    questions: tuple[str, ...]
    owners: tuple[int, ...]

    def whole(self, without: int | None = None) -> str:
        """Questions and text in one string; `without` leaves one question out."""
        return " ".join((*(q for i, q in enumerate(self.questions) if i != without), self.text))


def units_of(passages: Sequence[Passage]) -> tuple[Unit, ...]:
    """The units of some passages, in the order in which each comes up first."""
    grouped: dict[tuple[Kind, str], list[int]] = {}
    for number, passage in enumerate(passages):
        grouped.setdefault((passage.kind, passage.text), []).append(number)
    units = []
    for (kind, text), numbers in grouped.items():
        asked = {question: number for number in reversed(numbers) for question in passages[number].questions}
        units.append(Unit(kind, text, tuple(numbers), tuple(asked), tuple(asked.values())))
    return tuple(units)
