"""The sample documents are what their README says they are, and their probes ask what they teach."""

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from dlm_core.document import Document, parse_file
from dlm_core.evaluation.near import KINDS, near_misses

SAMPLES = Path(__file__).parents[2] / "sample_docs"
TRAINABLE = ("cold-start", "glossary", "runbook", "writing-partner")
COMMENT = re.compile(r"\s+# .*")
PROBED = ("glossary", "runbook", "writing-partner")


def document(name: str) -> Document:
    parsed = parse_file(SAMPLES / f"{name}.dlm")
    assert parsed.document is not None, parsed.diagnostics
    return parsed.document


def taught(sample: Document) -> list[tuple[str, str, str | None]]:
    """Every question or prompt with its answer or chosen reply, and its adapter."""
    rows = []
    for section in sample.sections:
        rows += [(q.question, q.answer, section.adapter) for q in section.questions]
        rows += [(p.prompt, p.chosen, section.adapter) for p in section.preferences]
    return rows


def probes(name: str) -> list[dict[str, str]]:
    loaded = yaml.safe_load((SAMPLES / f"{name}.probes.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, list)
    return loaded


def test_these_are_all_the_samples_and_the_readme_names_each() -> None:
    names = {path.stem for path in SAMPLES.glob("*.dlm")}
    assert names == {*TRAINABLE, "mistakes"}
    readme = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"({name}.dlm)" in readme for name in names)


def test_every_sample_has_an_id_of_its_own() -> None:
    front_lines = [
        line
        for path in SAMPLES.glob("*.dlm")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("dlm_id:")
    ]
    assert len(set(front_lines)) == len(TRAINABLE) + 1


@pytest.mark.parametrize("name", PROBED)
def test_a_sample_for_training_has_no_diagnostics(name: str) -> None:
    assert parse_file(SAMPLES / f"{name}.dlm").diagnostics == ()


@pytest.mark.parametrize("name", PROBED)
def test_each_adapter_has_eight_tagged_sections_and_the_gate_is_on(name: str) -> None:
    sample = document(name)
    sections = Counter(section.adapter for section in sample.sections)
    assert set(sections) == set(sample.adapter_names)
    assert min(sections.values()) >= 8
    assert sample.frontmatter.training.gate.enabled


@pytest.mark.parametrize("name", TRAINABLE)
def test_no_two_questions_or_answers_of_a_sample_are_the_same(name: str) -> None:
    rows = taught(document(name))
    assert len({question for question, _, _ in rows}) == len(rows)
    assert len({answer for _, answer, _ in rows}) == len(rows)


@pytest.mark.parametrize("name", PROBED)
def test_each_taught_answer_is_probed_once_in_other_words(name: str) -> None:
    rows = taught(document(name))
    asked = probes(name)
    assert all(set(probe) == {"question", "answer", "adapter"} for probe in asked)
    assert Counter((p["answer"], p["adapter"]) for p in asked) == Counter((a, n) for _, a, n in rows)
    assert not {words(p["question"]) for p in asked} & {words(question) for question, _, _ in rows}


def test_the_runbook_has_ten_one_question_sections_per_adapter() -> None:
    sample = document("runbook")
    assert sample.adapter_names == ("runbook", "schema", "voice")
    assert [section.adapter for section in sample.sections] == ["runbook"] * 10 + ["schema"] * 10 + [
        "voice"
    ] * 10
    assert all(len(section.questions) == 1 for section in sample.sections)
    assert all(12 <= len(answer.split()) <= 45 for _, answer, _ in taught(sample))


def test_the_writing_partner_has_all_three_kinds_of_section() -> None:
    sample = document("writing-partner")
    assert {section.kind.value for section in sample.sections} == {"prose", "instruction", "preference"}
    assert sample.frontmatter.system_prompt


def test_the_cold_start_sample_is_warned_about_and_nothing_else() -> None:
    diagnostics = parse_file(SAMPLES / "cold-start.dlm").diagnostics
    assert [d.code for d in diagnostics] == ["cold-start"]
    assert "`letters` has 2 tagged sections" in diagnostics[0].message


def test_the_mistakes_sample_shows_each_mistake_where_it_stands() -> None:
    path = SAMPLES / "mistakes.dlm"
    lines = path.read_text(encoding="utf-8").splitlines()
    parsed = parse_file(path)
    assert parsed.document is None
    found = [(d.code, COMMENT.sub("", lines[d.span.line - 1]).strip()) for d in parsed.diagnostics]
    assert found == [
        ("unknown-key", "sequence_length: 512"),
        ("wrong-type", "seed: forty-two"),
        ("wrong-value", "warmup_ratio: 1.5"),
        ("wrong-value", "optimizer: adam"),
        ("no-effect", "audio:"),
        ("wrong-value", "lora_r: 0"),
        ("adapter-name", "Notes: {}"),
        ("wrong-type", 'enabled: "yes"'),
        ("tag-undeclared", "::instruction#tnoe::"),
        ("fence-case", "::Instruction#tone::"),
        ("fence-unknown", "::instructions#tone::"),
        ("question-missing", "### A"),
        ("answer-missing", "### Q"),
        ("body-empty", "### A"),
        ("heading-slip", "### Question"),
        ("text-before-heading", "### Question"),
        ("question-missing", "### A"),
        ("headings-missing", "::instruction#facts::"),
        ("rejected-missing", "### Prompt"),
        ("section-empty", "::prose#tone::"),
        ("fence-unsupported", '::image src="floorplan.png"::'),
        ("code-block-unterminated", "```text"),
    ]


def words(text: str) -> tuple[str, ...]:
    return tuple("".join(c for c in text.casefold() if c.isalnum() or c.isspace()).split())


@pytest.mark.parametrize("name", PROBED)
def test_a_sample_is_probed_in_strangers_words(name: str) -> None:
    found = [probe for section in document(name).sections for probe in section.probes]
    trained = [q for section in document(name).sections for q in section.questions]
    taught_words = {words(wording) for question in trained for wording in question.wordings}
    asked = {words(probe.question) for probe in found}
    assert len(found) == len(asked) >= 20
    assert not asked & taught_words and not asked & {words(p["question"]) for p in probes(name)}
    assert sum(len(question.wordings) == 3 for question in trained) >= 5, "the form is shown"
    assert not taught_words & {words(p["question"]) for p in probes(name)}


@pytest.mark.parametrize("name", PROBED)
def test_a_sample_has_forty_near_misses_of_every_kind_and_asks_none_of_them(name: str) -> None:
    sample = document(name)
    misses = near_misses(sample)
    assert len(misses) == 40
    kinds = Counter(miss.kind for miss in misses)
    assert set(kinds) == set(KINDS) and min(kinds.values()) >= 5
    assert {miss.near for miss in misses} <= asked_by(sample)
    assert len({miss.near for miss in misses}) >= 20, "they lie near many questions"
    asked = {words(miss.question) for miss in misses}
    assert len(asked) == 40
    probed = [probe.question for section in sample.sections for probe in section.probes]
    known = {words(text) for text in (*asked_by(sample), *probed, *(p["question"] for p in probes(name)))}
    assert not asked & known


def asked_by(sample: Document) -> set[str]:
    """Every trained wording and prompt of a document."""
    wordings = {w for section in sample.sections for q in section.questions for w in q.wordings}
    return wordings | {p.prompt for section in sample.sections for p in section.preferences}


def test_every_sample_that_trains_has_a_list_of_what_it_is_not_about_and_no_two_share_a_prompt() -> None:
    lists = [
        (SAMPLES / f"{name}.offtopic.txt").read_text(encoding="utf-8").splitlines() for name in TRAINABLE
    ]
    assert min(map(len, lists)) >= 20
    prompts = [words(prompt) for strange in lists for prompt in strange]
    assert all(prompts) and len(set(prompts)) == len(prompts)
