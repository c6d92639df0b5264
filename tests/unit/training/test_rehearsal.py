"""Neutral texts come up in their order, and the base is asked about those that come next in one go."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from dlm_core.document.model import Turn
from dlm_core.training import rehearsal as rehearsals
from dlm_core.training.rehearsal import Rehearsal

VOCABULARY = 5


class Letters:
    """An encoder whose tokens are the letters."""

    def encode_row(
        self, question: str, answer: str, system: str | None, before: Sequence[Turn] = ()
    ) -> tuple[list[int], list[bool]]:
        raise NotImplementedError

    def encode_text(self, text: str) -> list[int]:
        return [ord(c) for c in text]


class Asked:
    """A base that answers every text with its first token, and remembers what it was asked together."""

    def __init__(self) -> None:
        self.together: list[list[str]] = []

    def __call__(self, texts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        self.together.append(["".join(map(chr, ids[0].tolist())) for ids in texts])
        return [torch.full((ids.shape[1], VOCABULARY), float(ids[0, 0])) for ids in texts]


def rehearsal(texts: Sequence[str]) -> Rehearsal:
    nobody: Any = None
    return Rehearsal(nobody, nobody, Letters(), texts, 7, "cpu")


def come_up(some: Rehearsal, turns: range, asked: Asked, at_once: int = 16) -> list[str]:
    found = []
    for turn in turns:
        text, _ = some.pick(turn, 3)
        said = some.base(text, asked, at_once=at_once)
        assert said.shape == (text.input_ids.shape[1], VOCABULARY)
        assert torch.all(said == float(text.input_ids[0, 0]))
        found.append("".join(map(chr, text.input_ids[0].tolist())))
    return found


def test_all_of_a_few_texts_are_asked_about_when_the_first_comes_up() -> None:
    texts, asked = ["alpha", "beta", "gamma", "delta", "epsilon"], Asked()
    order = come_up(rehearsal(texts), range(10), asked)
    assert sorted(order[:5]) == sorted(order[5:]) == sorted(texts)
    assert asked.together == [order[:5]]


def test_of_many_texts_those_are_asked_about_that_come_next() -> None:
    texts, asked = [f"{chr(65 + i)} text" for i in range(40)], Asked()
    order = come_up(rehearsal(texts), range(3, 40), asked)
    assert [len(some) for some in asked.together[:2]] == [16, 16] and len(asked.together) == 3
    assert [text for some in asked.together for text in some][:32] == order[:32]


def test_what_was_said_is_kept_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, asked = [f"{chr(65 + i)} text" for i in range(40)], Asked()
    monkeypatch.setattr(rehearsals, "_KEPT_BYTES", 20 * 6 * VOCABULARY * 4)
    some = rehearsal(texts)
    order = come_up(some, range(80), asked)
    assert sorted(order[:40]) == sorted(order[40:]) == sorted(texts)
    assert len(some._base) <= 20 and len(asked.together) > 3


def test_what_was_just_asked_is_kept_however_little_room_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, asked = [f"{chr(65 + i)} text" for i in range(20)], Asked()
    monkeypatch.setattr(rehearsals, "_KEPT_BYTES", 1)
    come_up(rehearsal(texts), range(20), asked)
    assert len(asked.together[0]) == 16 and len(asked.together) == 2


def test_one_at_a_time_where_nothing_is_gained_by_more() -> None:
    texts, asked = ["alpha", "beta", "gamma"], Asked()
    order = come_up(rehearsal(texts), range(6), asked, at_once=1)
    assert asked.together == [[text] for text in order[:3]]
