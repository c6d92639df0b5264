"""From the YAML tree to the schema's values: each key and value checked by itself, each complaint placed."""

import math
import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import inspect

from dlm_core.document.codes import Code
from dlm_core.document.expectation import bare, expectation, options
from dlm_core.document.keys import key_docs
from dlm_core.document.model import Span
from dlm_core.document.report import Report, listed, nearest, quoted
from dlm_core.document.schema import Frontmatter
from dlm_core.document.yaml_tree import Entry, Mapping, Node, Scalar, Sequence, is_null

_INTEGER = re.compile(r"[-+]?[0-9]{1,30}", re.ASCII)
_NUMBER = re.compile(
    r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,4})?", re.ASCII
)
# YAML 1.1's words, which documents in the wild use; anything else is a slip.
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
TRUE_WORDS = frozenset(word for word, value in _BOOLEANS.items() if value)
# Values that documents of this format may hold and that stand for something this project does in its own way.
_FOREIGN_VALUES: MappingOf[str, MappingOf[str, str]] = {
    "training.optimizer": dict.fromkeys(
        ("adamw_bnb_8bit", "paged_adamw_8bit", "galore_adamw", "galore_adamw_8bit"), "adamw_torch"
    ),
}


class _Wrong(Exception):
    """A value does not fit its type."""


@dataclass(frozen=True)
class _Place:
    """Where a value belongs: its dotted path, and the span to blame when the value itself has none."""

    path: str
    blame: Span

    def child(self, key: str, blame: Span) -> "_Place":
        return _Place(f"{self.path}.{key}" if self.path else key, blame)


def to_values(tree: Mapping, report: Report, blame: Span) -> dict[str, Any]:
    """The tree as plain values that `build` takes.

    What does not fit is reported and left out. `blame` is where an absent required key is reported.
    """
    return _Reader(report).struct(tree, _schema(), _Place("", blame))


@cache
def _schema() -> inspect.StructType:
    """What `Frontmatter` takes; once, since msgspec works it out anew at every call."""
    root = bare(inspect.type_info(Frontmatter))
    assert isinstance(root, inspect.StructType)
    return root


class _Reader:
    def __init__(self, report: Report) -> None:
        self._report = report

    def struct(self, node: Mapping, type_: inspect.StructType, place: _Place) -> dict[str, Any]:
        known = {field.encode_name: field for field in type_.fields}
        values: dict[str, Any] = {}
        for key, entry in node.entries.items():
            field = known.get(key)
            if field is None:
                self._report_unknown(entry, list(known), place)
                continue
            if _explicit_null(entry.value) and not field.required:
                continue
            below = place.child(key, entry.key_span)
            value = self._value(entry.value, field.type, below)
            if value is not _ABSENT:
                values[key] = value
        for key, field in known.items():
            if field.required and key not in node.entries:
                self._report.add(
                    Code.MISSING_KEY, place.blame, f"`{place.child(key, place.blame).path}` is missing"
                )
        return values

    def _value(self, node: Node, type_: inspect.Type, place: _Place) -> Any:
        wanted = bare(type_)
        if isinstance(wanted, inspect.StructType | inspect.DictType) and is_null(node):
            return {}
        if isinstance(wanted, inspect.StructType) and isinstance(node, Mapping):
            return self.struct(node, wanted, place)
        if isinstance(wanted, inspect.DictType) and isinstance(node, Mapping):
            return self._dictionary(node, wanted, place)
        sequence = next((t for t in options(wanted) if isinstance(t, inspect.VarTupleType)), None)
        if sequence is not None and isinstance(node, Sequence):
            return self._items(node, sequence, place)
        if isinstance(node, Scalar):
            return self._scalar(node, wanted, place)
        if isinstance(wanted, inspect.AnyType):
            return _plain(node)
        self._report_type(node, wanted, place)
        return _ABSENT

    def _dictionary(self, node: Mapping, type_: inspect.DictType, place: _Place) -> dict[str, Any]:
        values = {}
        for key, entry in node.entries.items():
            value = self._value(entry.value, type_.value_type, place.child(key, entry.key_span))
            if value is not _ABSENT:
                values[key] = value
        return values

    def _items(self, node: Sequence, type_: inspect.VarTupleType, place: _Place) -> list[Any]:
        read = [
            self._value(item, type_.item_type, _Place(f"{place.path}[{number}]", item.span))
            for number, item in enumerate(node.items)
        ]
        return [value for value in read if value is not _ABSENT]

    def _scalar(self, node: Scalar, type_: inspect.Type, place: _Place) -> Any:
        instead = _FOREIGN_VALUES.get(place.path, {}).get(node.text)
        if instead is not None:
            message = f"`{place.path}: {node.text}` has no effect here: `{instead}` is used"
            self._report.add(Code.NO_EFFECT, node.span, message)
            return instead
        for option in options(type_):
            try:
                return _accept(node, option)
            except _Wrong:
                continue
        self._report_type(node, type_, place)
        return _ABSENT

    def _report_type(self, node: Node, type_: inspect.Type, place: _Place) -> None:
        if self._report.full:
            self._report.add(Code.WRONG_TYPE, node.span, "")
            return
        wanted = expectation(type_)
        if not isinstance(node, Scalar):
            found = "a list" if isinstance(node, Sequence) else "a mapping"
            self._report.add(Code.WRONG_TYPE, place.blame, f"`{place.path}` takes {wanted}, not {found}")
        elif is_null(node):
            hint = "write a value, or take the key out to get the default"
            self._report.add(
                Code.WRONG_TYPE, place.blame, f"`{place.path}` has no value; it takes {wanted}", hint
            )
        else:
            code = Code.WRONG_VALUE if _right_kind(node, type_) else Code.WRONG_TYPE
            written = node.text if node.plain else f'"{node.text}"'
            message = f"`{place.path}` takes {wanted}, not {quoted(written)}"
            self._report.add(code, node.span, message, _value_hint(node, type_))

    def _report_unknown(self, entry: Entry, known: list[str], place: _Place) -> None:
        if self._report.full:
            self._report.add(Code.UNKNOWN_KEY, entry.key_span, "")
            return
        where = f" in `{place.path}`" if place.path else ""
        meant = nearest(entry.key, known)
        homes = sorted(_HOMES.get(entry.key, ()), key=len)
        if meant:
            hint = f"did you mean `{meant}`?"
        elif homes:
            hint = f"`{entry.key}` belongs under {' or '.join(f'`{home}`' for home in homes)}"
        else:
            hint = f"the keys here are {listed(known)}"
        self._report.add(Code.UNKNOWN_KEY, entry.key_span, f"unknown key {quoted(entry.key)}{where}", hint)


class _Absent:
    """Stands for a value that could not be read."""


_ABSENT = _Absent()


def _explicit_null(node: Node) -> bool:
    return is_null(node) and bool(cast(Scalar, node).text)


def _accept(node: Scalar, type_: inspect.Type) -> Any:
    """The value that a scalar has under one type; _Wrong if it has none."""
    match type_:
        case inspect.NoneType() if is_null(node):
            return None
        case inspect.LiteralType() if node.text in type_.values:
            return node.text
        case inspect.BoolType() if node.plain and node.text.casefold() in _BOOLEANS:
            return _BOOLEANS[node.text.casefold()]
        case inspect.IntType() if node.plain and _INTEGER.fullmatch(node.text):
            return _bounded(int(node.text), type_)
        case inspect.FloatType() if node.plain and _NUMBER.fullmatch(node.text):
            return _bounded(float(node.text), type_)
        case inspect.StrType() if not is_null(node):
            return node.text
        case inspect.AnyType():
            return _plain(node)
    raise _Wrong


def _bounded(value: int | float, type_: inspect.IntType | inspect.FloatType) -> int | float:
    fits = (
        math.isfinite(value)
        and (type_.ge is None or value >= type_.ge)
        and (type_.gt is None or value > type_.gt)
        and (type_.le is None or value <= type_.le)
        and (type_.lt is None or value < type_.lt)
    )
    if not fits:
        raise _Wrong
    return value


def _plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key: _plain(entry.value) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return None if is_null(node) else cast(Scalar, node).text


def _right_kind(node: Scalar, type_: inspect.Type) -> bool:
    """Whether a refused scalar is at least a number where a number, or a word where a word is wanted."""
    numeric = bool(node.plain and _NUMBER.fullmatch(node.text))
    taken = options(type_)
    if numeric:
        return any(isinstance(option, inspect.IntType | inspect.FloatType) for option in taken)
    return all(isinstance(option, inspect.LiteralType | inspect.StrType) for option in taken)


def _value_hint(node: Scalar, type_: inspect.Type) -> str:
    taken = options(type_)
    words = [str(v) for option in taken if isinstance(option, inspect.LiteralType) for v in option.values]
    if any(isinstance(option, inspect.BoolType) for option in taken):
        meant = nearest(node.text, _BOOLEANS)
        return f"did you mean `{'true' if _BOOLEANS[meant] else 'false'}`?" if meant else ""
    if not node.plain and _NUMBER.fullmatch(node.text):
        return "write the number without quotes"
    meant = nearest(node.text, words)
    return f"did you mean `{meant}`?" if meant else ""


def _homes() -> dict[str, list[str]]:
    """For each key, the mappings that take it, to tell a misplaced key from an invented one."""
    homes: dict[str, list[str]] = {}
    for key in key_docs():
        home, _, name = key.path.rpartition(".")
        if home:
            homes.setdefault(name, []).append(home)
    return homes


_HOMES = _homes()


def build(values: dict[str, Any]) -> Frontmatter:
    """The frontmatter from checked values. Raises msgspec.ValidationError if they do not fit after all."""
    return msgspec.convert(values, Frontmatter)
