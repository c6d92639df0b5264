"""YAML as a tree in which every key and value knows its place. Bounded in size and depth, aliases included.

Built from the parser's events and not from `yaml.compose`: composing recurses in C and overruns the stack on
deep nesting, and an alias bomb would only be noticed while it goes off.
"""

import re
from dataclasses import dataclass, field
from itertools import islice

import yaml

from dlm_core.document.codes import Code
from dlm_core.document.lines import Lines
from dlm_core.document.model import Span
from dlm_core.document.report import MAX_DIAGNOSTICS, Report, quoted

MAX_DEPTH = 32
MAX_NODES = 10_000
_TOO_DEEP = f"the frontmatter is nested more than {MAX_DEPTH} levels deep"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# All that YAML calls printable, without the characters that end a line in YAML and nowhere else.
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_ENDS = {
    "\r": ("a carriage return alone", "\\r"),
    "\x85": ("the next-line character U+0085", "\\N"),
    "\u2028": ("the line separator U+2028", "\\L"),
    "\u2029": ("the paragraph separator U+2029", "\\P"),
}
_PLAIN_TAGS = {
    "!",
    *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")),
}


@dataclass
class Node:
    """A value. `size` and `depth` count what it holds with aliases written out."""

    span: Span
    size: int = 1
    depth: int = 1


@dataclass
class Scalar(Node):
    """Text; `plain` when it was written without quotes and may mean a number, a boolean or nothing."""

    text: str = ""
    plain: bool = False


@dataclass
class Sequence(Node):
    """A list."""

    items: list[Node] = field(default_factory=list)
    flow: bool = False


@dataclass
class Entry:
    """A key with its value."""

    key: str
    key_span: Span
    value: Node


@dataclass
class Mapping(Node):
    """Keys and values in the order they stand; of a key that stands twice, the first."""

    entries: dict[str, Entry] = field(default_factory=dict)
    flow: bool = False


class _Refused(Exception):
    """The tree cannot be built; the reason has been reported."""


def read_tree(lines: Lines, start: int, end: int, report: Report) -> Mapping | None:
    """The mapping that the text between two offsets holds, or None after reporting why not.

    An empty text is an empty mapping. Time is linear in the text; depth and number of values are bounded.
    """
    text = lines.text[start:end]
    unprintable = list(islice(_UNPRINTABLE.finditer(text), MAX_DIAGNOSTICS))
    for found in unprintable:
        at = start + found.start()
        _report_unprintable(found.group(), lines.span(at, at + 1), report)
    if unprintable:
        return None
    builder = _Builder(lines, start, report)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except _Refused:
        return None
    except yaml.MarkedYAMLError as error:
        builder.report_syntax(error)
        return None
    except yaml.YAMLError as error:
        report.add(Code.YAML_SYNTAX, lines.span(start, start), f"the frontmatter is not valid YAML: {error}")
        return None
    return builder.root()


def _report_unprintable(character: str, span: Span, report: Report) -> None:
    if character in _LINE_ENDS:
        name, escape = _LINE_ENDS[character]
        message = f"{name} would end a line in YAML, and ends none here"
        hint = f"delete it, or write it as `{escape}` inside double quotes; lines end at LF or CRLF"
        report.add(Code.YAML_LINE_END, span, message, hint)
        return
    message = f"the control character U+{ord(character):04X} is not allowed in YAML"
    hint = 'delete it, or write it as an escape inside double quotes: "\\x1b"'
    report.add(Code.YAML_CONTROL, span, message, hint)


class _Builder:
    def __init__(self, lines: Lines, start: int, report: Report) -> None:
        self._lines = lines
        self._start = start
        self._report = report
        self._open: list[tuple[Mapping | Sequence, str | None]] = []
        self._keys: list[Scalar | None] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        span = self._span(event)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse(Code.YAML_SYNTAX, span, "the frontmatter holds more than one YAML document")
            case yaml.ScalarEvent():
                self._check_tag(event.tag, span)
                plain = event.style in (None, "") and event.tag is None
                scalar = Scalar(span, text=event.value, plain=plain)
                self._anchor(event.anchor, scalar)
                self._place(scalar)
            case yaml.AliasEvent():
                self._place_alias(event.anchor, span)
            case yaml.MappingStartEvent():
                self._push(Mapping(span, flow=bool(event.flow_style)), event)
            case yaml.SequenceStartEvent():
                self._push(Sequence(span, flow=bool(event.flow_style)), event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                node, anchor = self._open.pop()
                self._keys.pop()
                node.span = Span(node.span.line, node.span.column, span.end_line, span.end_column)
                self._anchor(anchor, node)
                self._place(node)

    def root(self) -> Mapping | None:
        if self._root is None or (isinstance(self._root, Scalar) and is_null(self._root)):
            return Mapping(self._lines.span(self._start, self._start))
        if isinstance(self._root, Mapping):
            return self._root
        hint = "write `key: value`, one to a line"
        self._report.add(
            Code.YAML_SYNTAX, self._root.span, "the frontmatter is not made of keys and values", hint
        )
        return None

    def report_syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        at = self._start + (mark.index if mark else 0)
        problem = error.problem or error.context or "it does not parse"
        if "nesting depth" in problem:  # a limit of the scanner's own, which reads ahead (PyYAML 6.0.4)
            self._report.add(Code.YAML_TOO_DEEP, self._lines.span(at, at + 1), _TOO_DEEP)
            return
        line = self._lines.rows[self._lines.position(at)[0] - 1]
        self._report.add(
            Code.YAML_SYNTAX,
            self._lines.span(at, at + 1),
            f"the frontmatter is not valid YAML: {problem}",
            _syntax_hint(problem, line),
        )

    def _span(self, event: yaml.Event) -> Span:
        start = event.start_mark.index if event.start_mark else 0
        end = event.end_mark.index if event.end_mark else start
        return self._lines.span(self._start + start, self._start + end)

    def _refuse(self, code: Code, span: Span, message: str, hint: str = "") -> None:
        self._report.add(code, span, message, hint)
        raise _Refused

    def _check_tag(self, tag: str | None, span: Span) -> None:
        if tag is not None and tag not in _PLAIN_TAGS:
            self._report.add(
                Code.YAML_TAG, span, f"the YAML tag {quoted(tag)} is not read", "write the value plainly"
            )

    def _push(
        self, node: Mapping | Sequence, event: yaml.MappingStartEvent | yaml.SequenceStartEvent
    ) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._refuse(Code.YAML_TOO_DEEP, node.span, _TOO_DEEP)
        self._check_tag(event.tag, node.span)
        self._open.append((node, event.anchor))
        self._keys.append(None)

    def _anchor(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _place_alias(self, anchor: str | None, span: Span) -> None:
        if self._open and isinstance(self._open[-1][0], Mapping) and self._keys[-1] is None:
            self._refuse(Code.YAML_SYNTAX, span, "an alias cannot be a key", "write the key out")
        target = self._anchors.get(anchor or "")
        if target is None:
            hint = f'a value that begins with `*` needs quotes: "*{anchor}"'
            self._refuse(
                Code.YAML_SYNTAX, span, f"the alias {quoted(f'*{anchor}')} names no anchor before it", hint
            )
        else:
            self._place(target)

    def _place(self, node: Node) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1][0]
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.size > MAX_NODES:
            hint = "write it shorter, or without aliases"
            self._refuse(
                Code.YAML_TOO_BIG, node.span, f"the frontmatter has more than {MAX_NODES:,} values", hint
            )
        if parent.depth + len(self._open) > MAX_DEPTH + 1:
            self._refuse(Code.YAML_TOO_DEEP, node.span, _TOO_DEEP)
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            if not isinstance(node, Scalar):
                self._refuse(
                    Code.YAML_SYNTAX, node.span, "a key has to be a single word", "write `key: value`"
                )
            else:
                self._keys[-1] = node
            return
        self._keys[-1] = None
        self._add_entry(parent, key, node)

    def _add_entry(self, parent: Mapping, key: Scalar, value: Node) -> None:
        earlier = parent.entries.get(key.text)
        if earlier is None:
            parent.entries[key.text] = Entry(key.text, key.span, value)
            return
        message = f"the key {quoted(key.text)} stands here twice"
        self._report.add(
            Code.DUPLICATE_KEY, key.span, message, f"it stands first on line {earlier.key_span.line}"
        )


def is_null(node: Node) -> bool:
    """Whether nothing, `~` or `null` was written."""
    return isinstance(node, Scalar) and node.plain and node.text in ("", "~", "null", "Null", "NULL")


def _syntax_hint(problem: str, line: str) -> str:
    if "\t" in line and "token" in problem:
        return "indent with spaces: YAML allows no tabs there"
    value = line.partition(": ")[2].lstrip("[{ ")
    if "mapping values are not allowed" in problem:
        return "a value that contains `: ` needs quotes, and nested keys go on lines of their own"
    if value[:1] in ("*", "&", "!", "%", "@", "`"):
        return f"a value that begins with `{value[0]}` needs quotes"
    if "expected <block end>" in problem or "could not find expected ':'" in problem:
        return "check the indentation and the colons of this line and the one above"
    return ""
