"""Signs in a prompt's words that the answer found is not the one asked for: another name or number, a "not",
a before for an after, a task about the text. They lie close in cosine, so words are looked at.

Names and numbers are told in any language; the lists of small words are English.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from dlm_core.retrieval.terms import Terms, words_of

_STEM = 5  # letters by which words count as the same
_NAME = re.compile(r"(?<=[\w,;:'\"] )[^\W\d_a-zà-öø-ÿ][\w-]*\w")  # a capital letter inside a sentence
_MARKED = re.compile(r"\w*[\d_]\w*")
_NEGATION = re.compile(
    r"\b(not|no|never|none|nobody|nothing|nowhere|without|neither|nor|cannot|\w+n't|un\w{4,})\b",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"\b(translat\w+|in (german|french|spanish|italian|polish|turkish|danish|dutch|latin|swedish|english"
    r"|chinese|japanese)|poems?|haiku|limerick|rhymes?|song|sonnet|verses?|joke|riddle|quiz|html|sql|json"
    r"|csv|python|summari[sz]e\w*|shorten\w*|shorter|rewrite|rephrase|paraphrase"
    r"|(one|two|three|four|five|six|ten) (words?|sentences?)|words for|ascii|plain characters|draw|sketch"
    r"|slogan|bullet points?)\b",
    re.IGNORECASE,
)
_ORDER = re.compile(
    r"\b(before|after|afterwards|until|first|last|back|again|already|yet|next|previous|other|second)\b",
    re.IGNORECASE,
)
_SMALL = frozenset(
    re.findall(
        r"\w+",
        """
        a an the of to in on at for and or is are was were be been do does did how what when where which who
        whom whose why i we you they he she it my our your their me us them this that these those with from by
        as if so can could may might must shall should will would have has had there here than then too very
        just any some all am s t d m re ve ll up out about into over
        """,
    )
)

SIGNS = ("novel", "number", "name", "negation", "task", "order")


def signs(
    prompt: str, questions: Sequence[str], text: str, names: frozenset[str], terms: Terms
) -> dict[str, float]:
    """How far `prompt` goes beyond an answer `text` and the `questions` it answers; each 0 to 1.

    `novel` is the share of the prompt's weight in words that stand in none of them, by the rarity that
    `terms` gives words; the others say whether there is such a thing. `names` are those of the document.
    """
    there = set(words_of(" ".join((*questions, text))))
    stems = {word[:_STEM] for word in there}
    asked = [word for word in words_of(prompt) if word not in _SMALL]
    weights = [terms.weight(word) for word in asked]
    absent = [word[:_STEM] not in stems for word in asked]
    total = sum(weights)
    own = names | names_in(prompt)
    return {
        "novel": sum(w for w, missing in zip(weights, absent, strict=True) if missing) / total
        if total
        else 0.0,
        "number": float(any(_MARKED.fullmatch(word) and word not in there for word in asked)),
        "name": float(
            any(w in own and not _MARKED.fullmatch(w) and a for w, a in zip(asked, absent, strict=True))
        ),
        "negation": float(bool(_NEGATION.search(prompt)) != any(_NEGATION.search(q) for q in questions)),
        "task": float(bool(_TASK.search(prompt)) and not any(_TASK.search(q) for q in questions)),
        "order": float(
            bool(_found(_ORDER, prompt) - {word for q in questions for word in _found(_ORDER, q)})
        ),
    }


@lru_cache(maxsize=1 << 16)
def names_in(text: str) -> frozenset[str]:
    """The words of a text that begin with a capital inside a sentence, or hold a digit or an underscore."""
    found = (word for pattern in (_NAME, _MARKED) for word in pattern.findall(text))
    return frozenset(part for word in found for part in words_of(word))


def _found(pattern: re.Pattern[str], text: str) -> set[str]:
    return {match[0].casefold() for match in pattern.finditer(text)}
