"""The per-line highlighter sees what the parser sees, and can begin anywhere."""

import time

import pytest

from dlm_core.document import SectionKind
from dlm_core.document.highlight import START, HighlightKind, LineState, highlight_line

BODY = LineState("body", section=SectionKind.PROSE)
FRONT = LineState("frontmatter")


def shown(line: str, state: LineState) -> list[tuple[str, str]]:
    return [(line[span.start : span.end], span.kind.value) for span in highlight_line(line, state)[1]]


def states(text: str) -> list[LineState]:
    state, found = START, []
    for line in text.split("\n"):
        state, _ = highlight_line(line, state)
        found.append(state)
    return found


@pytest.mark.parametrize(
    ("line", "spans"),
    [
        (
            "dlm_id: 01J  # mine",
            [("dlm_id", "key"), (":", "delimiter"), ("01J", "value"), ("# mine", "comment")],
        ),
        ("  adapters:", [("adapters", "key"), (":", "delimiter")]),
        ("  - path: a#b", [("-", "delimiter"), ("path", "key"), (":", "delimiter"), ("a#b", "value")]),
        ("  - '*.md' # c", [("-", "delimiter"), ("'*.md'", "value"), ("# c", "comment")]),
        ('a: "x # y" # c', [("a", "key"), (":", "delimiter"), ('"x # y"', "value"), ("# c", "comment")]),
        ("# all: of it", [("# all: of it", "comment")]),
        ("---", [("---", "delimiter")]),
        ("base: hf:org/name", [("base", "key"), (":", "delimiter"), ("hf:org/name", "value")]),
    ],
)
def test_frontmatter_lines(line: str, spans: list[tuple[str, str]]) -> None:
    assert shown(line, FRONT) == spans


def test_block_text_is_a_value_until_it_ends() -> None:
    found = states("---\nsystem_prompt: |\n  a: b\n\n  # no comment\nseed: 1\n---")
    assert [s.region for s in found] == [
        "frontmatter", "yaml-block", "yaml-block", "yaml-block", "yaml-block", "frontmatter", "body"
    ]  # fmt: skip
    assert shown("  # no comment", found[1]) == [("  # no comment", "value")]


def test_a_fence_shows_its_tag_and_opens_its_section() -> None:
    state, spans = highlight_line("::instruction#tone::", BODY)
    assert [(s.start, s.end, s.kind) for s in spans] == [
        (0, 13, HighlightKind.FENCE),
        (13, 18, HighlightKind.FENCE_TAG),
        (18, 20, HighlightKind.FENCE),
    ]
    assert {s.adapter for s in spans} == {"tone"}
    assert (state.section, state.adapter) == (SectionKind.INSTRUCTION, "tone")


def test_an_undeclared_tag_is_an_error_where_the_names_are_known() -> None:
    _, spans = highlight_line("::prose#tine::", BODY, adapters={"tone"})
    assert [s.kind for s in spans] == [HighlightKind.FENCE, HighlightKind.ERROR, HighlightKind.FENCE]


@pytest.mark.parametrize("line", ["::Prose::", "::proze::", "::prose:: x", "::image a::"])
def test_what_is_almost_a_fence_is_an_error(line: str) -> None:
    assert shown(line, BODY) == [(line, "error")]


def test_headings_count_in_their_own_sections_only() -> None:
    instruction = LineState("body", section=SectionKind.INSTRUCTION, adapter="tone")
    assert shown("### Q", instruction) == [("### Q", "heading")]
    assert highlight_line("### Q", instruction)[1][0].adapter == "tone"
    assert shown("### q", instruction) == [("### q", "error")]
    assert shown("### Prompt", instruction) == []
    assert shown("### Q", BODY) == []


def test_code_runs_to_its_closing_line_and_hides_fences() -> None:
    found = states("---\n---\n::prose#tone::\n````\n```\n::prose::\n````\ntext")
    assert [s.region for s in found[2:]] == ["fenced", "code", "code", "code", "body", "body"]
    assert found[-1].adapter == "tone"
    assert shown("::prose::", found[4]) == [("::prose::", "code")]


def test_a_provenance_comment_is_recognised_right_after_a_fence_only() -> None:
    found = states("---\n---\n::prose::\n<!-- dlm-auto-synth\nmodel -->\ntext")
    assert [s.region for s in found[2:]] == ["fenced", "provenance", "body", "body"]
    assert shown("<!-- dlm-auto-synth -->", found[-1]) == []


def test_a_text_without_frontmatter_says_so_on_its_first_line() -> None:
    state, spans = highlight_line("hello", START)
    assert [s.kind for s in spans] == [HighlightKind.ERROR]
    assert highlight_line("::prose::", state) == (state, ())


def test_an_edit_settles_as_soon_as_a_state_comes_out_as_it_was() -> None:
    before = states("---\n---\n::prose::\na\nb\nc\n")
    after = states("---\n---\n::prose::\nchanged\nb\nc\n")
    assert before[4:] == after[4:]


def test_a_very_long_line_takes_no_time() -> None:
    started = time.process_time()
    for line in ("x" * 1_000_000, "`" * 1_000_000, "a: " * 300_000, "#" * 1_000_000, ":" * 1_000_000):
        for state in (START, FRONT, BODY):
            highlight_line(line, state)
    assert time.process_time() - started < 5
