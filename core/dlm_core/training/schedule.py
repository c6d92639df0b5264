"""Learning-rate factors over a run: linear warm-up, then cosine, linear or constant."""

import math


def factor(step: float, steps: int, warmup_ratio: float, kind: str) -> float:
    """The factor on the peak rate at `step` (0-based, or between two) of `steps`, in 0..1."""
    warmup = max(1, round(steps * warmup_ratio)) if warmup_ratio > 0 else 0
    if step < warmup:
        return (step + 1) / warmup
    if kind == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    if kind == "linear":
        return 1.0 - progress
    return 0.5 * (1.0 + math.cos(math.pi * progress))
