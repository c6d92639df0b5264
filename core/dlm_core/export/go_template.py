"""The part of Go's text/template that a chat template needs: written from a template's turns, and rendered.

Rendering serves one end, to compare what Ollama will make of a written template with what the engine
renders. It knows text, `{{ if }}`, `{{ else if }}`, `{{ else }}`, `{{ end }}`, `{{ range }}`, `{{ $x := …
}}`, `{{ $x = … }}`, fields, variables, string literals, `true`, `false`, `eq` and `and`, with Go's meaning
(pkg.go.dev/text/template); it knows nothing of trim markers, and anything else is an error.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlm_core.export.modelfile import is_printable
from dlm_core.export.turns import Turns
from dlm_core.requests import Message

_ACTION = re.compile(r'\{\{((?:"(?:\\.|[^"\\])*"|[^"])*?)\}\}', re.DOTALL)
# Braces that open an action; quotation marks in a row, or at the end; what Ollama's parser drops.
_TO_WRITE = re.compile(r'\{\{|"{2,}|"\Z|[^ -~\n\t]')
_WORD = re.compile(r'\s*("(?:\\.|[^"\\])*"|:=|=|[^\s"]+)')


class GoTemplateError(ValueError):
    """A template has something that is not known here."""


def from_turns(turns: Turns, system_prompt: str = "") -> str:
    """The template for Ollama: `.System` is the joined system messages, `.Messages` all of them.

    `system_prompt` is said where a conversation brings no system message of its own; it is for texts that a
    Modelfile's SYSTEM cannot hold.
    """
    own = turns.placement == "own"
    said = (
        turns.system.before + system_prompt + turns.system.after if system_prompt and own else turns.unasked
    )
    unasked = f"{{{{ if .System }}}}{{{{ else }}}}{_text(said)}{{{{ end }}}}" if said else ""
    if turns.placement == "own":
        system = (
            f'{{{{ if eq .Role "system" }}}}{_around(turns.system.before, turns.system.after)}{{{{ else if '
        )
        start, lead = "", ""
    else:
        system = "{{ if "
        start = "{{ $first := true }}"
        lead = (
            "{{ if $first }}{{ if $.System }}{{ $.System }}"
            + _text(turns.joint)
            + (f"{{{{ else }}}}{_text(system_prompt + turns.joint)}" if system_prompt else "")
            + "{{ end }}{{ $first = false }}{{ end }}"
        )
    user = _text(turns.user.before) + lead + "{{ .Content }}" + _text(turns.user.after)
    assistant = _around(turns.assistant.before, turns.assistant.after)
    return (
        f"{start}{unasked}{{{{ range .Messages }}}}{system}"
        f'eq .Role "user" }}}}{user}{{{{ else if eq .Role "assistant" }}}}{assistant}'
        "{{ end }}{{ end }}"
        f"{_text(turns.ask)}"
    )


def render(template: str, messages: Sequence[Message]) -> str:
    """What Ollama renders of a conversation. Raises GoTemplateError for what is not known here."""
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    data = {"System": system, "Messages": [{"Role": m.role, "Content": m.content} for m in messages]}
    nodes, rest = _parse(_pieces(template), 0)
    if rest != -1:
        raise GoTemplateError("an {{ end }} or {{ else }} too many")
    return "".join(_run(nodes, data, {"$": data}))


def _text(text: str) -> str:
    """Plain text. What opens an action, or does not come out of a Modelfile, is written as a literal."""
    return _TO_WRITE.sub(_literal, text)


def _literal(found: re.Match[str]) -> str:
    text = found[0]
    if len(text) == 1 and not text.isascii() and is_printable(text):
        return text
    escaped = "".join(f"\\{c}" if c in '"\\' else c if c == "{" else f"\\U{ord(c):08x}" for c in text)
    return f'{{{{ "{escaped}" }}}}'


def _around(before: str, after: str) -> str:
    return _text(before) + "{{ .Content }}" + _text(after)


@dataclass
class _Node:
    """`text`, `print`, `set`, `if` (branches of condition and body; the last may have none) or `range`."""

    kind: str
    words: Sequence[str] = ()
    text: str = ""
    branches: list[tuple[Sequence[str] | None, list["_Node"]]] = field(default_factory=list)


def _pieces(template: str) -> list[str | tuple[str, ...]]:
    """Texts, and actions as tuples of words."""
    found: list[str | tuple[str, ...]] = []
    at = 0
    for match in _ACTION.finditer(template):
        found += [template[at : match.start()]] if match.start() > at else []
        body = match[1]
        if body.startswith("-") or body.endswith("-"):
            raise GoTemplateError("trim markers are not known here")
        found.append(tuple(_WORD.findall(body)))
        at = match.end()
    if "{{" in template[at:]:
        raise GoTemplateError("an action is not closed")
    return found + ([template[at:]] if at < len(template) else [])


def _parse(pieces: Sequence[str | tuple[str, ...]], at: int) -> tuple[list[_Node], int]:
    """Nodes from `at` on, and where an `end` or `else` stopped them (-1: the template's end)."""
    nodes: list[_Node] = []
    while at < len(pieces):
        piece = pieces[at]
        if isinstance(piece, str):
            nodes.append(_Node("text", text=piece))
        elif not piece:
            raise GoTemplateError("an empty action")
        elif piece[0] in ("end", "else"):
            return nodes, at
        elif piece[0] in ("if", "range"):
            node, at = _block(pieces, at, piece)
            nodes.append(node)
        elif len(piece) > 2 and piece[1] in (":=", "="):
            nodes.append(_Node("set", words=piece))
        else:
            nodes.append(_Node("print", words=piece))
        at += 1
    return nodes, -1


def _block(pieces: Sequence[str | tuple[str, ...]], at: int, head: tuple[str, ...]) -> tuple[_Node, int]:
    node = _Node(head[0], words=head[1:])
    condition: Sequence[str] | None = head[1:]
    while True:
        body, at = _parse(pieces, at + 1)
        if at < 0:
            raise GoTemplateError(f"{head[0]} without an end")
        node.branches.append((condition, body))
        stop = pieces[at]
        if stop[0] == "end":
            return node, at
        if len(stop) > 1 and stop[1] != "if":
            raise GoTemplateError(f"else {stop[1]}")
        condition = stop[2:] if len(stop) > 1 else None


def _run(nodes: Sequence[_Node], dot: Any, variables: dict[str, Any]) -> list[str]:
    out: list[str] = []
    for node in nodes:
        if node.kind == "text":
            out.append(node.text)
        elif node.kind == "print":
            out.append(str(_value(node.words, dot, variables)))
        elif node.kind == "set":
            if (node.words[1] == "=") != (node.words[0] in variables):
                raise GoTemplateError(f"{node.words[0]} is set before it is declared, or declared twice")
            variables[node.words[0]] = _value(node.words[2:], dot, variables)
        elif node.kind == "range":
            for item in _value(node.words, dot, variables):
                out += _run(node.branches[0][1], item, variables)
        else:
            for condition, body in node.branches:
                if condition is None or _value(condition, dot, variables):
                    out += _run(body, dot, variables)
                    break
    return out


def _value(words: Sequence[str], dot: Any, variables: Mapping[str, Any]) -> Any:
    first, *rest = words
    if first == "eq" and len(rest) == 2:
        return _value(rest[:1], dot, variables) == _value(rest[1:], dot, variables)
    if first == "and" and len(rest) == 2:
        return _value(rest[:1], dot, variables) and _value(rest[1:], dot, variables)
    if rest:
        raise GoTemplateError(f"{' '.join(words)} is not known here")
    if first.startswith('"'):
        return ast.literal_eval(first)
    if first in ("true", "false"):
        return first == "true"
    name, _, path = first.partition(".")
    if name and name not in variables:
        raise GoTemplateError(f"{first} is not known here")
    here = variables[name] if name else dot
    for key in path.split(".") if path else ():
        if not isinstance(here, Mapping) or key not in here:
            raise GoTemplateError(f"{first}: there is no {key}")
        here = here[key]
    return here
