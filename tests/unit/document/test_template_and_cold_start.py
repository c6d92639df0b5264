"""A new document is a good one, and a cold start says what to write and where."""

from datetime import UTC, datetime

import pytest
from ulid import ULID

from dlm_core.document import Document, SectionKind, parse_text
from dlm_core.document.cold_start import cold_start_diagnostics, sample_counts
from dlm_core.document.render import render
from dlm_core.document.template import fresh_id, new_document
from dlm_core.errors import UsageError


def document(text: str) -> Document:
    parsed = parse_text(text)
    assert parsed.document is not None, parsed.errors
    return parsed.document


@pytest.mark.parametrize("adapters", [(), ("tone",), ("tone", "facts"), ("a", "b_2", "c" * 32)])
def test_a_new_document_has_no_fault_but_a_cold_start(adapters: tuple[str, ...]) -> None:
    parsed = parse_text(new_document("smollm2-135m", adapters))
    assert {d.code for d in parsed.diagnostics} <= {"cold-start"}
    read = document(new_document("smollm2-135m", adapters))
    assert read.adapter_names == (adapters or ("default",))
    assert read.frontmatter.training.gate.enabled is (len(adapters) > 1)


def test_every_adapter_gets_a_section_of_each_kind() -> None:
    sections = document(new_document("smollm2-135m", ("tone", "facts"))).sections
    assert {(s.adapter, s.kind) for s in sections} == {
        (None, SectionKind.PROSE),
        *((name, kind) for name in ("tone", "facts") for kind in SectionKind),
    }


def test_a_new_document_is_dated_by_the_clock_given() -> None:
    now = datetime(2025, 5, 4, 3, 2, 1, tzinfo=UTC)
    dlm_id = document(new_document("smollm2-135m", now=now)).dlm_id
    assert ULID.from_str(dlm_id).datetime == now
    assert fresh_id() != fresh_id()


def test_a_given_id_is_used() -> None:
    assert (
        document(new_document("a", dlm_id="01J0000000000000000000000A")).dlm_id
        == "01J0000000000000000000000A"
    )


@pytest.mark.parametrize("base", ["path:./my folder: new", "path:#odd", "hf:org/name"])
def test_any_base_that_can_be_named_is_written_so_that_it_is_read_back(base: str) -> None:
    assert document(new_document(base)).frontmatter.base_model == base


@pytest.mark.parametrize("name", ["my file.dlm", "a\n::prose::\n.dlm", "```", "\x1b[2J", "caf\udce9.dlm"])
def test_any_file_name_can_stand_in_a_new_document(name: str) -> None:
    read = document(new_document("smollm2-135m", ("tone", "facts"), file_name=name))
    assert len(read.sections) == 7
    assert "\x1b" not in read.text


@pytest.mark.parametrize(
    ("base", "adapters", "message"),
    [
        ("smollm2-135m", ("Tone",), "`Tone` cannot be the name"),
        ("smollm2-135m", ("tone", "tone"), "named twice"),
        ("smollm2-135m", ("../x",), "cannot be the name"),
        ("a\nb: c", (), "is not the name of a base"),
        ("", (), "is not the name of a base"),
    ],
)
def test_what_cannot_stand_in_a_document_is_a_usage_error(
    base: str, adapters: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        new_document(base, adapters)


def test_samples_are_tagged_sections_of_any_kind() -> None:
    text = new_document("smollm2-135m", ("tone", "facts", "rare")).partition("::instruction#rare::")[0]
    text += "::prose#facts::\nmore\n::instruction::\n### Q\nq\n### A\na\n"
    assert sample_counts(document(text)) == {"tone": 3, "facts": 4, "rare": 0}


def test_a_cold_start_says_what_to_write_and_where() -> None:
    text = new_document("smollm2-135m", ("tone", "facts"))
    rows = text.split("\n")
    warnings = [d for d in parse_text(text).diagnostics if d.code == "cold-start"]
    assert [rows[d.span.line - 1].strip() for d in warnings] == ["tone: {}", "facts: {}"]
    assert "3 tagged sections" in warnings[0].message and "needs 4" in warnings[0].message
    assert "one more section" in warnings[0].hint and "::instruction#tone::" in warnings[0].hint
    alone = cold_start_diagnostics(document(text))
    assert [d.message for d in alone] == [d.message for d in warnings]


def test_enough_sections_or_no_gate_are_no_cold_start() -> None:
    text = new_document("smollm2-135m", ("tone", "facts"))
    enough = text + "::prose#tone::\nx x\n::prose#facts::\ny y\n"
    assert parse_text(enough).diagnostics == ()
    assert parse_text(text.replace("enabled: true", "enabled: false")).diagnostics == ()
    lower = text.replace("enabled: true", "enabled: true\n    cold_start_floor: 3")
    assert parse_text(lower).diagnostics == ()


def test_rendering_keeps_what_differs_from_the_defaults_and_nothing_else() -> None:
    front = "---\ndlm_id: 01J0000000000000000000000A\ndlm_version: 3\nbase_model: a\n"
    front += "system_prompt: |\n  Hi.\n  You.\n"
    read = document(
        f"{front}export: {{}}\ntraining:\n  seed: 42\n  learning_rate: 3e-5\n  gate: {{steps: 5}}\n---\n"
        "first\n\n::prose::\n\n\nlast\n\n"
    )
    assert render(read) == (
        f"{front}training:\n  learning_rate: 3.0e-05\n  gate:\n    steps: 5\n---\n"
        "\nfirst\n\n::prose::\nlast\n"
    )
