"""Every diagnostic code is raised by a document that deserves it, exactly where ⟦ and ⟧ stand."""

from pathlib import Path

import pytest

from dlm_core.document import Diagnostic, Span, parse_file, parse_text
from dlm_core.document.codes import Code
from dlm_core.document.parse import MAX_DOCUMENT_BYTES
from dlm_core.document.report import MAX_DIAGNOSTICS

ID = "dlm_id: 01J0000000000000000000000A\n"
BASE = "base_model: smollm2-135m\n"
HEAD = f"---\n{ID}{BASE}"
TWO = f"{HEAD}training:\n  adapters:\n    tone: {{}}\n    facts: {{}}\n---\nShared.\n"
FLAT = f"{HEAD}---\n"
ASK = "### Q\nwhy\n### A\nso\n"

MARKED: dict[Code, str] = {
    Code.FRONTMATTER_MISSING: "⟦dlm_id: 1⟧\n---\n",
    Code.FRONTMATTER_UNCLOSED: f"⟦---⟧\n{ID}",
    Code.YAML_SYNTAX: f"{HEAD}system_prompt: a⟦:⟧ b\n---\n",
    Code.YAML_CONTROL: f"{HEAD}system_prompt: a⟦\x07⟧b\n---\n",
    Code.YAML_LINE_END: f"{HEAD}system_prompt: a⟦\u2028⟧b\n---\n",
    Code.YAML_TOO_DEEP: f"{HEAD}system_prompt: {'[' * 31}⟦[⟧{'[' * 50}\n---\n",
    Code.YAML_TAG: f"{HEAD}system_prompt: ⟦!!python/object:os.system x⟧\n---\n",
    Code.DUPLICATE_KEY: f"{HEAD}⟦base_model⟧: qwen3-0.6b\n---\n",
    Code.UNKNOWN_KEY: f"{HEAD}training:\n  ⟦lerning_rate⟧: 1e-3\n---\n",
    Code.MISSING_KEY: f"⟦---⟧\n{ID}---\n",
    Code.KEY_MOVED: f"{HEAD}dlm_version: 3\ntraining:\n  ⟦dpo⟧: {{}}\n---\n",
    Code.KEY_OLD: f"{HEAD}dlm_version: 1\ntraining:\n  ⟦dpo⟧: {{beta: 0.2}}\n---\n",
    Code.NO_EFFECT: f"{HEAD}training:\n  ⟦audio⟧: {{auto_resample: true}}\n---\n",
    Code.WRONG_TYPE: f'{HEAD}training:\n  seed: ⟦"7"⟧\n---\n',
    Code.WRONG_VALUE: f"{HEAD}training:\n  lora_r: ⟦0⟧\n---\n",
    Code.VERSION_NEWER: f"{HEAD}dlm_version: ⟦16⟧\n---\n",
    Code.VERSION_UNKNOWN: f"{HEAD}dlm_version: ⟦0⟧\n---\n",
    Code.DLM_ID_FORM: f"---\ndlm_id: ⟦01J000000000000000000000IL⟧\n{BASE}---\n",
    Code.BASE_FORM: f"---\n{ID}base_model: ⟦HuggingFaceTB/SmolLM2-135M⟧\n---\n",
    Code.ADAPTER_NAME: f"{HEAD}training:\n  adapters:\n    ⟦Tone⟧: {{}}\n---\n",
    Code.FLAT_WITH_ADAPTERS: f"{HEAD}training:\n  ⟦lora_r⟧: 4\n  adapters: {{tone: {{}}}}\n---\n",
    Code.GATE_NEEDS_TWO: f"{HEAD}training:\n  adapters: {{tone: {{}}}}\n  gate: {{enabled: ⟦true⟧}}\n---\n",
    Code.FENCE_CASE: f"{FLAT}⟦::Prose::⟧\ntext\n",
    Code.FENCE_UNKNOWN: f"{FLAT}⟦::instuction::⟧\n{ASK}",
    Code.FENCE_MALFORMED: f"{FLAT}⟦::instruction:: now⟧\n{ASK}",
    Code.FENCE_INDENTED: f"{FLAT}⟦  ::prose::⟧\ntext\n",
    Code.FENCE_UNSUPPORTED: f'{FLAT}⟦::image path="cat.png" alt="a cat"::⟧\n',
    Code.TAG_FORM: f"{TWO}::prose#⟦Tone⟧::\ntext\n",
    Code.TAG_UNDECLARED: f"{TWO}::prose#⟦tine⟧::\ntext\n",
    Code.TAG_WITHOUT_ADAPTERS: f"{FLAT}::prose#⟦tone⟧::\ntext\n",
    Code.SECTION_TOO_SHORT: f"{FLAT}⟦::prose::⟧\nNotes\n",
    Code.SECTION_TOO_LONG: f"{HEAD}training: {{sequence_len: 16}}\n---\n::instruction::\n⟦### Q\nwhy\n### A\n"
    + "so " * 16
    + "⟧\n",
    Code.SECTION_EMPTY: f"{FLAT}text\n⟦::prose::⟧\n\n",
    Code.NO_SECTIONS: f"⟦⟧{FLAT}\n",
    Code.CODE_UNTERMINATED: f"{FLAT}text\n⟦```bash⟧\nls\n::prose::\n",
    Code.PROVENANCE_UNCLOSED: f"{FLAT}::prose::\n⟦<!-- dlm-auto-synth x⟧\ntext\n",
    Code.HEADINGS_MISSING: f"{FLAT}⟦::instruction::⟧\nwhy?\n",
    Code.TEXT_BEFORE_HEADING: f"{FLAT}::instruction::\n⟦intro\nmore\n⟧{ASK}",
    Code.HEADING_CASE: f"{FLAT}::instruction::\n{ASK}⟦### q⟧\nwhat\n",
    Code.HEADING_SLIP: f"{FLAT}::instruction::\n{ASK}⟦### Q: and now?⟧\n",
    Code.HEADING_IN_PROSE: f"{FLAT}text\n⟦### Q⟧\nwhy\n",
    Code.QUESTION_MISSING: f"{FLAT}::instruction::\n⟦### A⟧\nso\n",
    Code.ANSWER_MISSING: f"{FLAT}::instruction::\n{ASK}⟦### Q⟧\nwhy\n### Q\nwhat\n",
    Code.PROMPT_MISSING: f"{FLAT}::preference::\n⟦### Chosen⟧\nyes\n",
    Code.CHOSEN_MISSING: f"{FLAT}::preference::\n⟦### Prompt⟧\nask\n### Rejected\nno\n",
    Code.REJECTED_MISSING: f"{FLAT}::preference::\n⟦### Prompt⟧\nask\n### Chosen\nyes\n",
    Code.TURN_MISPLACED: f"{FLAT}::instruction::\n{ASK}⟦### Q !before⟧\nwhy\n### A !before\nso\n",
    Code.HEADING_REPEATED: f"{FLAT}::preference::\n### Prompt\nask\n### Chosen\nyes\n⟦### Chosen⟧\nor\n",
    Code.BODY_EMPTY: f"{FLAT}::instruction::\n### Q\nwhy\n⟦### A⟧\n\n",
    Code.QUESTION_REPEATED: f"{FLAT}::instruction::\n{ASK}::instruction::\n⟦### Q\nwhy\n### A\nno⟧\n",
    Code.WORDING_REPEATED: f"{FLAT}::instruction::\n### Q\nwhy\n⟦### Q⟧\nwhy\n### A\nso\n",
    Code.WORDING_ALIKE: f"{FLAT}::instruction::\n### Q\nWhy so?\n⟦### Q⟧\nwhy, so\n### A\nso\n",
    Code.PROBE_TRAINED: f"{FLAT}::instruction::\n### Q\nwhy\n⟦### Q !probe\nwhy⟧\n### A\nso\n",
    Code.PREFERENCE_IDENTICAL: (
        f"{FLAT}::preference::\n⟦### Prompt\nask\n### Chosen\nyes\n### Rejected\nyes⟧\n"
    ),
    Code.PREFERENCE_DISABLED: (
        f"{HEAD}training:\n  preference: {{enabled: false}}\n---\n"
        "⟦::preference::⟧\n### Prompt\nask\n### Chosen\nyes\n### Rejected\nno\n"
    ),
    Code.ADAPTER_WITHOUT_SECTIONS: (
        f"{HEAD}training:\n  adapters:\n    tone: {{}}\n    ⟦facts⟧: {{}}\n---\n::prose#tone::\ntext\n"
    ),
    Code.COLD_START: (
        f"{HEAD}training:\n  adapters: {{⟦tone⟧: {{}}, facts: {{}}}}\n  gate: {{enabled: true}}\n---\ntext\n"
    ),
    Code.SOURCE_MISSING: f"{HEAD}training:\n  sources:\n    - path: ⟦nowhere⟧\n---\n",
}
# These need a size, bytes or files; each is checked in the test named.
ELSEWHERE = {
    Code.UNREADABLE: "test_a_file_that_cannot_be_read_is_a_diagnostic",
    Code.TOO_LARGE: "test_a_document_past_the_size_limit_is_refused",
    Code.NOT_UTF8: "test_bytes_that_are_not_utf8_are_placed",
    Code.TOO_MANY: "test_past_the_limit_the_rest_is_only_mentioned",
    Code.TOO_MANY_NOTES: "test_past_the_limit_warnings_do_not_spoil_the_document",
    Code.FRONTMATTER_TOO_LARGE: "test_a_huge_frontmatter_is_refused",
    Code.YAML_TOO_BIG: "test_yaml_safety.py",
    Code.SOURCE_OUTSIDE: "test_sources.py",
    Code.SOURCE_UNREADABLE: "test_sources.py",
    Code.SOURCE_SKIPPED: "test_sources.py",
    Code.SOURCE_LIMIT: "test_sources.py",
    Code.SOURCE_EMPTY: "test_sources.py",
    Code.DLM_ID_SHARED: "test_copies.py",
    Code.SOURCE_TOO_SHORT: "test_sources.py",
    Code.SOURCE_READ: "test_sources.py",
}


def unmarked(marked: str) -> tuple[str, Span]:
    """The text without its marks, and the span between them."""
    start, end = marked.index("⟦"), marked.index("⟧") - 1
    text = marked.replace("⟦", "").replace("⟧", "")

    def place(offset: int) -> tuple[int, int]:
        before = text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    return text, Span(*place(start), *place(end))


def found(diagnostics: tuple[Diagnostic, ...], code: Code) -> Diagnostic:
    matching = [d for d in diagnostics if d.code == code]
    assert matching, f"{code} is not among {[d.code for d in diagnostics]}"
    return matching[0]


@pytest.mark.parametrize("code", MARKED)
def test_the_code_is_raised_where_it_belongs(code: Code, tmp_path: Path) -> None:
    text, span = unmarked(MARKED[code])
    file = tmp_path / "a.dlm"
    file.write_text(text, encoding="utf-8", newline="")

    diagnostic = found(parse_file(file).diagnostics, code)

    if code is Code.TEXT_BEFORE_HEADING:
        span = Span(span.line, span.column, span.end_line - 1, len("more") + 1)
    assert diagnostic.span == span
    assert diagnostic.severity == code.severity
    assert diagnostic.message


def test_every_code_is_covered() -> None:
    assert set(Code) == set(MARKED) | set(ELSEWHERE)


def test_every_code_is_a_kebab_case_word_with_an_explanation() -> None:
    for code in Code:
        assert code == code.lower() and " " not in code and "_" not in code
        assert code.summary.endswith(".")


def test_bytes_that_are_not_utf8_are_placed() -> None:
    diagnostic = found(parse_text(b"---\nsystem_prompt: caf\xe9\n---\n").diagnostics, Code.NOT_UTF8)
    assert (diagnostic.span.line, diagnostic.span.column) == (2, 19)


def test_utf16_is_recognised() -> None:
    diagnostic = found(parse_text("---\n".encode("utf-16")).diagnostics, Code.NOT_UTF8)
    assert "UTF-16" in diagnostic.hint


def test_a_document_past_the_size_limit_is_refused() -> None:
    parsed = parse_text(b"x" * (MAX_DOCUMENT_BYTES + 1))
    assert [d.code for d in parsed.diagnostics] == [Code.TOO_LARGE]


def test_a_document_with_too_many_lines_is_refused() -> None:
    assert [d.code for d in parse_text("\n" * 600_000).diagnostics] == [Code.TOO_LARGE]


def test_a_huge_frontmatter_is_refused() -> None:
    parsed = parse_text(f"---\nsystem_prompt: {'x' * 300_000}\n---\n")
    assert [d.code for d in parsed.diagnostics] == [Code.FRONTMATTER_TOO_LARGE]


def test_past_the_limit_the_rest_is_only_mentioned() -> None:
    parsed = parse_text(FLAT + "::proze::\nx\n" * (MAX_DIAGNOSTICS * 2))
    assert parsed.document is None
    assert len(parsed.diagnostics) == MAX_DIAGNOSTICS + 1
    assert parsed.diagnostics[-1].code == Code.TOO_MANY


def test_past_the_limit_warnings_do_not_spoil_the_document() -> None:
    parsed = parse_text(FLAT + "text\n" + "::prose::\n" * (MAX_DIAGNOSTICS * 2))
    assert parsed.document is not None
    assert parsed.diagnostics[-1].code == Code.TOO_MANY_NOTES
