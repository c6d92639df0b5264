"""Rehearsal: neutral text on which the adapted model is held to the base, so that it forgets nothing it need
not.

Every few steps KL(base ‖ adapted) or its mirror on one short text is added to the loss, under one randomly
pinned adapter. The base's log-probabilities are computed once. Measuring uses *other* text.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from dlm_core.errors import DocumentError
from dlm_core.training.examples import Encoder
from dlm_core.training.forward import SelectiveHead

_MAX_TOKENS = 96


def bundled(name: str) -> tuple[str, ...]:
    """The texts of a bundled file: `rehearsal` to train on, `held_out` to measure on."""
    text = (resources.files("dlm_core.training") / "neutral" / f"{name}.txt").read_text("utf-8")
    return tuple(part.strip() for part in text.split("\n---\n") if part.strip())


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
    """One text: `input_ids` [1, T], and what the base predicts at each position, `log_probs` [T, vocabulary]
    (float16).
    """

    input_ids: Tensor
    log_probs: Tensor


class Rehearsal:
    """The neutral texts of a run with the base's predictions, and the order in which they come up.

    Args:
        head: the model with its bank off.
        texts: neutral texts; each is cut to 96 tokens.
        seed: order and pinned adapters depend on it alone.
        breathe: called between texts; it may use the bank, and leaves it off.
    """

    def __init__(
        self,
        head: SelectiveHead,
        encoder: Encoder,
        texts: Sequence[str],
        seed: int,
        device: str,
        breathe: Callable[[], None] = lambda: None,
    ) -> None:
        self._head = head
        self._texts: list[NeutralText] = []
        self._seed = seed
        for text in texts:
            breathe()
            ids = torch.tensor([encoder.encode_text(text)[:_MAX_TOKENS]], device=device)
            with torch.no_grad():
                logits = head.logits(ids, torch.ones_like(ids), torch.arange(ids.shape[1], device=device))
            self._texts.append(NeutralText(ids, torch.log_softmax(logits, -1).half()))

    def pick(self, turn: int, adapters: int) -> tuple[NeutralText, int]:
        """The text and pinned adapter of rehearsal number `turn`: every text once before any comes again."""
        lap, place = divmod(turn, len(self._texts))
        order = list(range(len(self._texts)))
        rng = random.Random(f"{self._seed}:rehearsal:{lap}")
        rng.shuffle(order)
        pins = random.Random(f"{self._seed}:pin:{turn}")
        return self._texts[order[place]], pins.randrange(adapters)

    def divergence(self, text: NeutralText) -> Tensor:
        """KL(adapted ‖ base) per token in nats, a scalar with gradient, under the plan that is in use."""
        ids = text.input_ids
        logits = self._head.logits(ids, torch.ones_like(ids), torch.arange(ids.shape[1], device=ids.device))
        adapted = torch.log_softmax(logits, -1)
        return (adapted.exp() * (adapted - text.log_probs.float())).sum(-1).mean()
