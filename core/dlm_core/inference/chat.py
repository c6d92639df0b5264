"""A reply, from conversation to text: routing, plan, prompt, tokens, openness. Holds the serving set of
adapters.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from dlm_core.adapters.bank import Bank, ServingPlan
from dlm_core.adapters.openness import OpennessRecorder, adapter_means, per_rank
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.load import Base
from dlm_core.errors import UsageError
from dlm_core.events import AdapterOpenness, Neighbour, Reply, Routed, Routing, Timing, Token, Why
from dlm_core.inference.generate import Finish, KeyValueCache, Stopwatch, generate
from dlm_core.inference.sampling import Sampler
from dlm_core.inference.stream import TextStream
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.routing.embed import Embedder
from dlm_core.routing.gate import SavedGate
from dlm_core.routing.modes import decide

_PLANS_KEPT = 4


@dataclass(frozen=True)
class ServingSet:
    """The committed adapters and gate that answer: what `version` names."""

    adapters: tuple[AdapterWeights, ...]
    gate: SavedGate | None
    version: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(a.spec.name for a in self.adapters)


class Chat:
    """Answers conversations on one base.

    Args:
        system: the document's system prompt, used where a conversation brings none of its own.
        load_s: what loading took; repeated in every reply's timing.
    """

    def __init__(
        self,
        base: Base,
        bank: Bank,
        embedder: Embedder,
        serving: ServingSet,
        system: str | None,
        load_s: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.base, self.bank, self.embedder = base, bank, embedder
        self.serving, self.system, self.load_s = serving, system, load_s
        self._clock = clock
        self._cache = KeyValueCache()
        self._plans: dict[Hashable, ServingPlan] = {}

    def serve(self, serving: ServingSet, system: str | None) -> None:
        """Swap in other versions; keys, values and plans of the old ones are dropped."""
        self.serving, self.system = serving, system
        self._cache.drop()
        self._plans.clear()

    def route(self, messages: Sequence[Message], choice: RoutingChoice) -> Routed:
        """The routing of the conversation's last user message, and what finding it cost."""
        begun = self._clock()
        gate = self.serving.gate

        def ask() -> Mapping[str, float]:
            assert gate is not None and gate.module is not None
            weights = gate.module(self._embed(messages))[0]
            return {name: float(w) for name, w in zip(gate.meta.adapters, weights, strict=True)}

        routing = decide(choice, self.serving.names, gate.meta if gate else None, ask)
        return Routed(routing=routing, route_s=self._clock() - begun)

    def explain(self, messages: Sequence[Message], choice: RoutingChoice, nearest: int) -> Why:
        """The routing, and the trained questions nearest by cosine of standardised embeddings."""
        routing = self.route(messages, choice).routing
        gate = self.serving.gate
        if gate is None or gate.embeddings is None or not gate.meta.questions:
            return Why(routing=routing, neighbours=())
        known = gate.embeddings
        mean, scale = known.mean(0), known.std(0, unbiased=False).clamp_min(1e-5)
        here = (self._embed(messages)[0] - mean) / scale
        similarity = torch.cosine_similarity((known - mean) / scale, here.unsqueeze(0), dim=-1)
        best = similarity.topk(min(nearest, len(gate.meta.questions)))
        return Why(
            routing=routing,
            neighbours=tuple(
                Neighbour(
                    question=gate.meta.questions[i][0], adapter=gate.meta.questions[i][1], similarity=float(s)
                )
                for s, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
            ),
        )

    def _embed(self, messages: Sequence[Message]) -> torch.Tensor:
        text = next((m.content for m in reversed(messages) if m.role == "user"), "")
        under_way = self.bank.plan  # a reply may be under way: its next token needs its plan again
        self.bank.use(None)
        try:
            return self.embedder.embed([text])
        finally:
            self.bank.use(under_way)

    def generate(
        self, messages: Sequence[Message], choice: RoutingChoice, sampling: Sampling, stop: Callable[[], bool]
    ) -> Iterator[Routed | Token | Reply]:
        """One Routed, Tokens as they come, one Reply. Raises UsageError for an empty or too long prompt."""
        if not messages or messages[-1].role != "user":
            raise UsageError("there is nothing to answer: the last message is not the user's")
        watch = Stopwatch(self._clock)
        routed = self.route(messages, choice)
        yield routed
        ids, dropped = self._prompt(messages, sampling)
        plan = self._plan(routed.routing)
        recorder = OpennessRecorder(plan.layout) if plan is not None and plan.layout.width() else None
        sampler, text = Sampler(sampling), TextStream(self.base.tokenizer)
        limit = min(sampling.max_tokens, self.base.context_length - len(ids))
        shares: dict[str, float] = {}
        of_reply = False

        def after_forward(_: int) -> None:
            nonlocal shares, of_reply
            if recorder is None or plan is None:
                return
            if watch.tokens and not of_reply:
                recorder.reset()  # the reply counts; one without a second token has only its prompt
                of_reply = True
            flat = recorder.flush()
            if flat is not None:
                shares = adapter_means(plan.layout, flat, [a.spec.name for a in plan.adapters])

        if plan is not None:
            plan.recorder = recorder
        key = (self.serving.version, tuple(sorted(routed.routing.weights.items())))
        self.bank.use(plan)
        finish: Finish = "interrupted"
        steps = generate(
            self.base.model,
            ids,
            sampler,
            limit=limit,
            end_tokens=self.base.end_token_ids,
            cache=self._cache,
            key=key,
            stop=stop,
            after_forward=after_forward,
        )
        try:
            for step in steps:
                if step.finish is not None:
                    finish = step.finish
                elif step.token is not None:
                    watch.token()
                    yield Token(text=text.push(step.token), openness=shares)
        finally:
            steps.close()
            if plan is not None:
                plan.recorder = None
            self.bank.use(None)
        rest = text.finish()
        if rest:
            yield Token(text=rest, openness=shares)
        yield Reply(
            reply=text.text,
            finish_reason=finish,
            routing=routed.routing,
            openness=self._openness(plan, recorder),
            timing=Timing(
                load_s=self.load_s,
                route_s=routed.route_s,
                first_token_s=watch.first_token_s,
                tokens_per_s=watch.tokens_per_s,
                tokens=watch.tokens,
            ),
            version=self.serving.version,
            prompt_tokens=len(ids),
            dropped_turns=dropped,
        )

    def _plan(self, routing: Routing) -> ServingPlan | None:
        """The plan for a routing; the last few are kept, since people ask twice under the same one."""
        if not any(routing.weights.values()):
            return None
        key = tuple(sorted(routing.weights.items()))
        if key not in self._plans:
            while len(self._plans) >= _PLANS_KEPT:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = ServingPlan(self.bank, self.serving.adapters, routing.weights)
        return self._plans[key]

    def _prompt(self, messages: Sequence[Message], sampling: Sampling) -> tuple[list[int], int]:
        """Prompt ids, and how many turns had to be left out, oldest first, to leave room for a reply."""
        turns = [m for m in messages if m.role != "system"]
        system = next((m for m in messages if m.role == "system"), None)
        if system is None and self.system:
            system = Message("system", self.system)
        room = max(1, self.base.context_length - min(sampling.max_tokens, self.base.context_length // 2))
        dropped = 0
        while True:
            ids = self.base.chat.encode([*([system] if system else []), *turns[dropped:]], True)
            if len(ids) <= room:
                return ids, dropped
            if dropped + 1 >= len(turns):
                raise UsageError(
                    f"the message has {len(ids)} tokens; {self.base.name} reads "
                    f"{self.base.context_length}, reply included",
                    "ask something shorter, or lower --max-tokens",
                )
            dropped += 1
            while dropped + 1 < len(turns) and turns[dropped].role != "user":
                dropped += 1

    def _openness(
        self, plan: ServingPlan | None, recorder: OpennessRecorder | None
    ) -> dict[str, AdapterOpenness]:
        if plan is None:
            return {}
        found: dict[str, AdapterOpenness] = {}
        for adapter in plan.adapters:
            name = adapter.spec.name
            if recorder is None or adapter.spec.gate is None:
                found[name] = AdapterOpenness(mean=1.0, per_layer=())
                continue
            layers = per_rank(plan.layout, recorder.mean(), name)
            ranks = {
                i: [sum(r) / len(r) for r in zip(*modules, strict=True)] for i, modules in layers.items()
            }
            per_layer = tuple(sum(r) / len(r) for r in ranks.values())
            found[name] = AdapterOpenness(
                mean=sum(per_layer) / len(per_layer),
                per_layer=per_layer,
                per_rank=tuple(tuple(round(v, 4) for v in r) for r in ranks.values()),
            )
        return found
