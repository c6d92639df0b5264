"""Names of adapters from labels: a column's values, file names, folders, words."""

import re
import unicodedata
from collections.abc import Iterable

from dlm_core.document.fences import is_adapter_name
from dlm_core.document.report import quoted
from dlm_core.errors import UsageError

MAX_ADAPTERS = 32
_OTHER = re.compile(r"[^a-z0-9]+")


def adapter_name(label: str) -> str:
    """A label as the name of an adapter: small ASCII letters, digits and `_`; empty where none is left."""
    if is_adapter_name(label):
        return label
    bare = unicodedata.normalize("NFKD", label.replace("ß", "ss")).encode("ascii", "ignore").decode()
    name = _OTHER.sub("_", bare.lower()).strip("_")
    if name[:1].isdigit():
        name = f"n{name}"
    return name[:32].rstrip("_")


class Names:
    """One name for each label, whatever its case. Two labels share a name only if that is `taken`: an adapter
    of the document, which is then meant.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._declared = frozenset(taken)
        self._by_label: dict[str, str] = {}
        self._used: list[str] = []

    @property
    def used(self) -> tuple[str, ...]:
        """The names given so far, in the order in which they were first asked for."""
        return tuple(self._used)

    def of(self, label: str) -> str:
        """The name for a label. Raises UsageError where there would be too many adapters."""
        folded = " ".join(label.split()).casefold()
        name = self._by_label.setdefault(folded, "") or self._fresh(folded)
        self._by_label[folded] = name
        if name not in self._used:
            if len(self._used) >= MAX_ADAPTERS:
                raise UsageError(
                    f"an adapter for each would be more than {MAX_ADAPTERS}: {quoted(label)} is one too many",
                    "choose another column, or `--adapter NAME` for all rows",
                )
            self._used.append(name)
        return name

    def _fresh(self, label: str) -> str:
        name = adapter_name(label) or "topic"
        if name in self._declared:
            return name
        known = set(self._by_label.values())
        number = 1
        fresh = name
        while fresh in known:
            number += 1
            fresh = f"{name[: 31 - len(str(number))]}_{number}"
        return fresh
