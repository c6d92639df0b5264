"""Measure what the base has kept under an adapter: on other people's benchmarks, or on neutral text.

    python eval_retention.py --model meta-llama/Llama-3.2-1B --adapter out --tasks hellaswag arc_easy
    python eval_retention.py --model ./SmolLM2-135M-Instruct --adapter out --data sums.test.jsonl

With `--tasks`, lm-evaluation-harness (`pip install lm-eval`) runs them on the base and on the adapted model.
Without, neutral prose and chat questions that lie beside this file are read: perplexity of the prose, and how
far in nats what the adapted model says next is from what the base says, KL(adapted ‖ base): in the prose, and
where replies to the questions begin; and how open the gates were in the prose, and in the rows of `--data`.
stdout is one JSON document.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from bases import at_least, load_adapter, load_base, load_tokenizer
from chat_data import encode, prompt_ids, read_rows
from dlm_core.disel import record_openness

NEUTRAL = Path(__file__).parent / "neutral"


def passages() -> list[str]:
    return [
        part.strip() for part in (NEUTRAL / "prose.txt").read_text("utf-8").split("\n---\n") if part.strip()
    ]


def questions() -> list[str]:
    return [line.strip() for line in (NEUTRAL / "chat.txt").read_text("utf-8").splitlines() if line.strip()]


@torch.no_grad()
def told(model: Any, texts: list[list[int]]) -> list[torch.Tensor]:
    """Log-probabilities [tokens, vocabulary] of what follows each token, for every text."""
    return [
        model(torch.tensor([ids], device=model.device)).logits[0].float().log_softmax(-1).cpu()
        for ids in texts
    ]


def openness(adapted: Any, texts: list[list[int]]) -> float | None:
    """How open the gates were, on the average of layers and ranks; None without gates."""
    with record_openness(adapted) as recorder:
        told(adapted, texts)
    return recorder.mean()


def on_neutral_text(adapted: Any, tokenizer: Any) -> dict[str, float | None]:
    """The figures of the neutral text beside this file."""
    prose = [list(tokenizer(text)["input_ids"])[:256] for text in passages()]
    asked = [prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in questions()]
    with adapted.disable_adapter():
        base_prose, base_asked = told(adapted, prose), told(adapted, asked)
    own_prose, own_asked = told(adapted, prose), told(adapted, asked)
    begins = [(own[-1:], base[-1:]) for own, base in zip(own_asked, base_asked, strict=True)]
    return {
        "perplexity_base": _perplexity(base_prose, prose),
        "perplexity": _perplexity(own_prose, prose),
        "kl": _divergence(list(zip(own_prose, base_prose, strict=True))),
        "chat_kl": _divergence(begins),
        "open_in_prose": openness(adapted, prose),
    }


def _perplexity(said: list[torch.Tensor], texts: list[list[int]]) -> float:
    losses = [
        -each[:-1].gather(1, torch.tensor(ids[1:])[:, None]) for each, ids in zip(said, texts, strict=True)
    ]
    return float(torch.cat(losses).mean().exp())


def _divergence(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    return float(torch.cat([(own.exp() * (own - base)).sum(-1) for own, base in pairs]).mean())


def on_tasks(model: Any, adapted: Any, tokenizer: Any, tasks: list[str], limit: int | None) -> dict[str, Any]:
    """What lm-evaluation-harness finds for the base and under the adapter."""
    try:
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        raise SystemExit(
            "--tasks needs `pip install lm-eval`; without --tasks neutral text is read"
        ) from None

    def evaluate(which: Any) -> Any:
        return simple_evaluate(HFLM(pretrained=which, tokenizer=tokenizer), tasks=tasks, limit=limit)[
            "results"
        ]

    with adapted.disable_adapter():
        base = evaluate(adapted)
    return {"base": base, "adapter": evaluate(adapted)}


def main(words: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", required=True)
    add("--adapter", required=True)
    add("--data", help="rows of the task, to see how open the gates are there")
    add("--tasks", nargs="+", default=[], help="tasks of lm-evaluation-harness")
    add("--limit", type=at_least(1), help="so many examples of each task")
    args = parser.parse_args(words)
    if not args.tasks and not NEUTRAL.is_dir():
        raise SystemExit(f"there is no {NEUTRAL}; copy it along with this file, or name --tasks")
    rows = read_rows(args.data, 50) if args.data else []
    tokenizer = load_tokenizer(args.model)
    model = load_base(args.model).to("cuda" if torch.cuda.is_available() else "cpu").eval()
    adapted = load_adapter(model, args.adapter)
    if args.tasks:
        found = on_tasks(model, adapted, tokenizer, args.tasks, args.limit)
    else:
        found = dict(on_neutral_text(adapted, tokenizer))
        if args.data:
            task = (encode(tokenizer, each, 1024) for each in rows)
            found["open_in_task"] = openness(adapted, [row["input_ids"] for row in task if row])
    print(json.dumps(found, indent=2, default=str))
    return found


if __name__ == "__main__":
    main()
