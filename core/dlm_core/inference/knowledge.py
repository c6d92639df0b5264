"""What a document was trained to say, in hand while its replies are drawn: where a prompt leads, and which
answers are hypotheses about the reply.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from dlm_core.document.follow_ups import goes_on
from dlm_core.errors import UsageError
from dlm_core.events import Citation, Place, Routing
from dlm_core.inference.citing import Source, Sources, unsupported
from dlm_core.inference.grounding import Grounding, Hypothesis
from dlm_core.requests import Message
from dlm_core.retrieval.calibration import support
from dlm_core.retrieval.index import Candidate, Found, Index

ALSO_FROM = 0.5
"""The share of the first section's probability from which another is named beside it."""
ALONE_FROM = 0.5
"""The probability from which an answer is followed where the document cannot tell what is outside it."""
OUTSIDE_FROM = 0.5
"""The probability of asking for none of the answers from which a prompt is outside. That one answer alone is
likelier is asked of no prompt: where two fit, each has half.
"""
_LEAST = 1e-4  # a less probable answer is no hypothesis

Lines = tuple[int, int]


@dataclass(frozen=True)
class Grounds:
    """The result of looking a prompt up.

    `outside`: it is about nothing in the document. `follow_up`: by itself it is, but it goes on from the turn
    before; it is routed as that turn was, and answered freely. `chosen`: a person named the section, so that
    nothing is to be said of how sure it is.
    """

    found: Found
    outside: bool
    follow_up: bool = False
    chosen: bool = False


class Knowledge:
    """The trained sections of one document.

    Args:
        index: None where the document is not to be looked up; replies are cited all the same.
        answers: trained token ids of an answer, end token included, by section key and text.
        places: first and last line of an answer or chosen reply in today's file, by section key and text; of
            a whole section under the text "".
        documents: the adapters of scope `document`.
        follow_ups: answers and chosen replies that were taught after other turns, by section key and text.
    """

    def __init__(
        self,
        index: Index | None,
        sources: Sources,
        answers: Mapping[tuple[str, str], tuple[int, ...]],
        places: Mapping[tuple[str, str], Lines],
        documents: frozenset[str],
        follow_ups: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self.index, self.sources, self.documents = index, sources, documents
        self._follow_ups = follow_ups
        self._answers, self._places = answers, places

    def look(
        self,
        messages: Sequence[Message],
        weights: Mapping[str, float],
        state: Callable[[str], Tensor] | None = None,
    ) -> Grounds | None:
        """What the document has to say to the last of `messages`; None where it is not looked up.

        `state` gives the base's state [hidden] of a prompt, for an index that compares by it.
        """
        if self.index is None:
            return None
        prompt, index = messages[-1].content, self.index

        def search(text: str) -> Found:
            known = state(text) if state is not None and index.comparison.states is not None else None
            return index.search(text, weights, state=known)

        found = search(prompt)
        before = [m.content for m in messages[:-1] if m.role == "user"]
        if before and self._follow_ups:
            together = search(f"{before[-1]}\n{prompt}")
            alone = _best(found) if _is_found(found) else 0.0
            if self._taught_as_follow_up(together) and _best(together) >= alone:
                return Grounds(together, outside=False)
        follows = bool(before) and goes_on(prompt)
        if _is_found(found) and (found.separates or not follows):
            return Grounds(found, outside=False)
        if follows:
            together = search(f"{before[-1]}\n{prompt}")
            if _is_found(together):
                return Grounds(together, outside=False, follow_up=True)
        return Grounds(found, outside=_is_outside(found))

    def _taught_as_follow_up(self, found: Found) -> bool:
        """True where the document says what was found first after other turns."""
        if not _is_found(found):
            return False
        first = max(found.candidates, key=lambda candidate: candidate.probability).passage
        return (first.key, first.text) in self._follow_ups

    def routing(self, routing: Routing, grounds: Grounds, *, cold: bool) -> Routing:
        """The routing of a prompt, once it is known what the document has to say to it.

        Outside, adapters of scope `document` are silent; with a gate that is `cold` all stay as they are.
        """
        outside = round(grounds.found.outside, 4)
        if not grounds.outside or cold:
            reason = f"{routing.reason}; outside the document" if grounds.outside else routing.reason
            return Routing(mode=routing.mode, weights=routing.weights, reason=reason, outside=outside)
        weights = {name: 0.0 if name in self.documents else w for name, w in routing.weights.items()}
        manner = [name for name, weight in weights.items() if weight]
        who = "the base answers" + (f", with {', '.join(manner)}" if manner else "")
        return Routing(
            mode=routing.mode,
            weights=weights,
            reason=f"outside the document: {who}",
            outside=outside,
            base=round(max(0.0, 1.0 - sum(weights.values())), 5),
        )

    def grounding(self, grounds: Grounds | None) -> Grounding | None:
        """What a reply may be, to be drawn from; None where it is a free one."""
        if grounds is None or grounds.outside or grounds.follow_up or not _is_found(grounds.found):
            return None
        hypotheses = {
            ids: Hypothesis(ids, candidate.probability)
            for candidate in reversed(grounds.found.candidates)
            if (ids := self._answers.get((candidate.passage.key, candidate.passage.text)))
            and candidate.passage.kind == "answer"
            and candidate.probability > _LEAST
        }
        return Grounding(tuple(hypotheses.values()), grounds.found.outside) if hypotheses else None

    def cite(self, reply: str, prompt: str, grounds: Grounds | None, *, overruled: int | None) -> Citation:
        """Where a reply comes from. `overruled` counts the tokens that were chosen against the weights, None
        where nothing but the weights chose.
        """
        candidates = grounds.found.candidates if grounds is not None else ()
        source = self.sources.saying(reply, [_source(candidate) for candidate in candidates])
        if source is None:
            return Citation(
                kind="outside" if grounds is not None and grounds.outside else "none",
                see_also=tuple(self._also(candidates[:1])) if grounds and not grounds.outside else (),
            )
        cited = next((c for c in candidates if c.passage.text == source.text), None)
        first = candidates[0].probability if candidates else 0.0
        others = [c for c in candidates if c is not cited and first and c.probability >= ALSO_FROM * first]
        sure: float | None = None
        known = grounds is not None and not grounds.outside and not grounds.chosen
        if known and source.kind == "answer":
            assert grounds is not None
            sure = self._support(grounds.found, cited, overruled)
        lines = self._lines(source.key, source.text)
        return Citation(
            kind=source.kind,
            line=lines[0] if lines else None,
            end_line=lines[1] if lines else None,
            adapter=source.adapter,
            question=source.questions[0] if source.questions else "",
            support=sure,
            see_also=tuple(self._also(others)),
            unsupported=unsupported(reply, source, prompt),
        )

    @staticmethod
    def _support(found: Found, cited: Candidate | None, overruled: int | None) -> float | None:
        """How likely a reply that says `cited` is right: a reply that is not the first answer found has that
        one's probability against it.
        """
        agreement = None if overruled is None else overruled == 0
        first = support(found, agreement=agreement)
        answers = found.answers
        if first is None or (answers and cited is answers[0]):
            return first
        return min(first, cited.probability) if cited is not None else 0.0

    def places(self, grounds: Grounds) -> tuple[tuple[Place, ...], tuple[dict[str, float], ...]]:
        """The sections that search found, best first, and what each measure says of them."""
        candidates = grounds.found.candidates
        scores = tuple({name: round(value, 4) for name, value in c.parts.items()} for c in candidates)
        return tuple(self._also(candidates)), scores

    def _lines(self, key: str, text: str) -> Lines | None:
        return self._places.get((key, text)) or self._places.get((key, ""))

    def _also(self, candidates: Sequence[Candidate]) -> Iterator[Place]:
        for candidate in candidates:
            passage = candidate.passage
            lines = self._lines(passage.key, passage.text)
            yield Place(
                line=lines[0] if lines else None,
                end_line=lines[1] if lines else None,
                adapter=passage.adapter,
                question=passage.questions[0] if passage.questions else "",
                probability=round(candidate.probability, 4),
            )


def taking(grounds: Grounds | None, question: str) -> Grounds:
    """Grounds on which the reply is the answer to `question`, the first one of a section that was found.

    Raises UsageError where no answer that was found has it.
    """
    found = grounds.found if grounds is not None else None
    for candidate in found.answers if found is not None else ():
        if candidate.passage.questions[:1] == (question,):
            assert found is not None
            certain = replace(candidate, probability=1.0)
            return Grounds(
                replace(found, candidates=(certain,), outside=0.0, separates=True),
                outside=False,
                chosen=True,
            )
    raise UsageError(
        "that section does not fit the question, or was not trained",
        "/why lists those that fit; /train teaches what is new",
    )


def _is_outside(found: Found) -> bool:
    """True where a prompt is about nothing in the document: that is likelier than all answers together, or
    no part of a word of it is there. The base's states alone are no evidence: every prompt is near some
    question.
    """
    parts = [part for candidate in found.candidates for part in candidate.parts.items()]
    if not any(value > 0 for name, value in parts if name != "states"):
        return True
    return found.separates and found.outside >= OUTSIDE_FROM


def _is_found(found: Found) -> bool:
    """True where an answer stands out. Where the document's own questions do not separate, nothing says how
    likely it is that none is meant; then one has to be likelier than all others together.
    """
    return not _is_outside(found) and (found.separates or _best(found) >= ALONE_FROM)


def _best(found: Found) -> float:
    return max((candidate.probability for candidate in found.candidates), default=0.0)


def _source(candidate: Candidate) -> Source:
    passage = candidate.passage
    return Source(passage.key, passage.kind, passage.adapter, passage.questions, passage.text)
