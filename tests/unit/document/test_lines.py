"""Lines end at LF and CRLF alone, for the parser, its diagnostics, sources, migration and the highlighter."""

from pathlib import Path

import pytest

from dlm_core.document import parse_file, parse_text
from dlm_core.document.highlight import START, HighlightKind, highlight_line
from dlm_core.document.lines import Lines, normalised
from dlm_core.document.migrate import migrate
from dlm_core.document.yaml_tree import _LINE_ENDS as YAML_ALONE

HEAD = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n"
NO_LINE_ENDS = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r"]
"""What `str.splitlines` ends a line at beside LF and CRLF."""


@pytest.mark.parametrize("character", NO_LINE_ENDS)
def test_other_characters_are_text_of_a_line_and_count_no_line(character: str) -> None:
    parsed = parse_text(f"{HEAD}---\n::prose::\na{character}b\n{character}c\n\n::instrucion::\n")
    assert [(d.code, d.span.line, d.span.column) for d in parsed.diagnostics] == [("fence-unknown", 9, 1)]
    kept = parse_text(f"{HEAD}---\n::prose::\na{character}b\r\n{character}c\n").document
    assert kept is not None and kept.sections[0].text == f"a{character}b\n{character}c"


@pytest.mark.parametrize("character", NO_LINE_ENDS)
def test_a_fence_after_another_character_is_no_fence(character: str) -> None:
    document = parse_text(f"{HEAD}---\n::prose::\na{character}::prose::\nb\n").document
    assert document is not None and len(document.sections) == 1


@pytest.mark.parametrize("character", sorted(YAML_ALONE))
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("system_prompt: a bakery.", "Answer in one sentence."),
        ("# Ida tried this once:", "system_prompt: Answer in French."),
        ('system_prompt: "a bakery', 'in the north"'),
        ("system_prompt: |\n  a bakery", "in the north"),
        ("training:\n  adapters: {tone: {},", " facts: {}}"),
        ("system_prompt: a # a comment", " "),
    ],
)
def test_what_only_yaml_would_end_a_line_at_is_named_at_its_own_place(
    character: str, before: str, after: str
) -> None:
    text = f"{HEAD}{before}{character}{after}\n---\ntext\n"
    parsed = parse_text(text)
    place = text.index(character)
    line = text[:place].count("\n") + 1
    column = place - (text.rfind("\n", 0, place) + 1) + 1
    assert [(d.code, d.span.line, d.span.column) for d in parsed.diagnostics] == [
        ("yaml-line-end", line, column)
    ]
    assert parsed.document is None


def test_every_one_of_them_is_named_at_once() -> None:
    parsed = parse_text(f"{HEAD}system_prompt: a\u2028b\u2029c\n# d\x85\n---\ntext\n")
    assert [(d.span.line, d.span.column) for d in parsed.diagnostics] == [(4, 17), (4, 19), (5, 4)]


def test_written_as_an_escape_they_are_part_of_the_value() -> None:
    for character, (_, escape) in YAML_ALONE.items():
        document = parse_text(f'{HEAD}system_prompt: "a{escape}b"\n---\ntext\n').document
        assert document is not None and document.frontmatter.system_prompt == f"a{character}b"


def test_a_file_with_lines_that_end_in_cr_alone_is_told_so() -> None:
    parsed = parse_text((HEAD + "---\ntext\n").replace("\n", "\r"))
    assert parsed.diagnostics[0].code == "frontmatter-missing" and "CR alone" in parsed.diagnostics[0].hint


def test_sources_keep_such_characters_too(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes("page 1\x0c\r\npage\r2\u2028\n".encode())
    (tmp_path / "doc.dlm").write_text(
        HEAD + "training:\n  sources: [{path: notes.txt}]\n---\ntext\n", encoding="utf-8"
    )
    document = parse_file(tmp_path / "doc.dlm").document
    assert document is not None and document.sections[-1].text == "page 1\x0c\npage\r2\u2028"


def test_migration_counts_the_same_lines() -> None:
    body = "---\n\x0ctext\u2028\rmore\r\n"
    old = f"{HEAD}dlm_version: 1\ntraining:\n  dpo: {{beta: 0.2}}\n{body}".encode()
    assert migrate(old).content.decode().endswith(body)


def test_the_highlighter_goes_by_the_same_lines() -> None:
    rows = Lines(normalised(f"{HEAD}---\n::prose::\na\x0c::prose::\n::prose::\r\n")).rows
    state, kinds = START, []
    for row in rows:
        state, spans = highlight_line(row, state)
        kinds.append(spans[0].kind if spans else None)
    assert kinds[4:] == [HighlightKind.FENCE, None, HighlightKind.FENCE, None]
