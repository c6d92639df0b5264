"""Markdown, read by markdown-it: its headings, bold lines and details, and the source text between them."""

import re
import textwrap
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin

from dlm_core.data import passages
from dlm_core.data.passages import BOLD, SUMMARY, End, Heading, Piece, Text
from dlm_core.data.web import as_markdown, page_pieces
from dlm_core.document.lines import normalised

_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)\1[ \t]*:?", re.DOTALL)
_Q_LINE = re.compile(
    r"(?:\*\*|__)?q(?:uestion)?\s{0,3}\d{0,5}\s{0,3}[:.)](?:\*\*|__)?\s+(?=\S)", re.IGNORECASE
)
_A_LINE = re.compile(r"\n(?=(?:\*\*|__)?a(?:nswer)?\s{0,3}\d{0,5}\s{0,3}[:.])", re.IGNORECASE)
_ANCHOR = re.compile(r"\s*\{#[\w:.-]+\}\s*$")
_DETAILS = re.compile(r"<summary[^>]*>(?P<summary>.*?)</summary>|(?P<close></details\s*>)", re.I | re.S)
_PAGE = re.compile(r"<(?:dt|h[1-6])[\s>]", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-+*]|\d{1,9}[.)])\s+")

_reader = MarkdownIt("commonmark").enable("table").use(front_matter_plugin)


def markdown_pieces(text: str, line: int = 1) -> list[Piece]:
    """The pieces of a Markdown text that begins at `line`; YAML before it and comments are left out."""
    rows = normalised(text).replace("\r", "\n").split("\n")  # in Markdown, a CR alone ends a line too
    tokens = _reader.parse("\n".join(rows))
    pieces: list[Piece] = []
    for number, token in enumerate(tokens):
        if token.level or token.nesting < 0 or token.map is None:
            continue
        first, end = token.map
        source, at = "\n".join(rows[first:end]).strip("\n"), first + line
        match token.type:
            case "front_matter" | "hr":
                continue
            case "heading_open":
                title = _ANCHOR.sub("", _plain(tokens[number + 1]))
                pieces.append(passages.heading(int(token.tag[1:]), title, at))
            case "paragraph_open":
                pieces += _paragraph(tokens[number + 1].content, at)
            case "html_block":
                pieces += _html(source, at)
            case "bullet_list_open" | "ordered_list_open":
                within = [] if _under_question(pieces) else _list(tokens, number, rows, at - first)
                pieces += within or [Text(source, at)]
            case _:
                pieces.append(Text(source, at))
    return [piece for piece in pieces if not isinstance(piece, Text) or piece.text.strip()]


def _under_question(pieces: Sequence[Piece]) -> bool:
    """Whether what comes next stands under a heading that asks: then it is part of the answer."""
    above = (
        p for p in reversed(pieces) if isinstance(p, End) or (isinstance(p, Heading) and p.level != BOLD)
    )
    last = next(above, None)
    return isinstance(last, Heading) and last.asks


def _paragraph(content: str, line: int) -> Iterator[Piece]:
    """A paragraph; one that begins with a bold question, or with `Q:`, is a heading and what follows it."""
    asked = _Q_LINE.match(content)
    bold = _STRONG.match(content)
    if bold is not None and (asked is None or asked.end() < bold.end()):
        title, rest = _plain_text(bold[2]), content[bold.end() :].strip()
        read = passages.heading(BOLD, title, line, rest=rest, written=content)
        if title and (not rest or read.asks):
            yield read
            return
    if asked is None:
        yield Text(content, line)
        return
    question, *answer = _A_LINE.split(content, maxsplit=1)
    title, rest = f"Q: {_plain_text(question[asked.end() :])}", answer[0] if answer else ""
    yield passages.heading(BOLD, title, line, rest=rest, written=content)


def _html(source: str, line: int) -> Iterator[Piece]:
    """A block of HTML: details open and close in it, and all else becomes Markdown."""
    if _PAGE.search(source):
        yield from page_pieces(source, line)
        return
    at = 0
    last = source.lower().rfind("</")  # what opens behind it never closes, and would be looked for in vain
    for found in _DETAILS.finditer(source, 0, source.find(">", last) + 1 if last >= 0 else 0):
        yield Text(as_markdown(source[at : found.start()]), line + source.count("\n", 0, at))
        here = line + source.count("\n", 0, found.start())
        if found["close"]:
            yield End(SUMMARY)
        else:
            yield passages.heading(SUMMARY, _plain_text(as_markdown(found["summary"])), here)
        at = found.end()
    yield Text(as_markdown(source[at:]), line + source.count("\n", 0, at))


def _list(tokens: Sequence[Token], number: int, rows: list[str], offset: int) -> list[Piece]:
    """The pieces of a list whose items are questions with their answers; none of any other list."""
    level = tokens[number].level
    items: list[list[Piece]] = []
    for token in tokens[number + 1 :]:
        if token.level <= level:
            break
        if token.type != "list_item_open" or token.level != level + 1 or token.map is None:
            continue
        first, end = token.map
        begin = _BULLET.match(rows[first])
        if begin is None:
            return []
        text = "\n".join([" " * begin.end() + rows[first][begin.end() :], *rows[first + 1 : end]])
        items.append(markdown_pieces(textwrap.dedent(text), first + offset))
    asking = sum(_asks(item) for item in items)
    if not asking or 2 * asking < len(items):
        return []
    return [piece for item in items for piece in (_titled(item) if len(item) > 1 else item)]


def _asks(item: Sequence[Piece]) -> bool:
    """Whether a list item is a question and more than that."""
    first, *more = _titled(item)
    return isinstance(first, Heading) and first.asks and bool(more or first.rest)


def _titled(item: Sequence[Piece]) -> Sequence[Piece]:
    """A list item whose first paragraph is its heading."""
    first = item[0] if item else Text("", 0)
    if not isinstance(first, Text):
        return item
    return [passages.heading(BOLD, _plain_text(first.text), first.line, written=first.text), *item[1:]]


def _plain(inline: Token) -> str:
    """The words of a line without its marks, links and images."""
    said = []
    for token in inline.children or ():
        match token.type:
            case "text" | "code_inline" | "text_special":
                said.append(token.content)
            case "softbreak" | "hardbreak":
                said.append(" ")
    return "".join(said).strip()


def _plain_text(text: str) -> str:
    (inline,) = _reader.parseInline(text.strip()) or (Token("inline", "", 0),)
    return _plain(inline)
