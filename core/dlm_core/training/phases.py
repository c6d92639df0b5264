"""The kinds of training a run goes through, one after the other, and how far what they trained is from the
base.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from dlm_core.adapters.bank import TrainingPlan
from dlm_core.adapters.folder import load_adapter
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.document.model import Document
from dlm_core.routing.gate import load_gate
from dlm_core.store.manifest import Snapshot
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


def measure(
    shop: Workshop, adapters: Sequence[AdapterWeights], seed: int, system: str | None
) -> Mapping[str, float]:
    """Perplexity of the adapters on neutral text, of the base, KL between them there and where replies to
    chat questions begin, each text and question under one adapter alone; the bank is off afterwards.
    """
    meter, chat = shop.meter(), shop.chat_meter(system)
    try:
        with torch.no_grad():
            plan = TrainingPlan(shop.bank, adapters)
            perplexity, kl = meter.measure_pinned(shop.bank, plan, seed)
            chat_kl = chat.measure_pinned(shop.bank, plan)
    finally:
        shop.bank.use(None)
    return {
        "perplexity": perplexity,
        "perplexity_base": meter.base_perplexity,
        "kl": kl,
        "chat_kl": chat_kl,
    }


def measure_routed(shop: Workshop, names: Sequence[str], snapshot: Snapshot, system: str | None) -> float:
    """KL from the base where replies to chat questions begin, under the adapters and the gate of a commit."""
    shop.bank.use(None)
    chat, count = shop.chat_meter(system), len(names)
    folder = snapshot.gate_dir()
    saved = None
    if folder is not None and count > 1:
        saved = load_gate(folder, names, shop.embedder.hidden_size)
    if saved is None or saved.module is None:
        weights = torch.full((len(chat.questions), count), 1 / count)
    else:
        weights = saved.weights(chat.questions, shop.reader).detach()
    loaded = [load_adapter(snapshot.adapter_dir(n), n, shop.bank.features).to(shop.device) for n in names]
    plan = TrainingPlan(shop.bank, loaded)
    plan.dropping = False

    def route(place: int) -> None:
        plan.set_rows(weights[place : place + 1].to(shop.device))
        shop.bank.use(plan)

    try:
        with torch.no_grad():
            return chat.measure(route)
    finally:
        shop.bank.use(None)


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
