"""Export and import are each other's way back, on what both can say."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_core.data.importing import Wanted, prepare
from dlm_core.data.jsonl import Form, left_out, rows_of
from dlm_core.data.placing import settled
from dlm_core.document import Document, load, parse_text
from dlm_core.document.model import SectionKind

SAMPLES = sorted(Path(__file__).parents[3].glob("sample_docs/*.dlm"))
HEAD = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n"
ADAPTERS = "training: {adapters: {a: {}, b: {}}, gate: {enabled: true}}\n"


def taught(document: Document, form: Form) -> Counter[object]:
    """What a document teaches that rows of this form can say, whatever section it stands in."""
    found: Counter[object] = Counter()
    for section in document.sections:
        adapter = section.adapter or document.adapter_names[0]
        if form == "chat":
            found.update((adapter, w, q.answer, q.before) for q in section.questions for w in q.wordings)
        elif form == "dpo":
            found.update((adapter, p.prompt, p.chosen, p.rejected, p.before) for p in section.preferences)
        elif section.kind is SectionKind.PROSE:
            found[adapter, section.text] += 1
    return found


def there_and_back(document: Document, form: Form, folder: Path) -> Document:
    """A new document from the rows of another."""
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(rows_of(document, form)))
    wanted = Wanted(base=document.frontmatter.base_model)
    back = parse_text(prepare([str(path)], folder / "back.dlm", None, wanted).text).document
    assert back is not None
    return back


pieces = st.one_of(
    st.sampled_from(
        [
            "::prose::",
            "### Q",
            "### A",
            "### A !before",
            "```",
            "x",
            "",
            " ",
            "\r",
            "Ä",
            "[INST]",
            '"',
            "\u2028",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
texts = st.lists(pieces, min_size=1, max_size=4).map("\n".join).filter(lambda t: t.strip() != "")
turns = st.lists(st.tuples(texts, texts), max_size=2)
questions = st.tuples(st.sampled_from(["a", "b"]), turns, st.lists(texts, min_size=1, max_size=3), texts)
pairs = st.tuples(st.sampled_from(["a", "b"]), turns, texts, texts, texts).filter(
    lambda pair: pair[3].strip() != pair[4].strip()  # there is nothing to prefer
)
prompts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def before_parts(turns: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [part for asked, said in turns for part in (("Q !before", asked), ("A !before", said))]


def section_of(kind: SectionKind, adapter: str, parts: list[tuple[str, str]]) -> str:
    """A section with these parts as text; empty where one of them has none."""
    settled_ones = [(word, settled(text, kind).text) for word, text in parts]
    if not all(text for _, text in settled_ones):
        return ""
    return f"::{kind.value}#{adapter}::\n" + "".join(f"### {word}\n{text}\n" for word, text in settled_ones)


@pytest.mark.slow
@given(st.lists(questions, min_size=1, max_size=4), prompts)
@settings(max_examples=40)
def test_chat_rows_say_all_that_questions_teach(
    tmp_path_factory: pytest.TempPathFactory,
    asked: list[tuple[str, list[tuple[str, str]], list[str], str]],
    prompt: str | None,
) -> None:
    body = []
    for adapter, before, wordings, answer in asked:
        parts = [*before_parts(before), *(("Q", text) for text in wordings), ("A", answer)]
        body.append(section_of(SectionKind.INSTRUCTION, adapter, parts))
    if not all(body):
        return
    system = f"system_prompt: {msgspec.json.encode(prompt).decode()}\n" if prompt else ""
    document = parse_text(HEAD + system + ADAPTERS + "---\n" + "\n".join(body)).document
    if document is None:  # a character that YAML refuses, in the system prompt
        return
    back = there_and_back(document, "chat", tmp_path_factory.mktemp("rows"))
    assert set(taught(back, "chat")) == set(taught(document, "chat"))
    asks_one = document.frontmatter.system_prompt
    assert (back.frontmatter.system_prompt or "").strip() == (asks_one or "").strip()


@pytest.mark.slow
@given(st.lists(pairs, min_size=1, max_size=4))
@settings(max_examples=40)
def test_pairs_say_all_that_preferences_teach(
    tmp_path_factory: pytest.TempPathFactory,
    preferred: list[tuple[str, list[tuple[str, str]], str, str, str]],
) -> None:
    body = []
    for adapter, before, prompt, chosen, rejected in preferred:
        parts = [*before_parts(before), ("Prompt", prompt), ("Chosen", chosen), ("Rejected", rejected)]
        body.append(section_of(SectionKind.PREFERENCE, adapter, parts))
    document = parse_text(HEAD + ADAPTERS + "---\n" + "\n".join(body)).document
    if document is None or not all(body):
        return
    back = there_and_back(document, "dpo", tmp_path_factory.mktemp("rows"))
    assert set(taught(back, "dpo")) == set(taught(document, "dpo"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("form", ["chat", "dpo", "text"])
def test_samples_come_back_and_have_it_all_already(sample: Path, form: Form, tmp_path: Path) -> None:
    parsed = parse_text(sample.read_text("utf-8"), sample)
    document = parsed.document
    if document is None or not taught(document, form) or not document.frontmatter.training.adapters:
        return
    if form == "text" and any(s.kind is SectionKind.PROSE and s.adapter is None for s in document.sections):
        return
    back = there_and_back(document, form, tmp_path)
    assert taught(back, form) == taught(document, form)
    again = prepare([str(tmp_path / "rows.jsonl")], tmp_path / sample.name, document.text, Wanted())
    assert not again.writes


def test_what_rows_cannot_say_is_counted(tmp_path: Path) -> None:
    document = load(SAMPLES[[p.stem for p in SAMPLES].index("writing-partner")])
    missing = left_out(document, "chat")
    assert {kind for kind, _ in missing.kinds} <= {SectionKind.PROSE, SectionKind.PREFERENCE}
    assert missing.probes == sum(len(s.probes) for s in document.sections)


def test_one_adapter_s_rows_are_plain_and_others_say_whose_they_are() -> None:
    sections = (f"::instruction#{name}::\n### Q\nq\n### A\n{answer}\n" for name, answer in ("ax", "by"))
    document = parse_text(HEAD + ADAPTERS + "---\n" + "\n".join(sections)).document
    assert document is not None
    rows = [msgspec.json.decode(row) for row in rows_of(document, "chat")]
    assert [row["adapter"] for row in rows] == ["a", "b"]
    (row,) = [msgspec.json.decode(row) for row in rows_of(document, "chat", "b")]
    assert row == {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "y"}]}
