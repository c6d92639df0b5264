"""A document back as text: only what differs from the defaults in the frontmatter, then the sections.

Comments in the frontmatter are not part of a `Document` and are lost; to change a file that a person wrote,
edit its text.
"""

from typing import Any

import msgspec
import yaml
from msgspec import Struct, structs

from dlm_core.document.model import Document, Section
from dlm_core.document.schema import Frontmatter


def render(document: Document) -> str:
    """The text of a document, ending in a newline.

    Parsing it gives the same frontmatter and the same sections but for their places, and rendering that gives
    the same text. Sections that `training.sources` brought in are left out: they stand in their own files.
    """
    own = [section for section in document.sections if section.source is None]
    body = [render_section(section, first=number == 0) for number, section in enumerate(own)]
    return "\n".join([f"---\n{render_frontmatter(document.frontmatter)}---\n", *body])


def render_frontmatter(frontmatter: Frontmatter) -> str:
    """The YAML between the `---` lines, `dlm_id`, `dlm_version` and `base_model` first."""
    always = {name: getattr(frontmatter, name) for name in ("dlm_id", "dlm_version", "base_model")}
    return render_keys(always | _changed(frontmatter))


def render_keys(values: dict[str, Any]) -> str:
    """Keys and values as YAML, long text as literal blocks, never an alias."""
    return yaml.dump(
        values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=False
    )


def render_section(section: Section, *, first: bool = False) -> str:
    """A section with its fence; untagged prose that begins the body may do without."""
    if first and section.fence is None and section.adapter is None:
        return f"{section.text}\n"
    tag = f"#{section.adapter}" if section.adapter else ""
    provenance = f"{section.provenance}\n" if section.provenance else ""
    return f"::{section.kind.value}{tag}::\n{provenance}{section.text}\n"


def _changed(value: Struct) -> dict[str, Any]:
    """The fields of a struct that differ from their defaults, structs inside alike."""
    changed: dict[str, Any] = {}
    for field in structs.fields(value):
        current = getattr(value, field.name)
        if current == _default(field):
            continue
        changed[field.encode_name] = _plain(current)
    return changed


def _default(field: structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return _changed(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


class _Dumper(yaml.SafeDumper):
    """Writes long text as a literal block and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Text of several lines as a literal block, text that blocks cannot hold in double quotes."""
    awkward = any(_is_awkward(character) for character in text)
    style = '"' if awkward else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_awkward(character: str) -> bool:
    return character != "\n" and not character.isprintable()


_Dumper.add_representer(str, _represent_text)
