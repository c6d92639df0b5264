"""Probes: questions that were never trained, with the answer to expect and the adapter that should give it;
from a probe file, and from the document's `### Q !probe`.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from dlm_core.document.model import Document, Turn
from dlm_core.errors import DocumentError
from dlm_core.evaluation.listed import read_list
from dlm_core.safetext import visible_line
from dlm_core.training.examples import learners

_FORM = "a probe file is a YAML or JSON list of {question, answer, adapter}"


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question with its expected answer; `adapter` is the one that should answer. `before` are the turns
    that it follows on.
    """

    question: str
    answer: str
    adapter: str
    before: tuple[Turn, ...] = ()


def default_probes(document: Path) -> Path | None:
    """The probe file beside a document, `<stem>.probes.yaml`, if there is one."""
    beside = document.with_name(f"{document.stem}.probes.yaml")
    return beside if beside.is_file() else None


def all_probes(document: Document, file: Path | None) -> tuple[Probe, ...]:
    """The probes of `file` (None: the one beside the document, if it is there), then the document's own.

    Raises DocumentError as `load_probes` does.
    """
    chosen = file or default_probes(document.path)
    listed = load_probes(chosen, document.adapter_names) if chosen else ()
    own = (
        Probe(probe.question, probe.answer, learners(section, document.adapter_names)[0], probe.before)
        for section in document.sections
        for probe in section.probes
    )
    return tuple(dict.fromkeys((*listed, *own)))


def load_probes(path: Path, adapters: Sequence[str]) -> tuple[Probe, ...]:
    """Read a YAML or JSON list of `{question, answer, adapter}`.

    Raises:
        DocumentError: unreadable, not such a list, an empty question or answer, or an adapter the document
        does not declare; the message has the line.
    """
    shown = visible_line(str(path))
    return tuple(
        _probe(entry, f"{shown}:{line}: probe {number}", adapters)
        for number, (line, entry) in enumerate(read_list(path, "probes", _FORM), 1)
    )


def _probe(entry: Any, place: str, adapters: Sequence[str]) -> Probe:
    try:
        probe = msgspec.convert(entry, Probe)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{place}: {visible_line(str(error))}", _FORM) from error
    for field in ("question", "answer"):
        if not getattr(probe, field).strip():
            raise DocumentError(f"{place}: the {field} is empty", _FORM)
    if probe.adapter not in adapters:
        close = difflib.get_close_matches(probe.adapter, adapters, 1)
        guess = f"did you mean `{close[0]}`? " if close else ""
        raise DocumentError(
            f"{place}: the document has no adapter `{visible_line(probe.adapter)}`",
            f"{guess}it declares {', '.join(adapters)}",
        )
    return probe
