"""Whatever the input: no exception, places inside the text, and rendering gives the same document."""

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dlm_core.document import Document, Parsed, parse_text
from dlm_core.document.highlight import START, highlight_line
from dlm_core.document.migrate import migrate
from dlm_core.document.render import render
from dlm_core.document.report import as_dict, as_text
from dlm_core.errors import DocumentError

FRONT = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n"
TWO = f"{FRONT}training:\n  adapters: {{tone: {{}}, facts: {{lora_r: 4}}}}\n  gate: {{enabled: true}}\n---\n"

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
pieces = st.sampled_from([
    "---", "::prose::", "::instruction#tone::", "::preference#facts::", "::Prose::", "::prose#",
    "::image x::", "### Q !before", "### A !before",
    "### Q", "### A", "### Prompt", "### Chosen", "### Rejected", "### q", "```",
    "````", "~~~", "\t", "  ", "\r", "<!-- dlm-auto-synth", "-->",
    "dlm_id: 01J0000000000000000000000A", "base_model: x", "training:", "  adapters:",
    "    tone: {}", "  gate: {enabled: true}", "- *a", "&a b", "!!set", "? x", "|", "[", "{", "'",
    "\"", "# c", "\ufeff", "\u2028", "漢字", "\U0001f469\u200d\U0001f680", "\u001b[31m", "\u0000",
    "a: 1", "a: 1", ": :",
])  # fmt: skip
lines = st.lists(st.one_of(pieces, words), max_size=30)
bodies = lines.map("\n".join)


def check(parsed: Parsed, text: str) -> None:
    rows = [row.rstrip("\r") for row in text.removeprefix("\ufeff").split("\n")]
    for diagnostic in parsed.diagnostics:
        span = diagnostic.span
        assert 1 <= span.line <= span.end_line <= len(rows)
        assert 1 <= span.column <= len(rows[span.line - 1]) + 1
        assert 1 <= span.end_column <= len(rows[span.end_line - 1]) + 1
        assert (span.line, span.column) <= (span.end_line, span.end_column)
        assert "\x1b" not in as_text(diagnostic) + str(as_dict(diagnostic))
    assert (parsed.document is None) == any(d.severity == "error" for d in parsed.diagnostics)
    assert list(parsed.diagnostics) == sorted(parsed.diagnostics, key=lambda d: d.span)
    for section in parsed.document.sections if parsed.document else ():
        assert section.text.strip()
        assert rows[section.span.end_line - 1].endswith(section.text.split("\n")[-1])


@given(st.binary(max_size=400))
def test_any_bytes_give_a_document_or_diagnostics(raw: bytes) -> None:
    parsed = parse_text(raw)
    if all(d.code != "not-utf8" for d in parsed.diagnostics):
        check(parsed, raw.decode())


@given(st.text(st.characters(), max_size=200))
def test_any_text_gives_a_document_or_diagnostics(text: str) -> None:
    parse_text(text)


@given(lines, lines)
@settings(max_examples=300)
@pytest.mark.slow
def test_any_frontmatter_and_body_give_a_document_or_diagnostics(front: list[str], body: list[str]) -> None:
    text = "\n".join(["---", *front, "---", *body])
    check(parse_text(text), text)


@given(bodies)
@example("0\r")
@example("0\r\r\n")
@settings(max_examples=300)
def test_any_body_gives_a_document_or_diagnostics(body: str) -> None:
    check(parse_text(TWO + body), TWO + body)


@given(bodies)
@pytest.mark.slow
def test_line_ends_do_not_change_what_is_read(body: str) -> None:
    unix = (TWO + body).replace("\r", "")
    assert parse_text(unix) == parse_text(unix.replace("\n", "\r\n"))


def same(one: Document, other: Document) -> bool:
    def contents(document: Document) -> list[object]:
        return [
            (s.content_hash, s.provenance, len(s.questions), len(s.preferences)) for s in document.sections
        ]

    return one.frontmatter == other.frontmatter and contents(one) == contents(other)


def check_rendering(document: Document) -> None:
    rendered = render(document)
    again = parse_text(rendered)
    assert again.document is not None, again.errors
    assert same(again.document, document)
    assert render(again.document) == rendered


question = st.tuples(words, words).map(lambda qa: f"### Q\nq{qa[0]}\n### A\na{qa[1]}")
good_sections = st.one_of(
    words.map(lambda text: f"::prose#tone::\np{text}"),
    words.map(lambda text: f"::prose::\n```\n::prose::\n{text}\n```"),
    st.lists(question, min_size=1, max_size=3).map(
        lambda asked: "::instruction#facts::\n" + "\n\n".join(asked)
    ),
    words.map(lambda text: f"::prose::\n<!-- dlm-auto-mined -->\n\nx{text}"),
)


@given(st.lists(good_sections, max_size=6))
@pytest.mark.slow
def test_rendering_a_document_gives_the_same_document(sections: list[str]) -> None:
    text = TWO + "\n".join(["intro", *sections])
    document = parse_text(text).document
    if document is not None:
        check_rendering(document)


@given(bodies)
def test_whatever_can_be_read_can_be_rendered(body: str) -> None:
    document = parse_text(TWO + body).document
    if document is not None:
        check_rendering(document)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_any_system_prompt_survives_rendering(prompt: str) -> None:
    document = parse_text(f"{TWO}text\n").document
    assert document is not None
    frontmatter = type(document.frontmatter)(dlm_id=document.dlm_id, base_model="a", system_prompt=prompt)
    check_rendering(Document(Path("x"), frontmatter, (), ""))


@given(bodies)
@settings(max_examples=200)
@pytest.mark.slow
def test_the_highlighter_takes_any_text_and_its_spans_are_in_order(text: str) -> None:
    state = START
    for line in (TWO + text).split("\n"):
        state, spans = highlight_line(line, state)
        ends = [(span.start, span.end) for span in spans]
        assert all(0 <= start < end <= len(line) for start, end in ends)
        assert all(before[1] <= after[0] for before, after in pairwise(ends))


@given(st.binary(max_size=200))
def test_migrating_anything_gives_bytes_or_a_document_error(raw: bytes) -> None:
    try:
        migrate(b"---\n" + raw + b"\n---\n")
    except DocumentError as error:
        assert error.message


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "`",
        "#",
        ":",
        "::x::\n",
        "### Q\n",
        "### Q\na\n### A\nb\n",
        "```\n",
        " ",
        "<!-- dlm-auto-",
        "é",
        "\t::prose::\n",
    ],
)
@pytest.mark.slow
def test_time_grows_no_faster_than_the_text(line: str) -> None:
    def seconds(size: int) -> float:
        text = FRONT + "---\n::instruction::\n" + line * (size // len(line))
        started = time.process_time()
        parse_text(text)
        return time.process_time() - started

    small = min(seconds(40_000) for _ in range(3))
    large = min(seconds(400_000) for _ in range(2))
    assert large < 40 * small + 0.2
