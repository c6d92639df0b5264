"""Ask a model, with and without an adapter, problems whose answer is a number, and count what is right.

    python eval_gsm8k.py --model meta-llama/Llama-3.2-1B --adapter out --data openai/gsm8k:main:test
    python eval_gsm8k.py --model ./SmolLM2-135M-Instruct --adapter out --data sums.test.jsonl

Replies are greedy, in batches. The answer is what stands behind `####` or "The answer is", else the last
number. stdout is one JSON document.
"""

import argparse
import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import torch

from bases import at_least, load_adapter, load_base, load_tokenizer
from chat_data import Messages, prompt_ids, question_and_answer, read_rows

NUMBER = r"-?\$?\d[\d,]*(?:\.\d+)?"
_SAID = (
    re.compile(rf"####\s*({NUMBER})"),
    re.compile(rf"(?:answer is|answer:)\s*:?\s*({NUMBER})", re.IGNORECASE),
)


def extract(text: str) -> Decimal | None:
    """The number that a reply gives as its answer; None where it has none."""
    for pattern in _SAID:
        if said := pattern.findall(text):
            return _number(said[-1])
    numbers = re.findall(NUMBER, text)
    return _number(numbers[-1]) if numbers else None


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", "").replace("$", ""))
    except InvalidOperation:
        return None


@torch.no_grad()
def replies(model: Any, tokenizer: Any, asked: list[Messages], batch_size: int, max_tokens: int) -> list[str]:
    """Greedy replies; prompts of a batch are padded on the left."""
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    found = []
    for begin in range(0, len(asked), batch_size):
        prompts = [prompt_ids(tokenizer, each) for each in asked[begin : begin + batch_size]]
        width = max(map(len, prompts))
        ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=model.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
        said = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=max_tokens, do_sample=False, pad_token_id=pad
        )
        found += tokenizer.batch_decode(said[:, width:], skip_special_tokens=True)
    return found


def right(said: list[str], expected: list[str]) -> float:
    """The share of replies with the expected number, 0 to 1."""
    pairs = [(extract(one), extract(other)) for one, other in zip(said, expected, strict=True)]
    return sum(one is not None and one == other for one, other in pairs) / len(pairs)


def main(words: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", required=True)
    add("--adapter", help="a folder that train_metamath.py wrote; without it the base alone is asked")
    add("--data", required=True, help="a JSONL file, or a hub dataset as org/name[:config][:split]")
    add("--num_problems", type=at_least(0), default=0, help="the first so many, 0 for all")
    add("--batch_size", type=at_least(1), default=16)
    add("--max_tokens", type=at_least(1), default=256)
    add("--show", type=at_least(0), default=0, help="put so many replies into the output")
    args = parser.parse_args(words)
    problems = [question_and_answer(row) for row in read_rows(args.data, args.num_problems)]
    asked, expected = [question for question, _ in problems], [answer for _, answer in problems]
    if all(extract(answer) is None for answer in expected):
        raise SystemExit(f"{args.data}: no answer has a number, so nothing can be counted as right")
    tokenizer = load_tokenizer(args.model)
    model = load_base(args.model).to("cuda" if torch.cuda.is_available() else "cpu").eval()

    found: dict[str, Any] = {"problems": len(problems)}
    for name in ("base", "adapter"):
        if name == "adapter":
            if not args.adapter:
                break
            model = load_adapter(model, args.adapter)
        said = replies(model, tokenizer, asked, args.batch_size, args.max_tokens)
        found[name] = {"right": right(said, expected)}
        if args.show:
            found[name]["replies"] = said[: args.show]
    print(json.dumps(found, ensure_ascii=False, indent=2))
    return found


if __name__ == "__main__":
    main()
