"""A reply while its tokens come: text, openness and times so far, and the event that it ends in."""

from collections.abc import Sequence

from torch import Tensor

from dlm_core.adapters.openness import OpennessLayout, per_rank
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.events import AdapterOpenness, Reply, Routed, Timing, Token
from dlm_core.inference.draft import Drafter
from dlm_core.inference.generate import Finish, Stopwatch
from dlm_core.inference.heat import Heat
from dlm_core.inference.stream import TextStream


class UnderWay:
    """One reply.

    Args:
        used: the adapters that its routing gives weight to.
        text: what makes text of its tokens; empty.
        layout: whose gate values come with its tokens; None where nothing is gated.
        dropped: turns that were left out of the prompt.
    """

    def __init__(
        self,
        routed: Routed,
        used: Sequence[AdapterWeights],
        layout: OpennessLayout | None,
        text: TextStream,
        watch: Stopwatch,
        *,
        prompt_tokens: int,
        dropped: int,
    ) -> None:
        self.routed, self.prompt_tokens = routed, prompt_tokens
        self._used, self._dropped, self._watch = used, dropped, watch
        self._heat = Heat(layout, [a.spec.name for a in used])
        self._text = text

    def token(self, token: int, openness: Tensor | None) -> Token:
        """Take a token, and the gate values that led to it."""
        self._watch.token()
        if openness is not None:
            self._heat.token(openness)
        return Token(text=self._text.push(token), openness=self._heat.shares)

    def rest(self) -> Token | None:
        """What text was held back until the end."""
        rest = self._text.finish()
        return Token(text=rest, openness=self._heat.shares) if rest else None

    def reply(self, finish: Finish, version: str, load_s: float, draft: Drafter | None = None) -> Reply:
        """The whole reply, once `rest` was taken."""
        watch = self._watch
        return Reply(
            reply=self._text.text,
            finish_reason=finish,
            routing=self.routed.routing,
            openness={a.spec.name: self._openness(a) for a in self._used},
            timing=Timing(
                load_s=load_s,
                route_s=self.routed.route_s,
                first_token_s=watch.first_token_s,
                tokens_per_s=watch.tokens_per_s,
                tokens=watch.tokens,
                drafted=draft.proposed if draft is not None else 0,
                accepted=draft.accepted if draft is not None else 0,
            ),
            version=version,
            prompt_tokens=self.prompt_tokens,
            dropped_turns=self._dropped,
        )

    def _openness(self, adapter: AdapterWeights) -> AdapterOpenness:
        heat = self._heat
        if heat.layout is None or adapter.spec.gate is None:
            return AdapterOpenness(mean=1.0, per_layer=())
        layers = per_rank(heat.layout, heat.mean(), adapter.spec.name)
        ranks = {i: [sum(r) / len(r) for r in zip(*modules, strict=True)] for i, modules in layers.items()}
        per_layer = tuple(sum(r) / len(r) for r in ranks.values())
        return AdapterOpenness(
            mean=sum(per_layer) / len(per_layer),
            per_layer=per_layer,
            per_rank=tuple(tuple(round(v, 4) for v in r) for r in ranks.values()),
            layers=tuple(ranks),
        )
