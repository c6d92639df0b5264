"""Hostile frontmatter is refused quickly, in words, and builds nothing."""

import time
from itertools import pairwise

import pytest

from dlm_core.document import parse_text

LEVELS = "abcdefghi"


def bomb() -> str:
    first = f"{LEVELS[0]}: &{LEVELS[0]} [x,x,x,x,x,x,x,x,x]\n"
    more = (f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in pairwise(LEVELS))
    return first + "".join(more)


@pytest.mark.parametrize(
    ("yaml", "code"),
    [
        (bomb(), "yaml-too-big"),
        ("a: " + "[" * 100_000 + "\n", "yaml-too-deep"),
        ("a: " + "{a: " * 50_000 + "\n", "yaml-too-deep"),
        ("- " * 100_000 + "\n", "yaml-too-deep"),
        ("a: &a [*a]\n", "yaml-syntax"),
        ("a: *b\n", "yaml-syntax"),
        ("? [a, b]\n: c\n", "yaml-syntax"),
        ("a: 1\n--- b\n", "yaml-syntax"),
        ("just text\n", "yaml-syntax"),
        ("- a\n- b\n", "yaml-syntax"),
        ("a: 'x\n", "yaml-syntax"),
        ("%YAML 9.9\na: 1\n", "yaml-syntax"),
        ("a: !!python/object/apply:os.system ['true']\n", "yaml-tag"),
        ("x" * 262_145 + "\n", "frontmatter-too-large"),
        ("".join(f"k{i}: 1\n" for i in range(6_000)), "yaml-too-big"),
    ],
)
def test_hostile_yaml_is_a_quick_diagnostic(yaml: str, code: str) -> None:
    started = time.perf_counter()
    parsed = parse_text(f"---\n{yaml}---\ntext\n")
    assert parsed.document is None
    assert code in [d.code for d in parsed.errors]
    assert time.perf_counter() - started < 2


def test_a_value_that_begins_with_a_star_gets_told_about_quotes() -> None:
    errors = parse_text("---\ntraining:\n  sources:\n    - path: notes\n      include: [*.md]\n---\n").errors
    assert "needs quotes" in errors[0].hint


def test_a_tab_for_indentation_gets_told_about_spaces() -> None:
    assert "spaces" in parse_text("---\ntraining:\n\tseed: 1\n---\n").errors[0].hint
