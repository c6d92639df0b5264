"""The body: fences, code blocks, headings, provenance, and the hash that knows a section again."""

import pytest

from dlm_core.document import Document, Section, SectionKind, Span, parse_text
from dlm_core.document.body import content_hash

FRONT = (
    "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n"
    "training: {adapters: {tone: {}, facts: {}}}\n---\n"
)
FIRST_LINE = 6


def document(body: str) -> Document:
    parsed = parse_text(FRONT + body)
    assert parsed.document is not None, parsed.errors
    return parsed.document


def only(body: str) -> Section:
    (section,) = document(body).sections
    return section


def codes(body: str) -> list[str]:
    return [d.code for d in parse_text(FRONT + body).diagnostics if d.code != "adapter-without-sections"]


def test_text_before_the_first_fence_is_untagged_prose() -> None:
    section = only("\n\nHello.\n\nMore.\n\n")
    assert (section.kind, section.adapter, section.text) == (SectionKind.PROSE, None, "Hello.\n\nMore.")
    assert section.fence is None
    assert section.span == Span(FIRST_LINE + 2, 1, FIRST_LINE + 4, 6)


def test_a_section_runs_to_the_next_fence_or_the_end() -> None:
    sections = document("::prose#tone::\none\n\n::prose::\ntwo\n::prose#facts::  \nthree").sections
    assert [(s.adapter, s.text) for s in sections] == [("tone", "one"), (None, "two"), ("facts", "three")]
    assert sections[0].fence == Span(FIRST_LINE, 1, FIRST_LINE, 15)


def test_questions_repeat_in_pairs_and_keep_blank_lines_and_code() -> None:
    asked, answered = "why?\n\nreally?", "```\n### Q\n::prose::\n```\n\nso"
    section = only(f"::instruction#tone::\n\n### Q\n{asked}\n### A\n{answered}\n\n### Q\nb\n### A\nc\n")
    first, second = section.questions
    assert (first.question, first.answer) == (asked, answered)
    assert first.span == Span(FIRST_LINE + 2, 1, FIRST_LINE + 12, 3)
    assert (second.question, second.answer) == ("b", "c")


def test_preferences_repeat_in_triples_in_either_order() -> None:
    usual = "### Prompt\np\n### Chosen\nyes\n### Rejected\nno\n"
    turned = "### Prompt\nq\n### Rejected\nn\n### Chosen\ny\n"
    section = only(f"::preference::\n{usual}{turned}")
    assert [(p.prompt, p.chosen, p.rejected) for p in section.preferences] == [
        ("p", "yes", "no"),
        ("q", "y", "n"),
    ]


def test_fences_in_a_code_block_are_text() -> None:
    text = "```\n::prose::\n::Nonsense::\n```"
    assert only(f"{text}\n").text == text


def test_a_longer_block_may_hold_a_shorter_one() -> None:
    text = "````md\n```\n::prose::\n```\n::prose::\n````"
    assert only(f"{text}\n").text == text


def test_inline_backticks_open_no_block() -> None:
    sections = document("```one line```\n::prose::\ntwo\n").sections
    assert [s.text for s in sections] == ["```one line```", "two"]


def test_an_unclosed_block_is_placed_at_its_opening_and_counts_what_it_swallows() -> None:
    parsed = parse_text(FRONT + "text\n```\n::prose::\n::instruction#tone::\n")
    warning = next(d for d in parsed.diagnostics if d.code == "code-block-unterminated")
    assert warning.span.line == FIRST_LINE + 1
    assert "2 later fences are text" in warning.message
    assert parsed.document is not None


def test_a_provenance_comment_is_no_text() -> None:
    section = only("::instruction#tone::\n<!-- dlm-auto-synth\n model: x -->\n### Q\na\n### A\nb\n")
    assert section.provenance == "<!-- dlm-auto-synth\n model: x -->"
    assert section.text == "### Q\na\n### A\nb"


def test_other_comments_are_text() -> None:
    assert only("::prose::\n<!-- note -->\ntext\n").text == "<!-- note -->\ntext"


@pytest.mark.parametrize(
    ("line", "code", "hint"),
    [
        ("::Prose::", "fence-case", "`::prose::`"),
        ("::INSTRUCTION#tone::", "fence-case", "`::instruction#tone::`"),
        ("::prefrence#tone::", "fence-unknown", "`::preference#tone::`"),
        ("::weather::", "fence-unknown", "triple-backtick"),
        ("::prose", "fence-malformed", "`::prose::`"),
        ("::prose tone::", "fence-malformed", "`::prose#name::`"),
        ("::prose::tone::", "fence-malformed", "`::prose#name::`"),
        ("::image::", "fence-unsupported", "words"),
        ('::audio path="a.wav" transcript="hi"::', "fence-unsupported", "words"),
        ("::prose#::", "tag-form", "adapter"),
        ("::prose#tome::", "tag-undeclared", "`tone`"),
    ],
)
def test_what_is_almost_a_fence_says_what_was_meant(line: str, code: str, hint: str) -> None:
    parsed = parse_text(f"{FRONT}{line}\ntext\n")
    assert parsed.errors[0].code == code
    assert hint in parsed.errors[0].hint
    assert parsed.errors[0].span.line == FIRST_LINE


@pytest.mark.parametrize(
    "line", ["a::prose::", "::", "::::", ":: prose ::", ":prose:", "std::vector", "::1 [::]:22"]
)
def test_ordinary_colons_are_text(line: str) -> None:
    assert only(f"before\n{line}\nafter\n").text == f"before\n{line}\nafter"


@pytest.mark.parametrize(
    "line", ["### Answer to everything", "### A better way", "#### Details", "## A", "# Q and A"]
)
def test_ordinary_headings_in_an_answer_are_text(line: str) -> None:
    body = f"::instruction#tone::\n### Q\nwhy\n### A\nso\n{line}\nmore\n"
    if line == "## A":
        assert codes(body) == ["heading-slip"]
    else:
        assert codes(body) == []
    assert only(body).questions[0].answer == f"so\n{line}\nmore"


def test_crlf_gives_the_same_sections_as_lf() -> None:
    body = "::instruction#tone::\n### Q\nwhy\n\n### A\n```\nso\n```\n"
    unix, dos = parse_text(FRONT + body), parse_text((FRONT + body).replace("\n", "\r\n"))
    assert unix.document == dos.document
    assert dos.document is not None and "\r" not in dos.document.text


def test_a_byte_order_mark_changes_nothing() -> None:
    plain, marked = parse_text(f"{FRONT}text\n"), parse_text(b"\xef\xbb\xbf" + f"{FRONT}text\n".encode())
    assert plain.document is not None
    assert plain.document == marked.document


def test_tabs_count_as_one_column() -> None:
    parsed = parse_text(f"{FRONT}\t::prose::\n")
    indented = next(d for d in parsed.diagnostics if d.code == "fence-indented")
    assert indented.span == Span(FIRST_LINE, 1, FIRST_LINE, 11)


def test_the_hash_covers_kind_tag_and_content_and_nothing_else() -> None:
    once = document("::prose#tone::\ntext\n").sections[0]
    moved = document("intro\n\n::prose#tone::\n\ntext\n\n\n::prose::\nmore\n").sections[1]
    assert once.content_hash == moved.content_hash == content_hash(SectionKind.PROSE, "tone", "text")
    others = [
        content_hash(SectionKind.PROSE, None, "text"),
        content_hash(SectionKind.PROSE, "facts", "text"),
        content_hash(SectionKind.INSTRUCTION, "tone", "text"),
        content_hash(SectionKind.PROSE, "tone", "text."),
    ]
    assert len({once.content_hash, *others}) == 5


def test_the_same_question_under_two_adapters_is_no_contradiction() -> None:
    ask = "### Q\nwhy\n### A\n"
    assert codes(f"::instruction#tone::\n{ask}so\n::instruction#facts::\n{ask}because\n") == []
    assert codes(f"::instruction#tone::\n{ask}so\n::instruction#tone::\n{ask}because\n") == [
        "question-repeated"
    ]
