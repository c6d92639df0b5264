"""Topics are told apart, and named, by the words that carry them."""

import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dlm_core.data.entries import Entry
from dlm_core.data.topics import find_topics
from dlm_core.document.model import SectionKind

GARDEN = ["tomato", "compost", "seed", "spade", "hedge", "bulb", "frost", "watering", "pruning", "slug"]
MONEY = [
    "invoice",
    "refund",
    "voucher",
    "payment",
    "receipt",
    "discount",
    "account",
    "bank",
    "tax",
    "balance",
]


def entries(language: tuple[str, ...]) -> list[Entry]:
    """Sections on two topics, each full of its own function words."""
    rng = random.Random(3)
    found = []
    for number in range(40):
        words = GARDEN if number % 2 else MONEY
        few = language[:4] if number % 2 else language[4:]
        said = [*rng.sample(words, 4), *few, *few, *few]
        rng.shuffle(said)
        found.append(Entry(SectionKind.INSTRUCTION, None, "a", (number,), (" ".join(said),), "so"))
    return found


def test_function_words_name_no_topic_whatever_the_language() -> None:
    english = ("they", "have", "this", "those", "which", "should", "your", "how")
    german = ("können", "diese", "werden", "nicht", "wenn", "meine", "über", "auch")
    for language in (english, german):
        found = find_topics(entries(language))
        names, topics = found.adapters, found.topics
        told = {word for topic in topics for word in topic.words}
        assert told <= {*GARDEN, *MONEY} and told
        assert {names[1], names[0]} <= {topic.adapter for topic in topics}


def test_a_word_that_is_a_function_word_elsewhere_may_name_a_topic() -> None:
    hat = [  # German for "has"
        Entry(SectionKind.INSTRUCTION, None, "a", (n,), (f"which {w} hat fits them and me",), "so")
        for n, w in enumerate([*GARDEN[:6], *MONEY[:6]])
    ]
    coat = [
        Entry(SectionKind.INSTRUCTION, None, "a", (n,), ("which coat is theirs",), "so") for n in range(12)
    ]
    topics = find_topics([*hat, *coat]).topics
    assert {"hat", "coat"} <= {word for topic in topics for word in topic.words}


def test_sections_are_grouped_by_what_they_mean_where_that_is_known_and_named_by_words() -> None:
    sides = ["east", "west"] * 20
    sections = [
        Entry(SectionKind.INSTRUCTION, None, "a", (n,), (f"{side} {GARDEN[n // 4]} {MONEY[n // 4]}",), "so")
        for n, side in enumerate(sides)
    ]

    def meaning(texts: Sequence[str]) -> NDArray[np.float32]:
        found = [[1.0, 0.1] if text.startswith("east") else [0.1, 1.0] for text in texts]
        return np.array(found, np.float32) / np.float32(1.01**0.5)

    found = find_topics(sections, meaning=meaning)
    names, topics = found.adapters, found.topics
    assert list(names) == sides and found.by_meaning
    assert [(topic.sections, topic.words[0]) for topic in topics] in (
        [(20, "east"), (20, "west")],
        [(20, "west"), (20, "east")],
    )


def test_words_tell_topics_apart_where_no_encoder_is_there_after_all() -> None:
    sections = entries(("they", "have", "this", "those", "which", "should", "your", "how"))
    assert find_topics(sections, meaning=lambda texts: None) == find_topics(sections)
    assert not find_topics(sections).by_meaning
