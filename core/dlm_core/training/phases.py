"""The loops a run goes through, one after the other, and how far what they trained is from the base."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator

from dlm_core.adapters.bank import TrainingPlan
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import Document
from dlm_core.events import Event
from dlm_core.training.checkpoint import Phase
from dlm_core.training.examples import PreferenceRow, Row
from dlm_core.training.loop import Loop
from dlm_core.training.plan import PlannedRows
from dlm_core.training.preference import PreferenceLoop
from dlm_core.training.recipe import Recipe
from dlm_core.training.rehearsal import Rehearsal, bundled, own_texts
from dlm_core.training.revision import Revision, revising
from dlm_core.training.workshop import Workshop

AnyLoop = Loop | PreferenceLoop


class LoopMaker:
    """Makes the loops of one run when their turn comes."""

    def __init__(
        self,
        document: Document,
        shop: Workshop,
        recipe: Recipe,
        run_id: int,
        accelerator: Accelerator,
        emit: Callable[[Event], None],
    ) -> None:
        self._document, self._shop, self._recipe = document, shop, recipe
        self._run_id, self._accelerator, self._emit = run_id, accelerator, emit

    def phases(
        self, rows: PlannedRows, adapters: Sequence[AdapterWeights], fresh: Collection[str]
    ) -> list[tuple[Phase, Callable[[], AnyLoop]]]:
        """The phases that have something to do: fresh adapters in full, the others' edits, preferences."""
        starting = [a for a in adapters if a.spec.name in fresh]
        going_on = [a for a in adapters if a.spec.name not in fresh]
        found: list[tuple[Phase, Callable[[], AnyLoop]]] = []
        if rows.fresh:
            found.append(("sft", partial(self._in_full, starting, rows.fresh)))
        if rows.changed:
            found.append(("revision", partial(self._revision, going_on, rows)))
        if rows.preference:
            found.append(("preference", partial(self._preferences, adapters, rows.preference)))
        return found

    def _in_full(self, adapters: Sequence[AdapterWeights], rows: Sequence[Row]) -> Loop:
        learn, held_out = _split(rows, self._recipe.validation_share, self._recipe.seed)
        return Loop(rows=learn, validation=held_out, **self._common(adapters, self._recipe))

    def _revision(self, adapters: Sequence[AdapterWeights], rows: PlannedRows) -> Loop:
        recipe = revising(self._recipe)
        return Revision(changed=rows.changed, replayed=rows.replayed, **self._common(adapters, recipe))

    def _preferences(
        self, adapters: Sequence[AdapterWeights], pairs: Sequence[PreferenceRow]
    ) -> PreferenceLoop:
        config = self._document.frontmatter.training.preference
        return PreferenceLoop(pairs=pairs, config=config, **self._common(adapters, self._recipe))

    def _common(self, adapters: Sequence[AdapterWeights], recipe: Recipe) -> dict[str, Any]:
        """What every kind of loop is given."""
        share = recipe.learning_rate / self._recipe.learning_rate
        return {
            "run_id": self._run_id,
            "bank": self._shop.bank,
            "head": self._shop.head,
            "adapters": adapters,
            "rates": {a.spec.name: share * self._rate(a.spec.name) for a in adapters},
            "recipe": recipe,
            "rehearsal": self._rehearsal(),
            "pad_id": self._shop.base.tokenizer.pad_token_id or 0,
            "accelerator": self._accelerator,
            "emit": self._emit,
        }

    def _rate(self, name: str) -> float:
        own = self._document.frontmatter.training.adapter_configs()[name].learning_rate
        return self._recipe.learning_rate if own == "auto" else float(own)

    def _rehearsal(self) -> Rehearsal | None:
        if not self._recipe.rehearse_every:
            return None
        own = own_texts(self._document.frontmatter.training.rehearsal.texts, self._document.path.parent)
        return self._shop.rehearsal((*own, *bundled("rehearsal")), self._recipe.seed)


def measure(shop: Workshop, adapters: Sequence[AdapterWeights], seed: int) -> Mapping[str, float]:
    """Perplexity of the adapters on neutral text, of the base, and KL between them; the bank is off then."""
    meter = shop.meter()
    try:
        with torch.no_grad():
            perplexity, kl = meter.measure_pinned(shop.bank, TrainingPlan(shop.bank, adapters), seed)
    finally:
        shop.bank.use(None)
    return {"perplexity": perplexity, "perplexity_base": meter.base_perplexity, "kl": kl}


def _split(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Rows to learn and rows to validate on; every adapter keeps at least one row to learn."""
    held = round(len(rows) * share)
    order = list(range(len(rows)))
    random.Random(f"{seed}:validation").shuffle(order)
    chosen: set[int] = set()
    left = {name: sum(r.adapter == name for r in rows) for name in {r.adapter for r in rows}}
    for i in order:
        if len(chosen) == held:
            break
        if left[rows[i].adapter] > 1:
            left[rows[i].adapter] -= 1
            chosen.add(i)
    return [r for i, r in enumerate(rows) if i not in chosen], [rows[i] for i in sorted(chosen)]
