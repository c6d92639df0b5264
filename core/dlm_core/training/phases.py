"""The kinds of training a run goes through, one after the other, and how far what they trained is from the
base.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from dlm_core.adapters.bank import TrainingPlan
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import Document
from dlm_core.training.checkpoint import Phase
from dlm_core.training.examples import PreferenceRow, Row
from dlm_core.training.loop import Policy
from dlm_core.training.plan import PlannedRows
from dlm_core.training.preference import Preference
from dlm_core.training.recipe import Recipe
from dlm_core.training.rehearsal import Rehearsal, bundled, own_texts
from dlm_core.training.revision import Revision, revising
from dlm_core.training.sft import InFull
from dlm_core.training.step import Tools
from dlm_core.training.workshop import Workshop


class PolicyMaker:
    """Makes the policies of one run when their turn comes."""

    def __init__(self, document: Document, shop: Workshop, recipe: Recipe, tools: Tools) -> None:
        self._document, self._shop, self._recipe, self._tools = document, shop, recipe, tools

    def phases(
        self, rows: PlannedRows, adapters: Sequence[AdapterWeights], fresh: Collection[str]
    ) -> dict[Phase, Callable[[], Policy[Any]]]:
        """The phases that have something to do: fresh adapters in full, the others' edits, preferences."""
        starting = [a for a in adapters if a.spec.name in fresh]
        going_on = [a for a in adapters if a.spec.name not in fresh]
        found: dict[Phase, Callable[[], Policy[Any]]] = {}
        if rows.fresh:
            found["sft"] = partial(self._in_full, starting, rows.fresh)
        if rows.changed:
            found["revision"] = partial(self._revision, going_on, rows)
        if rows.preference:
            found["preference"] = partial(self._preference, adapters, rows.preference)
        return found

    def _in_full(self, adapters: Sequence[AdapterWeights], rows: Sequence[Row]) -> Policy[Any]:
        recipe = self._recipe
        learn, held_out = _split(rows, recipe.validation_share, recipe.seed)
        rates = self._rates(adapters)
        return InFull(self._tools, recipe, adapters, rates, rows=learn, validation=held_out)

    def _revision(self, adapters: Sequence[AdapterWeights], rows: PlannedRows) -> Policy[Any]:
        recipe = revising(self._recipe)
        share = recipe.learning_rate / self._recipe.learning_rate
        rates = {name: share * rate for name, rate in self._rates(adapters).items()}
        return Revision(self._tools, recipe, adapters, rates, changed=rows.changed, replayed=rows.replayed)

    def _preference(self, adapters: Sequence[AdapterWeights], pairs: Sequence[PreferenceRow]) -> Policy[Any]:
        config = self._document.frontmatter.training.preference
        rates = self._rates(adapters)
        return Preference(self._tools, self._recipe, adapters, rates, pairs=pairs, config=config)

    def _rates(self, adapters: Sequence[AdapterWeights]) -> dict[str, float]:
        """Peak learning rates by adapter name."""
        configs = self._document.frontmatter.training.adapter_configs()
        own = {a.spec.name: configs[a.spec.name].learning_rate for a in adapters}
        return {n: self._recipe.learning_rate if r == "auto" else float(r) for n, r in own.items()}


def rehearsal_of(document: Document, shop: Workshop, recipe: Recipe) -> Rehearsal | None:
    """The rehearsal of a run, None where its recipe has none."""
    if not recipe.rehearse_every:
        return None
    own = own_texts(document.frontmatter.training.rehearsal.texts, document.path.parent)
    return shop.rehearsal((*own, *bundled("rehearsal")), recipe.seed)


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
