"""The keys of the frontmatter as a list for editors and docs: what each is for, takes, and defaults to."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import msgspec
from msgspec import inspect

from dlm_core.document.expectation import bare, expectation, options
from dlm_core.document.schema import Frontmatter


@dataclass(frozen=True)
class KeyDoc:
    """One key. `path` has `<name>` for an adapter's name and `[]` for an item of a list.

    `takes` says in words what values it takes, `default` is the default as YAML would have it, "" where the
    key is required or holds other keys.
    """

    path: str
    description: str
    takes: str
    default: str


@cache
def key_docs() -> tuple[KeyDoc, ...]:
    """Every key of the format, parents before children, in the schema's order."""
    return tuple(_walk("", inspect.type_info(Frontmatter)))


def _walk(path: str, type_: inspect.Type) -> Iterator[KeyDoc]:
    for option in options(type_):
        if isinstance(option, inspect.StructType):
            for field in option.fields:
                below = f"{path}.{field.encode_name}" if path else field.encode_name
                yield KeyDoc(below, _description(field.type), expectation(field.type), _default(field))
                yield from _walk(below, field.type)
        elif isinstance(option, inspect.DictType):
            yield from _walk(f"{path}.<name>", option.value_type)
        elif isinstance(option, inspect.VarTupleType):
            yield from _walk(f"{path}[]", option.item_type)


def _description(type_: inspect.Type) -> str:
    extra = type_.extra_json_schema if isinstance(type_, inspect.Metadata) else None
    return str((extra or {}).get("description", ""))


def _default(field: inspect.Field) -> str:
    if (
        isinstance(bare(field.type), inspect.StructType | inspect.DictType)
        or field.default is msgspec.NODEFAULT
    ):
        return ""
    return msgspec.json.encode(field.default).decode().strip('"')
