"""What a training step computes: forward and backward of a batch and of a text to rehearse, and checks
without gradients. Once through transformers and the bank, for any base; once written out, for llama-shaped
ones.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from dlm_core.adapters.bank import Bank, TrainingPlan
from dlm_core.adapters.flat import FlatAdapters
from dlm_core.adapters.openness import OpennessLayout, OpennessRecorder
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.llama.output_head import OutputHead, leads
from dlm_core.llama.packing import Packed, pack
from dlm_core.llama.shape import find
from dlm_core.llama.training_forward import LONGEST, LeanForward
from dlm_core.llama.training_groups import fits
from dlm_core.training.batches import Batch
from dlm_core.training.examples import Row
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.rehearsal import NeutralText, Rehearsal

LEAD = 0.2  # nats by which a token must lead in a check: replies are computed in another number format
_AGREE = 0.05  # nats of log-probability by which the written-out forward may differ from transformers'


@dataclass(frozen=True)
class Turn:
    """A text to rehearse in this step: by which adapter, by index, and the factor on its KL."""

    text: NeutralText
    pinned: int
    weight: float


@dataclass(frozen=True)
class Outcome:
    """Per answer token of a batch the loss in nats [n] and whether it was predicted [n]; the KL per token of
    the rehearsal, if there was one; and who recorded openness, if it was watched.
    """

    losses: Tensor
    hits: Tensor
    kl: float | None = None
    recorder: OpennessRecorder | None = None


Weigh = Callable[[Tensor], Tensor]
"""From the losses [n] of a batch's answer tokens what each counts [n], itself without a gradient: for losses
that are no sum over tokens, their derivative.
"""


class Passes(Protocol):
    """One way to compute a step. Gradients land in the vectors of `FlatAdapters`."""

    def learn(
        self,
        batch: Batch,
        scale: float,
        turn: Turn | None,
        layout: OpennessLayout | None,
        weigh: Weigh | None = None,
    ) -> Outcome:
        """Forward and backward of a batch: its losses by their emphasis, or by what `weigh` says, summed,
        times `scale`. `layout` has openness recorded. A batch may be empty where there is a text to rehearse.
        """
        ...

    def expect(self, rows: Iterable[Row]) -> None:
        """What the next batches will hold, in about this order."""
        ...

    def check(self, batch: Batch, *, base: bool = False) -> Outcome:
        """The batch under the weights as they are, or under the bare base, without gradients; predicted is
        what leads clearly.
        """
        ...

    def foresee(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Losses in nats [n] of the batch's answer tokens, and the likeliest token [n] in place of each.

        No later step comes out otherwise for having been asked, by not a bit.
        """
        ...

    def changed(self) -> None:
        """The adapters' numbers have changed."""
        ...


class PlanPasses:
    """Through transformers' forward, a `TrainingPlan` and autograd."""

    def __init__(
        self,
        bank: Bank,
        head: SelectiveHead,
        adapters: Sequence[AdapterWeights],
        flat: FlatAdapters,
        rehearsal: Rehearsal | None,
        accelerator: Accelerator,
    ) -> None:
        flat.attach()
        self._bank, self._head, self._rehearsal, self._accelerator = bank, head, rehearsal, accelerator
        self._names = [a.spec.name for a in adapters]
        self._plan = TrainingPlan(bank, adapters)

    def learn(
        self,
        batch: Batch,
        scale: float,
        turn: Turn | None,
        layout: OpennessLayout | None,
        weigh: Weigh | None = None,
    ) -> Outcome:
        recorder = None
        if layout is not None:
            read = batch.attention_mask.bool()
            own = {n: read & (batch.weights[:, i : i + 1] > 0) for i, n in enumerate(self._names)}
            recorder = OpennessRecorder(layout, own)
        self._plan.dropping = True
        each, hits, kl = batch.emphasis[:0], batch.targets[:0].bool(), None
        if batch.rows:
            each, logits = self._forward(batch, recorder)
            hits = logits.argmax(-1) == batch.targets
            emphasis = batch.emphasis if weigh is None else weigh(each.detach())
            self._accelerator.backward((each * emphasis).sum() * scale)
        if turn is not None:
            assert self._rehearsal is not None
            kl = rehearse(turn, self._rehearsal, self._plan, self._bank, self._accelerator)
        return Outcome(each.detach(), hits, kl, recorder)

    def _forward(
        self, batch: Batch, recorder: OpennessRecorder | None, *, base: bool = False
    ) -> tuple[Tensor, Tensor]:
        self._plan.recorder = recorder
        self._plan.set_rows(batch.weights)
        self._bank.use(None if base else self._plan)
        with self._accelerator.autocast():
            logits = self._head.logits(batch.input_ids, batch.attention_mask, batch.positions)
        self._plan.recorder = None
        return functional.cross_entropy(logits, batch.targets, reduction="none"), logits.detach()

    def expect(self, rows: Iterable[Row]) -> None:
        pass  # nothing is read ahead here

    def check(self, batch: Batch, *, base: bool = False) -> Outcome:
        self._plan.dropping = False
        with torch.no_grad():
            each, logits = self._forward(batch, None, base=base)
            outcome = Outcome(each, leads(logits, batch.targets, LEAD))
        self._plan.dropping = True
        self._plan.forget()
        return outcome

    def foresee(self, batch: Batch) -> tuple[Tensor, Tensor]:
        self._plan.dropping = False
        with torch.no_grad():
            each, logits = self._forward(batch, None)
        self._plan.dropping = True
        self._plan.forget()
        return each, logits.argmax(-1)

    def changed(self) -> None:
        self._plan.forget()


def rehearse(
    turn: Turn, rehearsal: Rehearsal, plan: TrainingPlan, bank: Bank, accelerator: Accelerator
) -> float:
    """Add the gradient of a text's divergence from the base, under `plan`; returns the KL per token."""
    weights = torch.zeros(1, len(plan.adapters), device=turn.text.input_ids.device)
    weights[0, turn.pinned] = 1.0
    plan.set_rows(weights)
    bank.use(plan)
    with accelerator.autocast():
        kl = rehearsal.divergence(turn.text)
    accelerator.backward(kl * turn.weight)
    return float(kl.detach())


class LeanPasses:
    """Through `LeanForward`: the batch and the text to rehearse go through in one pack."""

    def __init__(
        self,
        forward: LeanForward,
        adapters: Sequence[AdapterWeights],
        rehearsal: Rehearsal | None,
        device: torch.device,
    ) -> None:
        self._forward, self._rehearsal, self._device = forward, rehearsal, device
        self._names = [a.spec.name for a in adapters]
        self._head = OutputHead(forward.head, forward.head_bias)

    def learn(
        self,
        batch: Batch,
        scale: float,
        turn: Turn | None,
        layout: OpennessLayout | None,
        weigh: Weigh | None = None,
    ) -> Outcome:
        base = None
        if turn is not None:
            assert self._rehearsal is not None
            base = self._rehearsal.base(turn.text, self._say)
        rows, owners = self._rows(batch)
        if turn is not None:
            rows.append(turn.text.input_ids[0].tolist())
            owners.append(turn.pinned)
        packed = self._pack(rows, owners)
        recorder = None if layout is None else self._recorder(layout, packed, owners[: len(batch.rows)])

        def record(module: str, adapter: int, openness: Tensor) -> None:
            assert recorder is not None
            recorder.add_part(module, self._names[adapter], openness)

        tape = self._forward.forward(packed, keep=True, record=None if recorder is None else record)
        places, weight = self._places(batch, packed), 0.0
        if turn is not None and base is not None:
            weight = turn.weight / base.shape[0]
            places = torch.cat([places, packed.row(len(rows) - 1, base.shape[0])])
        hidden = tape.hidden.index_select(0, places)
        emphasis = batch.emphasis
        if weigh is not None and batch.rows:
            known, _ = self._head.check(hidden[: len(batch.targets)], batch.targets, LEAD)
            emphasis = weigh(known)
        answered = self._head.learn(hidden, batch.targets, emphasis * scale, base, weight)
        d_hidden = torch.zeros(tape.hidden.shape, device=self._device)
        d_hidden.index_add_(0, places, answered.d_hidden.float())
        kl = float(answered.apart.mean()) if turn is not None else None
        self._forward.backward(tape, d_hidden)
        return Outcome(answered.losses, answered.hits, kl, recorder)

    def expect(self, rows: Iterable[Row]) -> None:
        self._forward.expect(row.ids for row in rows)

    def check(self, batch: Batch, *, base: bool = False) -> Outcome:
        rows, owners = self._rows(batch)
        packed = self._pack(rows, [-1] * len(rows) if base else owners)
        tape = self._forward.forward(packed, keep=False)
        places = self._places(batch, packed)
        return Outcome(*self._head.check(tape.hidden.index_select(0, places), batch.targets, LEAD))

    def foresee(self, batch: Batch) -> tuple[Tensor, Tensor]:
        packed = self._pack(*self._rows(batch))
        tape = self._forward.forward(packed, keep=False, aside=True)
        return self._head.foresee(tape.hidden.index_select(0, self._places(batch, packed)), batch.targets)

    def changed(self) -> None:
        self._forward.forget()

    def _rows(self, batch: Batch) -> tuple[list[Sequence[int]], list[int]]:
        """The batch's rows, and their adapters by index."""
        return [r.ids for r in batch.rows], [self._names.index(r.adapter) for r in batch.rows]

    def _pack(self, rows: Sequence[Sequence[int]], owners: Sequence[int]) -> Packed:
        active = sorted({o for o in owners if o >= 0})
        if active:  # rows of the bare base weigh whatever is stacked with zero
            self._forward.use(active)
        return pack(rows, owners, self._device)

    def _places(self, batch: Batch, packed: Packed) -> Tensor:
        """Where in the pack the batch's answers are predicted, in the order of its targets."""
        if not batch.rows:
            return batch.positions
        places = batch.positions % batch.input_ids.shape[1]
        return packed.side_by_side[batch.owners * packed.width + places]

    def _recorder(self, layout: OpennessLayout, packed: Packed, owners: Sequence[int]) -> OpennessRecorder:
        """Counts each adapter's own rows of the batch, not the text that is rehearsed."""
        own = torch.full((packed.ids.shape[0],), -1)
        ends = (*packed.starts[1:], packed.real)
        for begin, end, owner in zip(packed.starts, ends, owners, strict=False):
            own[begin:end] = owner
        return OpennessRecorder(
            layout, {name: (own == i).to(self._device) for i, name in enumerate(self._names)}
        )

    def _say(self, texts: Sequence[Tensor]) -> list[Tensor]:
        """The base's log-probabilities [T, vocabulary] for each of some ids [1, T]."""
        packed = self._pack([ids[0].tolist() for ids in texts], [-1] * len(texts))
        hidden = self._forward.forward(packed, keep=False).hidden
        places = [packed.row(i, ids.shape[1]) for i, ids in enumerate(texts)]
        said = self._head.log_probs(hidden.index_select(0, torch.cat(places)))
        return list(torch.split(said, [len(here) for here in places]))


def choose_passes(
    model: nn.Module,
    bank: Bank,
    head: SelectiveHead,
    adapters: Sequence[AdapterWeights],
    flat: FlatAdapters,
    rehearsal: Rehearsal | None,
    accelerator: Accelerator,
    longest_row: int,
) -> Passes:
    """The written-out passes where base and adapters have the shape for it and the base says there what it
    says in transformers; else those through transformers.
    """
    shape = find(model)
    plain = accelerator.mixed_precision in ("no", "bf16")
    if shape is not None and plain and longest_row <= LONGEST and fits([a.spec for a in adapters]):
        dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else shape.embedding.dtype
        forward = LeanForward(shape, flat, dtype)
        if _agrees(forward, bank, head, accelerator):
            return LeanPasses(forward, adapters, rehearsal, accelerator.device)
    return PlanPasses(bank, head, adapters, flat, rehearsal, accelerator)


def _agrees(forward: LeanForward, bank: Bank, head: SelectiveHead, accelerator: Accelerator) -> bool:
    """Whether the bare base says the same both ways on a few tokens."""
    ids = (torch.arange(7, device=accelerator.device) * 5 + 3).remainder(forward.head.shape[0])
    plan = bank.plan
    bank.use(None)
    with torch.no_grad(), accelerator.autocast():
        wanted = head.logits(ids[None], torch.ones_like(ids[None]), torch.arange(7, device=ids.device))
    bank.use(plan)
    forward.use(())
    tape = forward.forward(pack([ids.tolist()], [-1], accelerator.device), keep=False)
    said = OutputHead(forward.head, forward.head_bias).log_probs(tape.hidden[:7]).float()
    apart = (said.exp() * (said - torch.log_softmax(wanted, -1))).sum(-1).abs()
    return bool(apart.max() < _AGREE)
