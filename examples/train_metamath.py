"""Train a rank-gated (DISeL) or plain LoRA on questions and answers, as the paper does on MetaMath.

    accelerate launch train_metamath.py --model meta-llama/Llama-3.2-1B \\
        --data meta-math/MetaMathQA --output out
    python train_metamath.py --model ./SmolLM2-135M-Instruct --data sums.jsonl --output out

Defaults are the paper's: rank 64, alpha 128, rate 2e-4, gates at 1e-3, three epochs; bf16 where the GPU has
it. `OUTPUT` gets the adapter and `losses.json`; `OUTPUT/state` is what `--resume` goes on from. Ctrl-C stops
after the present step and keeps a state, a second one leaves at once.
"""

import argparse
import json
import math
import os
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import get_scheduler

from bases import at_least, load_base, load_tokenizer, number_type
from chat_data import collate, encode, read_rows
from dlm_core.disel import DiselConfig, build_optimizer, enable_disel, record_openness


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", required=True, help="a folder, or a name on the hub")
    add("--data", required=True, help="a JSONL file, or a hub dataset as org/name[:config][:split]")
    add("--output", required=True, type=Path, help="a folder for the adapter")
    add("--method", choices=("disel", "lora"), default="disel", help="with rank gates, or without")
    add("--rank", type=at_least(1), default=64)
    add("--alpha", type=float, default=128)
    add("--dropout", type=float, default=0.0)
    add("--target_modules", nargs="+", default=["all-linear"])
    add("--lr", type=float, default=2e-4)
    add("--gate_lr", type=float, default=1e-3)
    add("--gate_bias_init", type=float, default=-3.0)
    add("--epochs", type=at_least(1), default=3)
    add("--batch_size", type=at_least(1), default=8, help="rows of one process in one forward pass")
    add("--grad_accum", type=at_least(1), default=4, help="forward passes a step")
    add("--warmup", type=float, default=0.03, help="share of the steps over which the rate rises")
    add("--max_length", type=at_least(2), default=1024)
    add("--limit", type=at_least(0), default=0, help="so many rows, 0 for all")
    add(
        "--max_steps",
        type=at_least(0),
        default=0,
        help="stop after so many steps, with a state to resume; 0 for all",
    )
    add("--save_every", type=at_least(1), default=200, help="steps between two states")
    add("--resume", action="store_true", help="go on from OUTPUT/state")
    add("--report_to", default="", help="a tracker of accelerate: tensorboard, wandb, …")
    add("--gradient_checkpointing", action="store_true")
    add("--seed", type=int, default=42)
    return parser.parse_args(words)


def gated_model(args: argparse.Namespace) -> PeftModel:
    """The base with a fresh adapter."""
    model = load_base(args.model)
    targets = "all-linear" if args.target_modules == ["all-linear"] else args.target_modules
    shared: dict[str, Any] = {
        "r": args.rank,
        "lora_alpha": args.alpha,
        "lora_dropout": args.dropout,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
    }
    try:
        if args.method == "lora":
            adapted = get_peft_model(model, LoraConfig(**shared))
        else:
            config = DiselConfig(**shared, disel_gate_bias_init=args.gate_bias_init)
            adapted = enable_disel(get_peft_model(model, config), config)
    except (TypeError, ValueError) as error:  # a layer that is not there or cannot be gated, a bad setting
        raise SystemExit(f"no adapter can be put on {args.model}: {error}") from None
    if args.gradient_checkpointing:
        adapted.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        adapted.enable_input_require_grads()
    return adapted


class Trainer:
    """One training: `run` goes through what is left of it and returns the mean loss of every step."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        _make_folder(args.output)
        self.accelerator = accelerator_for(args)
        set_seed(args.seed)
        tokenizer = load_tokenizer(args.model)
        chats = read_rows(args.data, args.limit)
        rows = [row for each in chats if (row := encode(tokenizer, each, args.max_length)) is not None]
        if len(rows) < len(chats):
            lost = len(chats) - len(rows)
            told = f"{lost} of {len(chats)} rows have no answer within {args.max_length} tokens"
            if not rows:
                raise SystemExit(f"{told}: none is left; raise --max_length, or see that rows have answers")
            self.accelerator.print(f"{told} and are left out")
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        loader = DataLoader(
            rows,
            batch_size=args.batch_size,
            shuffle=True,
            collate_fn=partial(collate, pad_id=pad),
        )
        model = gated_model(args)
        optimizer = build_optimizer(model, base_lr=args.lr, gate_lr=args.gate_lr)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(model, optimizer, loader)
        self.steps_per_epoch = math.ceil(len(self.loader) / args.grad_accum)
        total = self.steps_per_epoch * args.epochs
        # A prepared scheduler is stepped once per process, so it counts the steps of all of them.
        each = self.accelerator.num_processes
        self.scheduler = self.accelerator.prepare(
            get_scheduler("cosine", optimizer, math.ceil(args.warmup * total) * each, total * each)
        )
        self.accelerator.register_save_state_pre_hook(self._save_trained)
        self.accelerator.register_load_state_pre_hook(self._load_trained)
        self.settings = {
            name: getattr(args, name) for name in ("method", "rank", "target_modules", "epochs", "seed")
        } | {
            "batch_size": args.batch_size,
            "grad_accum": args.grad_accum,
            "rows": len(rows),
            "processes": each,
        }
        self.step = 0
        self.losses: list[float] = []
        self.stopping = False
        if args.report_to:
            self.accelerator.init_trackers("disel", config={k: str(v) for k, v in vars(args).items()})

    def run(self) -> list[float]:
        args = self.args
        if args.resume:
            self._resume()
        total = self.steps_per_epoch * args.epochs
        last = min(total, args.max_steps or total)
        self.model.train()
        while self.step < last and not self.stopping:
            self._epoch(last)
        self._save_state()
        if self.step == total:
            self.accelerator.unwrap_model(self.model).save_pretrained(
                args.output, is_main_process=self.accelerator.is_main_process
            )
            if self.accelerator.is_main_process:
                (args.output / "losses.json").write_text(json.dumps(self.losses))
        return self.losses

    def _epoch(self, last: int) -> None:
        """The steps of the present epoch that are left, up to step `last`."""
        epoch, done = divmod(self.step, self.steps_per_epoch)
        self.loader.set_epoch(epoch)
        torch.manual_seed(self.args.seed + epoch)  # a resumed epoch is shuffled as it was
        loader = (
            self.accelerator.skip_first_batches(self.loader, done * self.args.grad_accum)
            if done
            else self.loader
        )
        losses: list[torch.Tensor] = []
        for batch in loader:
            with self.accelerator.accumulate(self.model):
                loss = self.model(**batch).loss
                losses.append(loss.detach())
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                self.scheduler.step()
                self.optimizer.zero_grad()
            if self.accelerator.sync_gradients:
                self._count(torch.stack(losses).mean())
                losses = []
                if self.step == last or self.stopping:
                    return

    def _count(self, loss: torch.Tensor) -> None:
        self.step += 1
        asked = loss.new_tensor(_asked_to_stop)  # of any process, so that all stop at the same step
        mean, stopping = self.accelerator.reduce(torch.stack([loss, asked]), "mean").tolist()
        self.stopping = stopping > 0
        self.losses.append(mean)
        rate = self.scheduler.get_last_lr()[0]
        self.accelerator.log({"loss": mean, "rate": rate}, step=self.step)
        if self.step % 10 == 0 or self.step == 1:
            self.accelerator.print(f"step {self.step}  loss {mean:.3f}  rate {rate:.1e}", flush=True)
        if self.step % self.args.save_every == 0:
            self._save_state()

    def _save_state(self) -> None:
        """A state is whole or not there: written beside the last one, which then makes way."""
        folder, new, old = (self.args.output / name for name in ("state", "state.new", "state.old"))
        self.accelerator.save_state(str(new))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            (new / "settings.json").write_text(json.dumps(self.settings))
            (new / "steps.json").write_text(json.dumps(self.losses))
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)
                folder.rename(old)
            new.rename(folder)
            shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _save_trained(self, models: list[Any], weights: list[Any], folder: str) -> None:
        """A state holds the adapter, and not the base, which is where it was."""
        if self.accelerator.is_main_process:
            trained = {name: p.detach().cpu() for name, p in self._trained().items()}
            save_file(trained, Path(folder) / "trained.safetensors")
        weights.clear()

    def _load_trained(self, models: list[Any], folder: str) -> None:
        models.clear()
        saved = load_file(Path(folder) / "trained.safetensors")
        with torch.no_grad():
            for name, parameter in self._trained().items():
                parameter.copy_(saved[name])

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        model = self.accelerator.unwrap_model(self.model)
        return {name: p for name, p in model.named_parameters() if p.requires_grad}

    def _resume(self) -> None:
        folder = self.args.output / "state"
        if not folder.exists():  # killed between the two renamings
            folder = self.args.output / "state.old"
        if not (folder / "steps.json").is_file():
            raise SystemExit(
                f"there is no state to resume in {self.args.output / 'state'}; train without --resume"
            )
        before = json.loads((folder / "settings.json").read_text())
        other = [
            f"{key} {before[key]}, not {now}" for key, now in self.settings.items() if before[key] != now
        ]
        if other:
            raise SystemExit(
                f"the state in {folder} was trained with {'; '.join(other)}: resume as it began, "
                "or train without --resume"
            )
        self.accelerator.load_state(str(folder))
        self.losses = json.loads((folder / "steps.json").read_text())
        self.step = len(self.losses)


_asked_to_stop = False


def _stop_after_this_step(*_: object) -> None:
    global _asked_to_stop
    _asked_to_stop = True
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one leaves at once


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise SystemExit(
            f"--output {folder} cannot be written: {error.strerror}; name another folder"
        ) from None


def accelerator_for(args: argparse.Namespace) -> Accelerator:
    """What places model and rows on the devices of every process."""
    try:
        accelerator = Accelerator(
            # Said outright, for without it processes on a CPU train apart, each alone.
            cpu=not (torch.cuda.is_available() or torch.backends.mps.is_available()),
            gradient_accumulation_steps=args.grad_accum,
            mixed_precision="bf16" if number_type() == torch.bfloat16 else "no",
            log_with=args.report_to or None,
            project_dir=str(args.output),
        )
    except ValueError as error:
        raise SystemExit(f"accelerate does not start: {error}") from None
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ
    if accelerator.num_processes == 1 and launched and "RANK" not in os.environ:
        raise SystemExit(
            "`accelerate launch` was asked for several processes and started one: on a CPU it starts several "
            "only through mpirun. `torchrun --nproc-per-node N train_metamath.py …` starts them"
        )
    if args.report_to and not accelerator.log_with:
        raise SystemExit(
            f"--report_to {args.report_to} is not installed here: `pip install {args.report_to}`"
        )
    return accelerator


def openness(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> float | None:
    """How open the gates are on a batch, on the average of layers and ranks; None without gates."""
    model.eval()
    with torch.no_grad(), record_openness(model) as recorder:
        model(**batch)
    return recorder.mean()


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    trainer = Trainer(args)
    global _asked_to_stop
    _asked_to_stop = False
    before = signal.signal(signal.SIGINT, _stop_after_this_step)
    try:
        losses = trainer.run()
    finally:
        signal.signal(signal.SIGINT, before)
    if trainer.stopping:
        trainer.accelerator.print(
            f"stopped after step {trainer.step}; the same command with --resume goes on"
        )
        trainer.accelerator.end_training()
        return
    batch = next(iter(trainer.loader))
    opened = openness(trainer.accelerator.unwrap_model(trainer.model), batch)
    shown = "" if opened is None else f", gates {opened:.0%} open"
    trainer.accelerator.print(f"{len(losses)} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}{shown}")
    trainer.accelerator.end_training()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is lost before the first step
    main()
