"""Notes counted by topic; of each topic the first few are kept to be listed, however many there are."""

from collections import Counter
from collections.abc import Iterable

from dlm_core.data.rows import Note, Topic

KEPT = 200


class Notes:
    """Everything there is to say about an import."""

    def __init__(self) -> None:
        self._counts: Counter[Topic] = Counter()
        self._kept: dict[Topic, list[Note]] = {}

    def add(self, note: Note) -> None:
        self._counts[note.topic] += note.weight
        kept = self._kept.setdefault(note.topic, [])
        if len(kept) < KEPT:
            kept.append(note)

    def extend(self, notes: Iterable[Note]) -> None:
        for note in notes:
            self.add(note)

    def count(self, topic: Topic) -> int:
        return self._counts[topic]

    def of(self, topic: Topic) -> tuple[Note, ...]:
        """The first `KEPT` notes of a topic, in the order they came."""
        return tuple(self._kept.get(topic, ()))

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The topics that there is something to say about, in the order in which `Topic` has them."""
        return tuple(topic for topic in Topic if self._counts[topic])
