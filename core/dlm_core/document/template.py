"""The document that `dlm init` writes: small, correct, and its own explanation."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

import yaml
from ulid import ULID

from dlm_core.document.fences import is_adapter_name
from dlm_core.document.frontmatter import NEWEST_VERSION
from dlm_core.document.parse import parse_text
from dlm_core.document.render import render_keys
from dlm_core.document.report import quoted
from dlm_core.errors import UsageError
from dlm_core.safetext import visible_line

_FRONTMATTER = """\
---
# A new name for a new document: the store finds everything it keeps under this id.
dlm_id: {dlm_id}
dlm_version: {version}
# The model under the adapters; `dlm base list` shows what there is.
base_model: {base}
{system}{training}---
"""

_SYSTEM = """\
# Uncomment to have something said before every conversation:
# system_prompt: You answer briefly.
"""

_ADAPTERS = """\
training:
  # One adapter for each thing to learn. The tag of a section says whose it is: ::instruction#{first}::
  adapters:
{entries}"""

_GATE = """\
  # The gate reads a prompt and weighs the adapters. It learns from tagged sections, four or more of each.
  gate:
    enabled: true
"""

_OPENING = """\
Text before the first fence, and prose without a tag, is read by every adapter. Write here what all of them
should know: who this is for, what it is about, the names that come up.
"""

_SECTIONS = """\
::instruction{tag}::
### Q
What belongs in {subject} sections of this document?
### Q
I'm new to {subject} sections, what do I write here?
### Q !probe
And what would go under this fence?
### A
Questions the way people ask them, each with the answer that should come back. Ask for an answer in two or
three wordings, one `### Q` each, and it is found in words that were never trained. What is marked `!probe` is
asked by `dlm eval` and never trained. Replace this one first.

### Q
How many questions does {learner} need?
### Q
Is a handful of examples enough to teach {learner}?
### A
Ten good ones go further than a hundred alike. A section may hold several, and code:

```
dlm train {file}
```

::prose{tag}::
Prose is for what has no question: notes, a glossary, a page of your own writing. {Learner} learns to continue
it word by word, so leave in what is typical and take out what is not.

::preference{tag}::
### Prompt
Tell me about {subject}.
### Chosen
Gladly. What would you like to know first?
### Rejected
As an AI language model, I cannot have opinions about {subject}.
"""


def new_document(
    base: str,
    adapters: Sequence[str] = (),
    *,
    now: datetime | None = None,
    dlm_id: str | None = None,
    file_name: str = "my.dlm",
) -> str:
    """The text of a new document on `base` with the given adapters, or in the flat form if there are none.

    Every adapter gets a first section of each kind; from two adapters on, the gate is on. `now` (default: the
    clock) dates the fresh ULID, `dlm_id` replaces it. The text has no diagnostics of severity error.

    Raises:
        UsageError: an adapter's name is repeated or not one, or `base` cannot be a base's name.
    """
    frontmatter = new_frontmatter(base, adapters, now=now, dlm_id=dlm_id)
    sections = [_sections(name, file_name) for name in adapters] or [_sections(None, file_name)]
    text = "\n".join([frontmatter, _OPENING, *sections])
    for diagnostic in parse_text(text).errors:
        raise UsageError(diagnostic.message, diagnostic.hint)
    return text


def new_frontmatter(
    base: str,
    adapters: Sequence[str] = (),
    *,
    system_prompt: str | None = None,
    now: datetime | None = None,
    dlm_id: str | None = None,
) -> str:
    """The frontmatter of a new document, its comments and both lines of `---` included.

    Raises:
        UsageError: an adapter's name is repeated or not one.
    """
    for name in adapters:
        if not is_adapter_name(name):
            hint = "begin with a small letter, then small letters, digits and `_`, 32 characters at most"
            raise UsageError(f"{quoted(name)} cannot be the name of an adapter", hint)
        if list(adapters).count(name) > 1:
            raise UsageError(f"the adapter `{name}` is named twice", "name each adapter once")
    return _FRONTMATTER.format(
        dlm_id=dlm_id or fresh_id(now),
        version=NEWEST_VERSION,
        base=_scalar(base),
        system=_SYSTEM if system_prompt is None else render_keys({"system_prompt": system_prompt}),
        training=_training(adapters),
    )


def fresh_id(now: datetime | None = None) -> str:
    """A new ULID: 26 characters of Crockford's base 32, the first ten from the clock."""
    return str(ULID.from_datetime(now or datetime.now(UTC)))


def _training(adapters: Sequence[str]) -> str:
    if not adapters:
        return ""
    entries = "".join(f"    {name}: {{}}\n" for name in adapters)
    gate = _GATE if len(adapters) > 1 else ""
    return _ADAPTERS.format(first=adapters[0], entries=entries) + gate


def _sections(adapter: str | None, file_name: str) -> str:
    subject = adapter.replace("_", " ") if adapter else "my notes"
    learner = f"the {subject} adapter" if adapter else "an adapter"
    return _SECTIONS.format(
        tag=f"#{adapter}" if adapter else "",
        subject=subject,
        learner=learner,
        Learner=learner[0].upper() + learner[1:],
        file=visible_line(shlex.quote(file_name)),
    )


def _scalar(text: str) -> str:
    """A text as a YAML value on one line."""
    return yaml.dump([text], default_flow_style=True, allow_unicode=True, width=1_000_000).strip()[1:-1]
