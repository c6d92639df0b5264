"""HTML, read by Beautiful Soup: what it holds as questions and answers, its text written as Markdown."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from bs4 import BeautifulSoup
from bs4.element import Comment, NavigableString, Tag
from lxml import etree
from markdownify import MarkdownConverter

from dlm_core.data import passages
from dlm_core.data.passages import BOLD, SUMMARY, TERM, End, Piece, Text
from dlm_core.errors import NOT_JSON

_LEFT_OUT = (
    "script",
    "style",
    "nav",
    "footer",
    "aside",
    "form",
    "noscript",
    "template",
    "svg",
    "iframe",
    "button",
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_BLANKS = re.compile(r"\n{3,}")
_DEEPEST = 200
_FED = 1 << 16
_PARSER = "lxml"
"""It closes what a page leaves open, paragraphs, items and terms, as browsers do."""


def page_pieces(html: str, line: int = 1) -> list[Piece]:
    """The pieces of a page, or of a part of one that begins at `line`.

    Menus, footers, forms and scripts are left out; a page that lists its questions for search engines
    (schema.org's FAQPage) is taken at its word.
    """
    soup = BeautifulSoup(html, _PARSER)
    _number(soup, html)
    listed = list(_listed(soup))
    if listed:
        return listed
    for tag in soup.find_all("button"):
        if _asks(tag):
            tag.name = "h6"  # as accordions have their questions
    for tag in soup(_LEFT_OUT):
        tag.decompose()
    for tag in soup("dd"):
        tag.name = "div"  # a description without its term is a paragraph like any other
    for comment in soup.find_all(string=lambda string: isinstance(string, Comment)):
        comment.extract()
    root = soup.find("main") or soup.body or soup
    walker = _Walker(root, line - 1)
    walker.walk(root, 0)
    walker.close()
    return [piece for piece in walker.pieces if not isinstance(piece, Text) or piece.text.strip()]


def as_markdown(html: str) -> str:
    """A stretch of HTML as Markdown."""
    if "<" not in html:
        return html.strip()
    return _converted(BeautifulSoup(html, _PARSER))


class _Walker:
    """Goes through a page in its order; what is no heading is gathered until the next one."""

    def __init__(self, root: Tag, offset: int) -> None:
        self.pieces: list[Piece] = []
        self._hold_headings = _holding_headings(root)
        self._offset = offset
        self._gathered: list[Any] = []
        self._line = 1

    def walk(self, node: Tag, depth: int) -> None:
        for child in list(node.children):
            if isinstance(child, NavigableString):
                self._gathered.append(child)
                continue
            if not isinstance(child, Tag):
                continue
            level = _level(child)
            if level is not None:
                self.close()
                self._line = (child.sourceline or 1) + self._offset
                words = " ".join(child.get_text(" ").split())
                if words:
                    self.pieces.append(passages.heading(level, words, self._line))
            elif depth < _DEEPEST and id(child) in self._hold_headings:
                self._block(child, depth)
            else:
                self._gathered.append(child)

    def _block(self, child: Tag, depth: int) -> None:
        self.walk(child, depth + 1)
        if child.name in ("details", "dl"):
            self.close()
            self.pieces.append(End(SUMMARY if child.name == "details" else TERM))

    def close(self) -> None:
        """What was gathered is a piece of text."""
        gathered, self._gathered = self._gathered, []
        if any(node.get_text(strip=True) for node in gathered):
            self.pieces.append(Text(_converted(_together(gathered)), self._line))


def _number(soup: BeautifulSoup, html: str) -> None:
    """Give each element the line it begins in. Beautiful Soup does not take that over from lxml, so lxml is
    asked itself: element by element, as long as both see the same. Text without an element has no lines.
    """
    parser = etree.HTMLParser()
    try:
        for start in range(0, len(html), _FED):
            parser.feed(html[start : start + _FED])
        root = parser.close()
    except etree.LxmlError:
        return
    elements = (e for e in root.iter() if isinstance(e.tag, str)) if root is not None else ()
    for tag, element in zip(soup.find_all(True), elements, strict=False):
        if tag.name != element.tag:
            return
        tag.sourceline = element.sourceline


def _together(nodes: list[Any]) -> BeautifulSoup:
    soup = BeautifulSoup("", "html.parser")
    for node in nodes:
        soup.append(node.extract())
    return soup


def _level(tag: Tag) -> int | None:
    if tag.name in _HEADINGS:
        return int(tag.name[1])
    if tag.name == "summary":
        return SUMMARY
    if tag.name == "dt":
        return TERM
    return BOLD if _is_bold_line(tag) else None


def _is_bold_line(tag: Tag) -> bool:
    """Whether a paragraph is nothing but bold text."""
    if tag.name not in ("p", "div"):
        return False
    inner = [c for c in tag.children if not isinstance(c, NavigableString) or c.strip()]
    return len(inner) == 1 and isinstance(inner[0], Tag) and inner[0].name in ("strong", "b")


def _asks(tag: Tag) -> bool:
    return tag.get_text().strip().rstrip("+-–▼▾ \n").endswith(("?", "？", "؟"))


def _holding_headings(root: Tag) -> set[int]:
    """The elements, by `id`, that have a heading somewhere in them."""
    found: set[int] = set()
    for tag in root.find_all(True):
        if _level(tag) is None:
            continue
        for above in tag.parents:
            if id(above) in found:
                break
            found.add(id(above))
    return found


def _listed(soup: BeautifulSoup) -> Iterator[Piece]:
    """The questions of a FAQPage in JSON-LD (https://schema.org/FAQPage)."""
    for script in soup.find_all("script", type="application/ld+json"):
        try:
            value = msgspec.json.decode(script.get_text())
        except NOT_JSON:
            continue
        for page in _pages(value):
            entities = page.get("mainEntity")
            for entity in entities if isinstance(entities, list) else [entities]:
                if not isinstance(entity, dict):
                    continue
                answer = entity.get("acceptedAnswer")
                text = answer.get("text") if isinstance(answer, dict) else None
                if isinstance(text, str) and isinstance(entity.get("name"), str):
                    yield passages.heading(SUMMARY, as_markdown(entity["name"]), script.sourceline or 1)
                    yield Text(as_markdown(text), script.sourceline or 1)


def _pages(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for inner in value:
            yield from _pages(inner)
    elif isinstance(value, dict):
        kinds = value.get("@type")
        if "FAQPage" in (kinds if isinstance(kinds, list) else [kinds]):
            yield value
        elif "@graph" in value:
            yield from _pages(value["@graph"])


def _converted(soup: BeautifulSoup) -> str:
    written = MarkdownConverter(
        heading_style="atx", bullets="-", strip=["img"], escape_misc=False, escape_underscores=False,
        escape_asterisks=False,
    ).convert_soup(soup)  # fmt: skip
    rows = [row.rstrip() for row in written.replace("\xa0", " ").split("\n")]
    return _BLANKS.sub("\n\n", "\n".join(rows)).strip()
