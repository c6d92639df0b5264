"""A reply, from conversation to text: routing, plan, prompt, tokens, openness. Holds the serving set of
adapters.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import torch

from dlm_core.adapters.bank import NEGLIGIBLE, Bank
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.load import Base
from dlm_core.errors import UsageError
from dlm_core.events import Neighbour, Place, Reply, Routed, Routing, Token, Why
from dlm_core.inference.decoders import Decoders, RoutedDecoder
from dlm_core.inference.draft import Drafter, Passages
from dlm_core.inference.generate import Finish, KeyValueCache, Stopwatch, generate
from dlm_core.inference.grounding import GroundedDrafter, GroundedSampler, Grounding
from dlm_core.inference.knowledge import Grounds, Knowledge, taking
from dlm_core.inference.sampling import Sampler
from dlm_core.inference.stream import TextStream
from dlm_core.inference.together import Together
from dlm_core.inference.under_way import UnderWay
from dlm_core.llama.decode_forward import LeanBase
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.retrieval.encoder import Encoder
from dlm_core.routing.embed import Embedder
from dlm_core.routing.gate import SavedGate
from dlm_core.routing.modes import decide
from dlm_core.routing.reads import Reader

AT_ONCE = 8
"""Replies under way at a time: more of them cost nearly as much as they give."""


def _no_passages() -> Passages:
    return Passages(())


def _no_knowledge() -> Knowledge | None:
    return None


def _no_encoder() -> Encoder | None:
    return None


@dataclass(frozen=True)
class ServingSet:
    """The committed adapters and gate that answer: what `version` names."""

    adapters: tuple[AdapterWeights, ...]
    gate: SavedGate | None
    version: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(a.spec.name for a in self.adapters)


@dataclass(frozen=True)
class Asked:
    """A conversation that is to be answered, how it is routed, and how tokens are drawn."""

    messages: Sequence[Message]
    choice: RoutingChoice
    sampling: Sampling


class Chat:
    """Answers conversations on one base.

    Args:
        system: the document's system prompt, used where a conversation brings none of its own.
        load_s: what loading took; repeated in every reply's timing.
        lean: the base's lean forward, None where it has none and transformers' own is run.
        passages: asked once per serving set for what the document teaches, to draft replies from.
        knowledge: asked once per serving set for what the document was trained to say, to look prompts up in
            and to cite; None where nothing was.
        encoder: gives the sentence encoder, for a gate that reads its vectors; None where it cannot be had.
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
        *,
        lean: LeanBase | None = None,
        passages: Callable[[], Passages] = _no_passages,
        knowledge: Callable[[], Knowledge | None] = _no_knowledge,
        encoder: Callable[[], Encoder | None] = _no_encoder,
    ) -> None:
        self.base, self.bank, self.embedder, self.lean = base, bank, embedder, lean
        self.load_s = load_s
        self._clock = clock
        self._cache = KeyValueCache()
        self._find_passages, self._find_knowledge = passages, knowledge
        self._reader = Reader(embedder, encoder)
        self.drafting = True
        self.serve(serving, system)

    def serve(self, serving: ServingSet, system: str | None) -> None:
        """Swap in other versions; keys, values and plans of the old ones are dropped."""
        self.serving, self.system = serving, system
        self._cache.drop()
        self._decoders = Decoders(self.base.model, self.bank, self.lean, serving.adapters)
        self._passages: Passages | None = None
        self._knowledge: Knowledge | None = None
        self._looked = False

    @property
    def knowledge(self) -> Knowledge | None:
        """What the document was trained to say; None where nothing was."""
        if not self._looked:
            self._knowledge, self._looked = self._find_knowledge(), True
        return self._knowledge

    def route(self, messages: Sequence[Message], choice: RoutingChoice) -> Routed:
        """The routing of the conversation's last user message, and what finding it cost."""
        return self._look(messages, choice)[0]

    def _look(self, messages: Sequence[Message], choice: RoutingChoice) -> tuple[Routed, Grounds | None]:
        """The routing, and what the document has to say."""
        begun = self._clock()
        routing, grounds = self._weigh(messages, choice), None
        knowledge = self.knowledge if choice.grounds and self.serving.names and messages else None
        if knowledge is not None:
            grounds = knowledge.look(messages, routing.weights, self._state)
        if choice.section is not None:
            grounds = taking(grounds, choice.section)
        if knowledge is not None and grounds is not None:
            if grounds.follow_up:
                routing = self._weigh(_without_last_turn(messages), choice)
            gate = self.serving.gate
            cold = choice.mode == "auto" and gate is not None and gate.meta.mode == "uniform"
            if choice.mode in ("auto", "off"):
                routing = knowledge.routing(routing, grounds, cold=cold or choice.mode == "off")
        return Routed(routing=routing, route_s=self._clock() - begun), grounds

    def _weigh(self, messages: Sequence[Message], choice: RoutingChoice) -> Routing:
        gate = self.serving.gate

        def ask() -> Mapping[str, float]:
            assert gate is not None and gate.module is not None
            with self._bare():
                weights = gate.weights([_question(messages)], self._reader)[0]
            return {name: float(w) for name, w in zip(gate.meta.adapters, weights, strict=True)}

        return decide(choice, self.serving.names, gate.meta if gate else None, ask)

    def explain(
        self, messages: Sequence[Message], choice: RoutingChoice, nearest: int, alone: int = 0
    ) -> Why:
        """The routing, the trained questions nearest by cosine of standardised embeddings, and the sections
        that search found; and the first `alone` tokens that the weights would say without them.
        """
        routed, grounds = self._look(messages, choice)
        routing, gate = routed.routing, self.serving.gate
        places: tuple[Place, ...] = ()
        scores: tuple[dict[str, float], ...] = ()
        if grounds is not None and self.knowledge is not None:
            places, scores = self.knowledge.places(grounds)
        said = self._alone(messages, choice, alone) if alone else None
        if gate is None or gate.embeddings is None or not gate.meta.questions:
            return Why(routing=routing, neighbours=(), candidates=places, scores=scores, alone=said)
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
            candidates=places,
            scores=scores,
            alone=said,
        )

    def _alone(self, messages: Sequence[Message], choice: RoutingChoice, tokens: int) -> str:
        """How the weights begin a reply without the document in hand, greedily."""
        bare = msgspec.structs.replace(choice, ground="off", section=None)
        *_, reply = self.generate(messages, bare, Sampling(max_tokens=tokens), lambda: False)
        assert isinstance(reply, Reply)
        return reply.reply

    def _embed(self, messages: Sequence[Message]) -> torch.Tensor:
        return self._state(_question(messages)).unsqueeze(0)

    def _state(self, text: str) -> torch.Tensor:
        """The base's state [hidden] of a prompt, as the gate reads it."""
        return self.states([text])[0]

    def states(self, texts: Sequence[str]) -> torch.Tensor:
        """The base's states [n, hidden] of some prompts, all adapters off."""
        with self._bare():
            return self.embedder.embed(texts)

    @contextmanager
    def _bare(self) -> Iterator[None]:
        """All adapters off; a reply may be under way, and its next token needs its plan again."""
        under_way = self.bank.plan
        self.bank.use(None)
        try:
            yield
        finally:
            self.bank.use(under_way)

    def generate(
        self, messages: Sequence[Message], choice: RoutingChoice, sampling: Sampling, stop: Callable[[], bool]
    ) -> Iterator[Routed | Token | Reply]:
        """One Routed, Tokens as they come, one Reply. Raises UsageError for an empty or too long prompt."""
        _need_question(messages)
        watch = Stopwatch(self._clock)
        routed, grounds = self._look(messages, choice)
        yield routed
        ids, dropped = self._prompt(messages, sampling)
        weights = routed.routing.weights
        sampler, grounding = self._sampler(sampling, grounds)
        draft = self._draft(ids, grounding)
        finish: Finish = "interrupted"
        decoder = self.decoder(weights)
        reply = UnderWay(
            routed,
            self._used(weights),
            decoder.layout,
            self._text_stream(),
            watch,
            prompt_tokens=len(ids),
            dropped=dropped,
        )
        steps = generate(
            decoder,
            ids,
            sampler,
            limit=min(sampling.max_tokens, self.base.context_length - len(ids)),
            end_tokens=self.base.end_token_ids,
            cache=self._cache,
            key=(self.serving.version, tuple(sorted(weights.items()))),
            stop=stop,
            draft=draft,
        )
        try:
            for step in steps:
                if step.finish is not None:
                    finish = step.finish
                elif step.token is not None:
                    gated = decoder.layout is not None
                    open_now = decoder.openness(step.first, step.last) if gated else None
                    yield reply.token(step.token, open_now)
        finally:
            steps.close()
            decoder.close()
        if rest := reply.rest():
            yield rest
        whole = reply.reply(finish, self.serving.version, self.load_s, draft)
        yield self._cited(whole, messages[-1].content, grounds, grounding)

    def replies(
        self, asked: Sequence[Asked], stop: Callable[[], bool], *, at_once: int = AT_ONCE
    ) -> Iterator[tuple[int, Reply]]:
        """Replies to many conversations, up to `at_once` under way at a time, each under its own routing.

        Each comes with its place in `asked`, in the order in which they end; they are what `generate` would
        say. Where `stop` becomes true, those under way come as they are, `interrupted`, and no others.
        Raises UsageError as `generate` does.
        """
        if self.lean is None:
            for place, one in enumerate(asked):
                if stop():
                    return
                for event in self.generate(one.messages, one.choice, one.sampling, stop):
                    if isinstance(event, Reply):
                        yield place, event
            return
        together = Together(self.lean, self._decoders.all_stacks(), self.base.end_token_ids, at_once)
        waiting, under_way = deque(enumerate(asked)), dict[int, UnderWay]()
        basis: dict[int, tuple[Grounds | None, Grounding | None]] = {}
        while (waiting or under_way) and not stop():
            while waiting and len(together) < at_once:
                place, one = waiting.popleft()
                under_way[place], basis[place] = self._join(together, place, one)
            for said in together.step():
                reply = under_way[said.name]
                if said.token is not None:
                    reply.token(said.token, said.openness)
                if said.finish is not None:
                    reply.rest()
                    del under_way[said.name]
                    whole = reply.reply(said.finish, self.serving.version, self.load_s)
                    prompt = asked[said.name].messages[-1].content
                    yield said.name, self._cited(whole, prompt, *basis.pop(said.name))
        for place, reply in under_way.items():
            reply.rest()
            yield place, reply.reply("interrupted", self.serving.version, self.load_s)

    def _join(
        self, together: Together, place: int, one: Asked
    ) -> tuple[UnderWay, tuple[Grounds | None, Grounding | None]]:
        _need_question(one.messages)
        watch = Stopwatch(self._clock)
        routed, grounds = self._look(one.messages, one.choice)
        ids, dropped = self._prompt(one.messages, one.sampling)
        weights = routed.routing.weights
        limit = min(one.sampling.max_tokens, self.base.context_length - len(ids))
        sampler, grounding = self._sampler(one.sampling, grounds)
        layout = together.join(place, ids, weights, sampler, limit)
        reply = UnderWay(
            routed,
            self._used(weights),
            layout,
            self._text_stream(),
            watch,
            prompt_tokens=len(ids),
            dropped=dropped,
        )
        return reply, (grounds, grounding)

    def _sampler(self, sampling: Sampling, grounds: Grounds | None) -> tuple[Sampler, Grounding | None]:
        grounding = self.knowledge.grounding(grounds) if grounds is not None and self.knowledge else None
        if grounding is None:
            return Sampler(sampling), None
        return GroundedSampler(sampling, grounding), grounding

    def _cited(
        self, reply: Reply, prompt: str, grounds: Grounds | None, grounding: Grounding | None
    ) -> Reply:
        """A whole reply with where it comes from."""
        if self.knowledge is None or not self.serving.names:
            return reply
        overruled = grounding.overruled if grounding is not None else None
        return msgspec.structs.replace(
            reply,
            citation=self.knowledge.cite(reply.reply, prompt, grounds, overruled=overruled),
            grounded=grounding is not None,
            overruled=overruled or 0,
        )

    def _text_stream(self) -> TextStream:
        return TextStream(self.base.chat.encoding.decode, self.base.chat.reply_lead)

    def _used(self, weights: Mapping[str, float]) -> list[AdapterWeights]:
        return [a for a in self.serving.adapters if abs(weights.get(a.spec.name, 0.0)) > NEGLIGIBLE]

    def decoder(self, weights: Mapping[str, float]) -> RoutedDecoder:
        """The serving set under one routing, for one reply; the caller closes it."""
        return self._decoders.under(weights)

    def _draft(self, prompt: Sequence[int], grounding: Grounding | None = None) -> Drafter | None:
        """A drafter for one reply; none on transformers' forward, where more rows cost more."""
        if self.lean is None or not self.drafting or not self.serving.adapters:
            return None
        if self._passages is None:
            self._passages = self._find_passages()
        return GroundedDrafter(self._passages, prompt, grounding)

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


def _question(messages: Sequence[Message]) -> str:
    return next((m.content for m in reversed(messages) if m.role == "user"), "")


def _without_last_turn(messages: Sequence[Message]) -> Sequence[Message]:
    """The conversation as it stood when the user's message before the last was asked."""
    last = max(i for i, m in enumerate(messages[:-1]) if m.role == "user")
    return messages[: last + 1]


def _need_question(messages: Sequence[Message]) -> None:
    if not messages or messages[-1].role != "user":
        raise UsageError("there is nothing to answer: the last message is not the user's")
