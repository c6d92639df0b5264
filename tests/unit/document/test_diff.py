"""What counts as new, changed and gone since a run."""

from dataclasses import dataclass

from dlm_core.document import Document, parse_text
from dlm_core.document.diff import Changes, compare, title

FRONT = (
    "---\ndlm_id: 01J0000000000000000000000A\nbase_model: a\n"
    "training: {adapters: {tone: {}, facts: {}}}\n---\n"
)


@dataclass(frozen=True)
class Record:
    content_hash: str
    kind: str
    adapter: str | None
    title: str


def document(*sections: str) -> Document:
    parsed = parse_text(FRONT + "\n".join(sections))
    assert parsed.document is not None, parsed.errors
    return parsed.document


def remembered(*sections: str) -> list[Record]:
    return [Record(s.content_hash, s.kind.value, s.adapter, title(s)) for s in document(*sections).sections]


def ask(question: str, answer: str, adapter: str = "tone") -> str:
    return f"::instruction#{adapter}::\n### Q\n{question}\n### A\n{answer}\n"


def prose(text: str) -> str:
    return f"::prose#facts::\n{text}\n"


def parts(changes: Changes[Record]) -> tuple[list[str], list[tuple[str, str]], list[str], list[str]]:
    return (
        [title(s) for s in changes.unchanged],
        [(old.title, title(new)) for old, new in changes.changed],
        [title(s) for s in changes.new],
        [old.title for old in changes.gone],
    )


def test_nothing_changed_wherever_sections_moved() -> None:
    changes = compare(remembered(ask("a", "1"), prose("b")), document(prose("b"), ask("a", "1")))
    assert not changes
    assert parts(changes) == (["b", "a"], [], [], [])


def test_everything_is_new_to_the_first_run() -> None:
    assert parts(compare([], document(prose("a"), prose("b")))) == ([], [], ["a", "b"], [])


def test_another_answer_to_a_question_is_a_change() -> None:
    changes = compare(remembered(ask("a", "1"), ask("b", "2")), document(ask("b", "3"), ask("a", "1")))
    assert parts(changes) == (["a"], [("b", "b")], [], [])


def test_another_first_line_in_the_same_place_is_a_change() -> None:
    changes = compare(remembered(prose("a"), prose("b")), document(prose("a"), prose("b2")))
    assert parts(changes) == (["a"], [("b", "b2")], [], [])


def test_a_section_put_in_between_is_new_and_one_taken_out_is_gone() -> None:
    old = remembered(prose("a"), prose("b"), ask("c", "1"))
    assert parts(compare(old, document(prose("a"), prose("x"), prose("b"), ask("c", "1")))) == (
        ["a", "b", "c"], [], ["x"], []
    )  # fmt: skip
    assert parts(compare(old, document(prose("a"), ask("c", "1")))) == (["a", "c"], [], [], ["b"])


def test_another_tag_makes_it_another_section() -> None:
    changes = compare(remembered(ask("a", "1", "tone")), document(ask("a", "1", "facts")))
    assert parts(changes) == ([], [], ["a"], ["a"])


def test_of_two_equal_sections_one_may_go() -> None:
    changes = compare(remembered(prose("a"), prose("a")), document(prose("a")))
    assert parts(changes) == (["a"], [], [], ["a"])
