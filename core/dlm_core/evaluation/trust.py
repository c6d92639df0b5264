"""How far a reply's own word about itself can be trusted: calibration of its support, near misses."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from dlm_core.evaluation.near import NearMiss
from dlm_core.events import Reply
from dlm_core.reports import Bin, NearMisses, Support

BINS = 8
RECITED_FROM = 0.5
"""The support from which an answer counts as said with confidence."""


def support_of(replies: Sequence[Reply], right: Sequence[bool]) -> Support | None:
    """Calibration of the support of `replies`, in bins of equal count; None where none of them has any.

    The expected calibration error of Naeini et al. (2015), with equal counts, which small samples need.
    """
    told = sorted(
        (reply.citation.support, is_right)
        for reply, is_right in zip(replies, right, strict=True)
        if reply.citation is not None and reply.citation.support is not None
    )
    if not told:
        return None
    count = len(told)
    edges = [round(i * count / BINS) for i in range(BINS + 1)]
    bins = [told[a:b] for a, b in pairwise(edges) if b > a]
    table = tuple(
        Bin(
            mean=sum(sure for sure, _ in part) / len(part),
            right=sum(is_right for _, is_right in part) / len(part),
            count=len(part),
        )
        for part in bins
    )
    return Support(
        brier=sum((sure - is_right) ** 2 for sure, is_right in told) / count,
        ece=sum(b.count * abs(b.mean - b.right) for b in table) / count,
        count=count,
        table=table,
    )


def near_misses_of(asked: Sequence[NearMiss], replies: Sequence[Reply]) -> NearMisses | None:
    """How many near misses got an answer of the document, said with confidence; None without any."""
    if not asked:
        return None
    kinds: dict[str, list[bool]] = defaultdict(list)
    for miss, reply in zip(asked, replies, strict=True):
        cited = reply.citation
        kinds[miss.kind].append(
            cited is not None and cited.kind == "answer" and (cited.support or 0.0) >= RECITED_FROM
        )
    recited = [said for kind in kinds.values() for said in kind]
    return NearMisses(
        recited=sum(recited) / len(recited),
        count=len(recited),
        kinds={kind: sum(said) / len(said) for kind, said in kinds.items()},
    )
