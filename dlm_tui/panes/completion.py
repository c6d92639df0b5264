"""What may stand next at the cursor: fences, adapters, headings, frontmatter keys and values."""

import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dlm_core.document.fences import TURN_HEADINGS
from dlm_core.document.highlight import LineState
from dlm_core.document.model import SectionKind
from dlm_core.document.schema import AdapterConfig, Frontmatter
from dlm_tui.session.commands import Candidate
from dlm_tui.widgets.document_area import DocumentArea
from dlm_tui.widgets.focus import give_keys

_TURNS = tuple(f"### {heading}" for heading in TURN_HEADINGS)
_HEADINGS = {
    SectionKind.INSTRUCTION: ("### Q", "### A", "### Q !probe", *_TURNS),
    SectionKind.PREFERENCE: ("### Prompt", "### Chosen", "### Rejected", *_TURNS),
}


def candidates(
    before: str, state: LineState, adapters: Sequence[str], lines_above: Sequence[str] = ()
) -> list[Candidate]:
    """What fits after `before`, the line up to the cursor, where `state` holds at its beginning."""
    if state.region in ("frontmatter", "yaml-block"):
        return _in_frontmatter(before, lines_above)
    if state.region in ("body", "fenced", "provenance"):
        return _fences(before, adapters) or _headings(before, state)
    return []


def _fences(before: str, adapters: Sequence[str]) -> list[Candidate]:
    if before and not "::".startswith(before[:2]):
        return []
    found = []
    for kind in (SectionKind.INSTRUCTION, SectionKind.PROSE, SectionKind.PREFERENCE):
        for name in adapters:
            found.append(Candidate(f"::{kind.value}#{name}::", len(before), "fence"))
        found.append(Candidate(f"::{kind.value}::", len(before), "fence without a tag"))
    return [c for c in found if c.text.startswith(before) and c.text != before]


def _headings(before: str, state: LineState) -> list[Candidate]:
    options = _HEADINGS.get(state.section, ()) if state.section is not None else ()
    return [Candidate(o, len(before), "heading") for o in options if o.startswith(before) and o != before]


def _in_frontmatter(before: str, lines_above: Sequence[str]) -> list[Candidate]:
    bare = before.lstrip(" ")
    indent = len(before) - len(bare)
    path = _path(lines_above, indent)
    key, colon, value = bare.partition(":")
    struct = _struct_at(path)
    if struct is None:
        return []
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    if not colon:
        return [
            Candidate(f"{name}: ", len(bare), _note(field))
            for name, field in fields.items()
            if name.startswith(bare)
        ]
    if key not in fields:
        return []
    word = value.lstrip()
    return [
        Candidate(option, len(word), "value")
        for option in _options(fields[key].type)
        if option.startswith(word) and option != word
    ]


def _path(lines: Sequence[str], indent: int) -> list[str]:
    """The keys that a line of this indentation stands under, outermost first."""
    path: list[str] = []
    wanted = indent
    for line in reversed(lines):
        bare = line.lstrip(" ")
        lead = len(line) - len(bare)
        if not bare.strip() or bare.startswith("#") or lead >= wanted or ":" not in bare:
            continue
        path.insert(0, bare.partition(":")[0].strip())
        wanted = lead
        if lead == 0:
            break
    return path


def _struct_at(path: Sequence[str]) -> type[msgspec.Struct] | None:
    struct: Any = Frontmatter
    for index, key in enumerate(path):
        if key == "adapters":
            # Below `adapters` stand names, and below a name the per-adapter keys.
            return AdapterConfig if len(path) == index + 2 else None
        field = next((f for f in msgspec.structs.fields(struct) if f.name == key), None)
        kind = _bare(field.type) if field is not None else None
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return None
        struct = kind
    return struct  # type: ignore[no-any-return]


def _bare(kind: Any) -> Any:
    """A type without the description and the bounds it is annotated with."""
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _options(kind: Any) -> list[str]:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return [str(value) for value in typing.get_args(kind)]
    if origin is typing.Annotated:
        return _options(_bare(kind))
    if origin in (typing.Union, types.UnionType):
        return [option for part in typing.get_args(kind) for option in _options(part)]
    return ["true", "false"] if kind is bool else []


def _note(field: msgspec.structs.FieldInfo) -> str:
    """What a key means and its default, as the schema has them."""
    metas = [m for m in typing.get_args(field.type)[1:] if isinstance(m, msgspec.Meta)]
    described = [meta.description for meta in metas if meta.description]
    if field.default is msgspec.NODEFAULT or isinstance(field.default, msgspec.Struct | dict):
        return " ".join(described)
    return " ".join([*described, f"({field.default})"])


class Completer:
    """Completes in `area`; `adapters` answers the declared ones."""

    def __init__(self, area: DocumentArea, adapters: Callable[[], tuple[str, ...]]) -> None:
        self._area, self._adapters = area, adapters

    def _fitting(self, before: str, row: int) -> list[Candidate]:
        state = self._area.state_at(row).line
        return candidates(before, state, self._adapters(), self._area.document.lines[:row])

    def here(self) -> list[Candidate]:
        """What fits at the cursor."""
        row, column = self._area.cursor_location
        return self._fitting(self._area.document.get_line(row)[:column], row)

    def rest_of_line(self, before: str, row: int) -> str:
        """Ghost text: what the first that fits after `before`, on line `row`, would add."""
        found = self._fitting(before, row)
        return found[0].rest if found else ""

    def put(self, candidate: Candidate) -> None:
        """Put it in at the cursor."""
        row, column = self._area.cursor_location
        self._area.put(candidate.text, (row, column - candidate.replaces), (row, column))
        give_keys(self._area)
