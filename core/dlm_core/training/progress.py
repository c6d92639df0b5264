"""Where a run stands, and what it has counted."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass
class Counters:
    """What an epoch has seen so far, per adapter or section: summed loss, answer tokens, how many were
    predicted.
    """

    loss: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    hits: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, loss: float, tokens: int, hits: int) -> None:
        self.loss[key] = self.loss.get(key, 0.0) + loss
        self.tokens[key] = self.tokens.get(key, 0) + tokens
        self.hits[key] = self.hits.get(key, 0) + hits

    def renew(self, other: "Counters") -> None:
        """Put what `other` has seen in place of what was seen before of the same."""
        self.loss |= other.loss
        self.tokens |= other.tokens
        self.hits |= other.hits

    def recalls(self) -> dict[str, float]:
        """Share of answer tokens predicted, 0..1, per key."""
        return {k: self.hits[k] / self.tokens[k] for k in self.tokens if self.tokens[k]}

    def losses(self) -> dict[str, float]:
        """Nats per answer token, per key."""
        return {k: self.loss[k] / self.tokens[k] for k in self.tokens if self.tokens[k]}

    @property
    def recall(self) -> float:
        return sum(self.hits.values()) / max(1, sum(self.tokens.values()))

    @property
    def mean_loss(self) -> float:
        return sum(self.loss.values()) / max(1, sum(self.tokens.values()))


class Position(Protocol):
    """Where any kind of training stands: epochs done, batches of the present one, steps, rehearsals, time."""

    epoch: int
    batch: int
    step: int
    rehearsals: int
    elapsed_s: float


@dataclass
class Progress:
    """Where a run stands; with the adapters and the optimiser's state it is all that a resumed run needs.

    `lacking` are the sections that are being mended; while there are none, everything is taught. `checked` is
    what checks saw last of each row, by its place among the run's.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    rehearsals: int = 0
    elapsed_s: float = 0.0
    counters: Counters = field(default_factory=Counters)
    sections: Counters = field(default_factory=Counters)
    best_loss: float | None = None
    lacking: list[str] = field(default_factory=list)
    checked: Counters = field(default_factory=Counters)
    finished: str = ""


@dataclass
class Learned:
    """What the last whole epoch came to: recall 0..1 over all answer tokens, recall and loss per section."""

    recall: float | None = None
    recalls: dict[str, float] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
