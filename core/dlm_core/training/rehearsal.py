"""Rehearsal: neutral text on which the adapted model is held to the base, so that it forgets nothing it need
not.

Every few steps KL(adapted ‖ base) on one short text is added to the loss, under one randomly pinned adapter.
What the base predicts is computed once per text, when it comes up first. Measuring uses *other* text.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from dlm_core.adapters.bank import Bank
from dlm_core.errors import DocumentError
from dlm_core.training.examples import Encoder
from dlm_core.training.forward import SelectiveHead

_AT_ONCE = 16  # texts that the base is asked about together: short ones fill no product alone
_KEPT_BYTES = 256 << 20  # of what it said of them

TOKENS = 32
"""Read of each text: short ones often keep more of the base than long ones now and then."""


def bundled(name: str) -> tuple[str, ...]:
    """The texts of a bundled file: `rehearsal` to train on, `held_out` to measure on."""
    text = (resources.files("dlm_core.training") / "neutral" / f"{name}.txt").read_text("utf-8")
    return tuple(part.strip() for part in text.split("\n---\n") if part.strip())


def bundled_lines(name: str) -> tuple[str, ...]:
    """The lines of a bundled file: `chat` has questions that have nothing to do with any document."""
    text = (resources.files("dlm_core.training") / "neutral" / f"{name}.txt").read_text("utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def own_texts(paths: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The texts of `training.rehearsal.texts`, paths relative to the document; paragraphs become texts.

    Raises:
        DocumentError: a file cannot be read as UTF-8.
    """
    texts: list[str] = []
    for name in paths:
        try:
            content = (folder / name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DocumentError(
                f"`training.rehearsal.texts`: {name} cannot be read: {error}", "name a UTF-8 text file"
            ) from error
        texts += [part.strip() for part in content.split("\n\n") if len(part.split()) >= 20]
    return tuple(texts)


@dataclass(frozen=True)
class NeutralText:
    """One text, by its place among a run's: `input_ids` [1, T]."""

    place: int
    input_ids: Tensor


Say = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""The base's log-probabilities [T, vocabulary] for each of some texts' ids [1, T]."""


class Rehearsal:
    """The neutral texts of a run, the order in which they come up, and what the base predicts in them.

    Args:
        head: the model.
        bank: its bank; off while the base is asked.
        texts: neutral texts; each is cut to its first `TOKENS`.
        seed: order and pinned adapters depend on it alone.
    """

    def __init__(
        self,
        head: SelectiveHead,
        bank: Bank,
        encoder: Encoder,
        texts: Sequence[str],
        seed: int,
        device: torch.device | str,
    ) -> None:
        self._head, self._bank, self._seed = head, bank, seed
        self._texts = [
            NeutralText(i, torch.tensor([encoder.encode_text(text)[:TOKENS]], device=device))
            for i, text in enumerate(texts)
        ]
        self._base: dict[int, Tensor] = {}  # the oldest first
        self._turn = 0

    def pick(self, turn: int, adapters: int) -> tuple[NeutralText, int]:
        """The text and pinned adapter of rehearsal number `turn`: every text once before any comes again."""
        self._turn = turn
        pins = random.Random(f"{self._seed}:pin:{turn}")
        return self._text(turn), pins.randrange(adapters)

    def _text(self, turn: int) -> NeutralText:
        lap, place = divmod(turn, len(self._texts))
        order = list(range(len(self._texts)))
        rng = random.Random(f"{self._seed}:rehearsal:{lap}")
        rng.shuffle(order)
        return self._texts[order[place]]

    def base(self, text: NeutralText, say: Say, *, at_once: int = _AT_ONCE) -> Tensor:
        """The base's log-probabilities [T, vocabulary] in a text. `say` works them out when they are asked
        for first, along with those of the texts that come up next, `at_once` in all.
        """
        found = self._base.get(text.place)
        if found is None:
            turns = range(self._turn, self._turn + min(at_once, len(self._texts)))
            coming = {t.place: t for t in (text, *map(self._text, turns)) if t.place not in self._base}
            asked = list(coming.values())[:at_once]
            said = dict(zip((t.place for t in asked), say([t.input_ids for t in asked]), strict=True))
            self._base.update(said)
            found = said[text.place]
            for place in [place for place in self._base if place not in said]:
                if sum(t.nbytes for t in self._base.values()) > _KEPT_BYTES:
                    del self._base[place]
        return found

    def divergence(self, text: NeutralText) -> Tensor:
        """KL(adapted ‖ base) per token in nats, a scalar with gradient, under the plan that is in use."""
        base = self.base(text, self._say, at_once=1)  # more would only be done one after the other
        adapted = torch.log_softmax(self._logits(text.input_ids), -1)
        return (adapted.exp() * (adapted - base.float())).sum(-1).mean()

    def _say(self, texts: Sequence[Tensor]) -> list[Tensor]:
        plan = self._bank.plan
        self._bank.use(None)
        with torch.no_grad():
            said = [torch.log_softmax(self._logits(ids), -1).half() for ids in texts]
        self._bank.use(plan)
        return said

    def _logits(self, ids: Tensor) -> Tensor:
        return self._head.logits(ids, torch.ones_like(ids), torch.arange(ids.shape[1], device=ids.device))
