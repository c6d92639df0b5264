"""What the recipes share: chats of a file or a hub dataset as rows of tokens, with the loss on answers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Messages = list[dict[str, str]]
IGNORED = -100
"""What torch's cross-entropy leaves out."""
_PAIRS = (
    ("query", "response"),  # MetaMathQA
    ("question", "answer"),  # GSM8K
    ("instruction", "output"),  # Alpaca
    ("prompt", "completion"),
)


def read_rows(source: str, limit: int = 0) -> list[Messages]:
    """Conversations of a JSONL file, or of a hub dataset named as `org/name`, `org/name:split` or
    `org/name:config:split`; the first `limit`, 0 for all.

    A row has `messages` (role and content), or a question and an answer under a usual pair of names.
    """
    rows: Iterable[Mapping[str, Any]]
    if Path(source).is_file():
        with Path(source).open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file if line.strip()]
    else:
        rows = _hub_rows(source)
    found = []
    for row in rows:
        found.append(_messages(row))
        if limit and len(found) == limit:
            break
    if not found:
        raise SystemExit(f"{source} has no rows")
    return found


def encode(tokenizer: Any, messages: Messages, max_length: int) -> dict[str, list[int]] | None:
    """Token ids of a conversation and its labels: the answers' own, all else `IGNORED`. None where nothing of
    an answer is within `max_length`.

    Of a template that writes earlier turns otherwise than the last, the last answer alone is learned.
    """
    ids: list[int] = []
    labels: list[int] = []
    for turn, message in enumerate(messages):
        if message["role"] == "assistant":
            asked, upto = prompt_ids(tokenizer, messages[:turn]), _token_ids(tokenizer, messages[: turn + 1])
            known = labels if upto[: len(ids)] == ids else []
            labels = [*known, *[IGNORED] * (len(asked) - len(known)), *upto[len(asked) :]]
            ids = upto
    ids, labels = ids[:max_length], labels[:max_length]
    if all(label == IGNORED for label in labels):
        return None
    return {"input_ids": ids, "labels": labels}


def prompt_ids(tokenizer: Any, messages: Messages) -> list[int]:
    """Token ids of a conversation up to where the next answer begins."""
    if tokenizer.chat_template:
        return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))
    return [*_token_ids(tokenizer, messages), *tokenizer("assistant:", add_special_tokens=False)["input_ids"]]


def _token_ids(tokenizer: Any, messages: Messages) -> list[int]:
    """Token ids of a conversation, with the token that ends an answer; plain lines without a template."""
    if tokenizer.chat_template:
        return list(tokenizer.apply_chat_template(messages, return_dict=False))
    ids = list(tokenizer("")["input_ids"])
    for message in messages:
        for part in (f"{message['role']}:", f" {message['content']}"):
            ids += tokenizer(part, add_special_tokens=False)["input_ids"]
        newline = tokenizer("\n", add_special_tokens=False)["input_ids"]
        ids += [tokenizer.eos_token_id] if message["role"] == "assistant" else newline
    return ids


def collate(rows: Sequence[Mapping[str, list[int]]], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows side by side, padded on the right."""
    width = max(len(row["input_ids"]) for row in rows)
    fill = {"input_ids": pad_id, "labels": IGNORED}
    batch = {
        name: torch.tensor([row[name] + [value] * (width - len(row[name])) for row in rows])
        for name, value in fill.items()
    }
    lengths = torch.tensor([[len(row["input_ids"])] for row in rows])
    batch["attention_mask"] = (torch.arange(width)[None] < lengths).long()
    return batch


def question_and_answer(messages: Messages) -> tuple[Messages, str]:
    """What is asked, and the answer that is expected."""
    return messages[:-1], messages[-1]["content"]


def _messages(row: Mapping[str, Any]) -> Messages:
    if "messages" in row:
        return [{"role": m["role"], "content": m["content"]} for m in row["messages"]]
    for asked, answered in _PAIRS:
        if asked in row and answered in row:
            return [
                {"role": "user", "content": str(row[asked])},
                {"role": "assistant", "content": str(row[answered])},
            ]
    raise SystemExit(f"a row has neither `messages` nor a question and an answer: it has {', '.join(row)}")


def _hub_rows(source: str) -> Iterable[Mapping[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise SystemExit(f"{source} is no file here; a hub dataset needs `pip install datasets`") from None
    name, *rest = source.split(":")
    split = rest.pop() if rest else "train"
    rows: Iterable[Mapping[str, Any]] = load_dataset(name, *rest, split=split)
    return rows
