"""What the recipes share: chats of a file or a hub dataset as rows of tokens, with the loss on answers."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
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
_WANTED = "it needs `messages`, or " + ", ".join(
    " and ".join(f"`{name}`" for name in pair) for pair in _PAIRS
)


def read_rows(source: str, limit: int = 0) -> list[Messages]:
    """Conversations of a JSONL file, or of a hub dataset named as `org/name`, `org/name:split` or
    `org/name:config:split`; the first `limit`, 0 for all.

    A row has `messages` (role and content), or a question and an answer under a usual pair of names.
    What cannot be read ends the program with its place.
    """
    rows = _file_rows(Path(source)) if Path(source).is_file() else enumerate(_hub_rows(source), 1)
    found = [_messages(row, f"{source}:{number}") for number, row in islice(rows, limit or None)]
    if not found:
        raise SystemExit(f"{source} has no rows; give a file with a JSON object a line")
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
    if messages[-1]["role"] != "assistant":
        raise SystemExit(f"a conversation ends without an answer: {messages[-1]['content'][:60]!r}")
    return messages[:-1], messages[-1]["content"]


def _messages(row: Any, place: str) -> Messages:
    """A row as a conversation; `place` is where it stands."""
    if not isinstance(row, Mapping):
        raise SystemExit(f"{place}: a row is a JSON object, not {type(row).__name__}; {_WANTED}")
    if "messages" in row:
        try:
            turns = [{"role": m["role"], "content": m["content"]} for m in row["messages"]]
        except (KeyError, TypeError):
            turns = []
        if not turns or not all(isinstance(text, str) for turn in turns for text in turn.values()):
            raise SystemExit(f"{place}: `messages` is a list of turns, each with a role and a content")
        return turns
    for asked, answered in _PAIRS:
        if asked in row and answered in row:
            return [
                {"role": "user", "content": str(row[asked])},
                {"role": "assistant", "content": str(row[answered])},
            ]
    raise SystemExit(f"{place}: the row has {', '.join(map(str, row)) or 'nothing'}; {_WANTED}")


def _file_rows(file: Path) -> Iterator[tuple[int, Any]]:
    """Line numbers and rows."""
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, json.loads(line)
    except json.JSONDecodeError as error:
        raise SystemExit(
            f"{file}:{number}: not JSON ({error.msg}); a row is one JSON object a line"
        ) from None
    except UnicodeDecodeError:
        raise SystemExit(f"{file} is not UTF-8; convert it (`iconv -f latin1 -t utf-8`)") from None
    except OSError as error:
        raise SystemExit(f"{file} cannot be read: {error.strerror}") from None


def _hub_rows(source: str) -> Iterable[Mapping[str, Any]]:
    if Path(source).is_dir() or Path(source).suffix in (".json", ".jsonl", ".txt", ".csv"):
        raise SystemExit(f"there is no file {source}; --data is a JSONL file or a hub dataset")
    try:
        from datasets import load_dataset
    except ImportError:
        raise SystemExit(f"{source} is no file here; a hub dataset needs `pip install datasets`") from None
    name, *rest = source.split(":")
    split = rest.pop() if rest else "train"
    try:
        rows: Iterable[Mapping[str, Any]] = load_dataset(name, *rest, split=split)
    except (OSError, ValueError) as error:
        raise SystemExit(f"--data {source} does not load: {str(error).splitlines()[0]}") from None
    return rows
