"""Checks that a base can work at all, made when it is loaded: every tensor, a row for every token, a
chat template that renders, a token that ends a reply.
"""

from collections.abc import Iterable
from typing import Any

from dlm_core.bases.chat import Chat
from dlm_core.errors import BaseModelError
from dlm_core.requests import Message
from dlm_core.safetext import visible_line

_NAMED = 5
_ASKED = "zqjxquestion"


def check_tensors(name: str, missing: Iterable[str]) -> None:
    """Raise BaseModelError if weights are missing in the base's files: they would be random."""
    if lacking := sorted(missing):
        raise BaseModelError(
            f"{name} is incomplete: its files hold no {_listed(lacking)}",
            "fetch it again, or choose a base whose weights are complete",
        )


def check_rows(name: str, tokenizer: Any, rows: int) -> None:
    """Raise BaseModelError if the tokenizer has tokens beyond the `rows` of the embedding that may come up.

    A special token that the chat template does not write never does: no text becomes one. Converted
    tokenizers have such leftovers.
    """
    if max(tokenizer.vocab_size, 1 + max(tokenizer.added_tokens_decoder, default=-1)) <= rows:
        return  # all of a large vocabulary need not be looked at
    template, added = str(tokenizer.chat_template or ""), tokenizer.added_tokens_decoder
    beyond = sorted(
        (int(i), str(token))
        for token, i in tokenizer.get_vocab().items()
        if int(i) >= rows and (int(i) not in added or not added[int(i)].special or str(token) in template)
    )
    if beyond:
        tokens = _listed([f"{token} ({i})" for i, token in beyond])
        raise BaseModelError(
            f"{name} cannot be used: its embedding has {rows:,} rows, and its tokenizer gives "
            f"{len(beyond):,} {'token' if len(beyond) == 1 else 'tokens'} without one: {tokens}",
            "take tokenizer and weights of the same model, or resize its embedding and save it anew",
        )


def check_chat(name: str, chat: Chat) -> None:
    """Raise BaseModelError if the chat template renders no question, or no token ends a reply."""
    try:
        rendered = chat.render([Message("user", _ASKED)], add_generation_prompt=True)
        end = chat.turn_shape.end_id
    except BaseModelError as error:
        raise BaseModelError(
            f"{name} cannot be used: {error.message}", "correct its chat template"
        ) from error
    if _ASKED not in rendered:
        raise BaseModelError(
            f"{name} cannot be used: its chat template leaves the question out", "correct its chat template"
        )
    if end is None:
        raise BaseModelError(
            f"{name} cannot be used: its tokenizer names no token that ends a reply",
            "set `eos_token` in its tokenizer_config.json",
        )


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    shown = ", ".join(f"`{visible_line(name)[:60]}`" for name in names[:_NAMED])
    return f"{shown} and {more:,} more" if more > 0 else shown
