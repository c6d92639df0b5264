"""Greedy replies to many questions at once, from a model as it stands: for figures, where speed counts."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from dlm_core.bases.chat import conversation
from dlm_core.bases.load import Base, quiet_transformers
from dlm_core.evaluation.probes import Probe

ROOM = 1.5  # a reply may be so much longer than the answer expected before it is cut
LEAST_ROOM = 16
_ROWS = 16


def room_for(answer: str, base: Base) -> int:
    """The tokens that a reply is given where `answer` is expected."""
    return max(LEAST_ROOM, int(ROOM * len(base.chat.encode_text(answer))))


def greedy_replies(
    base: Base,
    probes: Sequence[Probe],
    system: str | None,
    tick: Callable[[int], None] = lambda replies: None,
) -> list[str]:
    """The likeliest reply to each question, in order, under whatever is applied to the base's model now.

    Args:
        tick: told how many replies a batch brought. It may raise, to stop.

    Questions of like length share a batch, padded on the left. A batch rounds differently from a single
    row, so one reply in many may differ from the one that a chat gives.
    """
    import transformers

    configuration: Any = transformers.GenerationConfig
    ends = sorted(base.end_token_ids)
    pad = base.tokenizer.pad_token_id or 0
    prompts = [base.chat.encode(conversation(p.question, system, p.before), True) for p in probes]
    rooms = [room_for(p.answer, base) for p in probes]
    order = sorted(range(len(probes)), key=lambda i: (rooms[i], len(prompts[i])))
    replies = [""] * len(probes)
    for start in range(0, len(order), _ROWS):
        batch = order[start : start + _ROWS]
        width = max(len(prompts[i]) for i in batch)
        ids = torch.full((len(batch), width), pad)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(batch):
            ids[row, width - len(prompts[i]) :] = torch.tensor(prompts[i])
            mask[row, width - len(prompts[i]) :] = 1
        limit = min(max(rooms[i] for i in batch), max(1, base.context_length - width))
        settings = configuration(
            do_sample=False, max_new_tokens=limit, pad_token_id=pad, eos_token_id=ends or None
        )
        with torch.inference_mode(), quiet_transformers():
            device = base.placement.device
            out = base.model.generate(
                input_ids=ids.to(device), attention_mask=mask.to(device), generation_config=settings
            )
        for row, i in enumerate(batch):
            tokens = out[row, width : width + rooms[i]].tolist()
            end = next((at for at, token in enumerate(tokens) if token in base.end_token_ids), len(tokens))
            replies[i] = base.chat.reply_text(tokens[:end])
        tick(len(batch))
    return replies
