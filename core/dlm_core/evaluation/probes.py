"""Probe files: questions that were never trained, with the answer to expect and the adapter that should give
it.
"""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from dlm_core.errors import DocumentError
from dlm_core.safetext import visible_line

_MAX_BYTES = 4_000_000


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question with its expected answer; `adapter` is the one that should answer."""

    question: str
    answer: str
    adapter: str


def load_probes(path: Path, adapters: tuple[str, ...]) -> tuple[Probe, ...]:
    """Read a YAML or JSON list of `{question, answer, adapter}`.

    Raises:
        DocumentError: unreadable, not such a list, or an adapter the document does not declare; says which
        entry.
    """
    shown = visible_line(str(path))
    form = "a probe file is a list of {question, answer, adapter}"
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DocumentError(f"{shown}: larger than {_MAX_BYTES // 1_000_000} MB", form)
        content: Any = yaml.load(path.read_text("utf-8"), Loader=_NoAliases)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise DocumentError(
            f"{shown}: cannot be read as YAML or JSON: {visible_line(str(error))}", form
        ) from error
    if not isinstance(content, list) or not content:
        raise DocumentError(f"{shown}: holds no list of probes", form)
    probes: list[Probe] = []
    for number, entry in enumerate(content, 1):
        try:
            probe = msgspec.convert(entry, Probe)
        except msgspec.ValidationError as error:
            raise DocumentError(f"{shown}: probe {number}: {visible_line(str(error))}", form) from error
        if probe.adapter not in adapters:
            raise DocumentError(
                f"{shown}: probe {number}: there is no adapter `{visible_line(probe.adapter)}`",
                f"adapters: {', '.join(adapters)}",
            )
        probes.append(probe)
    return tuple(probes)


class _NoAliases(yaml.SafeLoader):
    """SafeLoader that refuses aliases, which a list of probes does not need and a bomb does."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not read here")
        return super().compose_node(parent, index)
