"""Several wordings of one question, probes that are never trained, and what they do to a section's hash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.document import Document, Section, parse_text
from dlm_core.document.cold_start import sample_counts
from dlm_core.document.diff import compare, title
from dlm_core.document.highlight import HighlightKind, LineState, highlight_line
from dlm_core.document.migrate import migrate
from dlm_core.document.model import SectionKind
from dlm_core.document.render import render
from dlm_core.document.wordings import count_wordings
from dlm_core.routing.train import collect
from dlm_core.store import SectionRecord

FRONT = (
    "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n"
    "training: {adapters: {tone: {}, facts: {}}}\n---\n"
)
ASK = "### Q\nHow do I stop it?\n### A\nPress the red button."
OTHER = "### Q\nWho made it?\n### A\nAda did."


def document(body: str) -> Document:
    parsed = parse_text(FRONT + body)
    assert parsed.document is not None, parsed.errors
    return parsed.document


def only(body: str) -> Section:
    (section,) = document(f"::instruction#tone::\n{body}\n").sections
    return section


def codes(body: str) -> list[str]:
    found = parse_text(f"{FRONT}::instruction#tone::\n{body}\n").diagnostics
    return [d.code for d in found if d.code != "adapter-without-sections"]


def test_questions_before_one_answer_are_its_wordings_in_file_order() -> None:
    (question,) = only("### Q\na\n\n### Q\nb\n### Q\nc\n### A\nso").questions
    assert (question.question, question.answer) == ("a", "so")
    assert question.wordings == ("a", "b", "c")


def test_after_an_answer_another_question_begins() -> None:
    one, two = only("### Q\na\n### Q\nb\n### A\nso\n### Q\nc\n### A\nno").questions
    assert (one.wordings, two.wordings) == (("a", "b"), ("c",))
    assert one.span.end_line < two.span.line


def test_a_probe_is_no_wording_and_has_the_answer_that_follows() -> None:
    section = only("### Q !probe\nx\n### Q\na\n### Q  !probe \ny\n### A\nso")
    assert [q.wordings for q in section.questions] == [("a",)]
    assert [(p.question, p.answer) for p in section.probes] == [("x", "so"), ("y", "so")]


def test_an_answer_that_only_probes_ask_for_is_not_taught() -> None:
    section = only(f"{ASK}\n\n### Q !probe\nx\n### A\nelsewhere")
    assert [q.answer for q in section.questions] == ["Press the red button."]
    assert [(p.question, p.answer) for p in section.probes] == [("x", "elsewhere")]


@pytest.mark.parametrize(
    "with_probe",
    [
        f"### Q !probe\nx\n{ASK}",
        f"### Q !probe\nx\n\n{ASK}",
        ASK.replace("### A", "### Q !probe\nx\n### A"),
        ASK.replace("### A", "\n### Q !probe\nx\n### A"),
        ASK.replace("### A", "### Q !probe\nx\n\n### Q !probe\ny\n### A"),
        f"{ASK}\n\n### Q !probe\nx\n### A\nPress the red button.",
    ],
)
def test_a_probe_leaves_the_content_hash_as_it_was(with_probe: str) -> None:
    assert only(f"{with_probe}\n\n{OTHER}").content_hash == only(f"{ASK}\n\n{OTHER}").content_hash
    assert only(with_probe).content_hash == only(ASK).content_hash


def test_what_a_probe_asks_may_change_without_a_change_of_the_hash() -> None:
    one, other = (only(ASK.replace("### A", f"### Q !probe\n{text}\n### A")) for text in ("x", "y\n\nz"))
    assert one.content_hash == other.content_hash and one.text != other.text


def test_a_wording_changes_its_own_section_and_no_other() -> None:
    fence = "\n::instruction#tone::\n"
    before = document(f"{fence}{ASK}\n{fence}{OTHER}\n")
    after = document(
        f"{fence}{ASK.replace('### A', '### Q' + chr(10) + 'Halt it?' + chr(10) + '### A')}\n{fence}{OTHER}\n"
    )
    hashes = [[s.content_hash for s in d.sections] for d in (before, after)]
    assert hashes[0][0] != hashes[1][0] and hashes[0][1] == hashes[1][1]
    records = [
        SectionRecord(content_hash=s.content_hash, kind=s.kind.value, adapter=s.adapter, title=title(s))
        for s in before.sections
    ]
    changes = compare(records, after)
    assert [section for _, section in changes.changed] == [after.sections[0]]
    assert not changes.new and not changes.gone


def test_a_section_of_probes_alone_is_never_new_and_counts_for_no_gate() -> None:
    probes = "::instruction#facts::\n### Q !probe\nx\n### A\nso\n"
    found = document(f"::instruction#tone::\n{ASK}\n{probes}")
    record = SectionRecord(content_hash=found.sections[0].content_hash, kind="instruction", adapter="tone")
    assert not compare([record], found)
    assert sample_counts(found) == {"tone": 1, "facts": 0}
    assert title(found.sections[1]) == "x"


def test_the_floor_counts_sections_and_the_samples_are_wordings() -> None:
    found = document(
        f"::instruction#tone::\n{ASK.replace('### A', '### Q' + chr(10) + 'Halt it?' + chr(10) + '### A')}\n"
    )
    assert sample_counts(found)["tone"] == 1
    assert [sample.text for sample in collect(found)] == ["How do I stop it?", "Halt it?"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("### Q\n\n### Q\na\n### A\nso", ["body-empty"]),
        ("### Q !probe\n### Q\na\n### A\nso", ["body-empty"]),
        ("### Q\na\n### Q\na\n### A\nso", ["wording-repeated"]),
        ("### Q\nHow do I stop it?\n### Q\nhow do i  stop it\n### A\nso", ["wording-alike"]),
        (
            "### Q\nHow do I stop the machine in the hall now?\n"
            "### Q\nHow do I stop the engine in the hall now?\n### A\nso",
            ["wording-alike"],
        ),
        ("### Q\nHow do I stop it?\n### Q\nHow do I start it?\n### A\nso", []),
        ("### Q\na\n### Q !probe\na\n### A\nso", ["probe-trained"]),
        ("### Q\na\n### Q !probe\nb\n", ["answer-missing"]),
        ("### Q\na\n### A\nso\n### Q!probe\nb\n", ["heading-slip"]),
        ("### Q\na\n### A\nso\n### Q !Probe\nb\n", ["heading-slip"]),
        ("### Q\na\n### A !probe\nso\n### A\nso", ["heading-slip"]),
        ("### Q\na\n### A\n### Q! What a heading\nso", []),
    ],
)
def test_wordings_that_teach_nothing_are_said(body: str, expected: list[str]) -> None:
    assert codes(body) == expected


def test_a_wording_of_two_answers_is_a_contradiction_in_whichever_place_it_stands() -> None:
    assert codes("### Q\na\n### Q\nb\n### A\nso\n### Q\nc\n### Q\nb\n### A\nno") == ["question-repeated"]


def test_answers_with_one_wording_are_counted() -> None:
    again = f"{OTHER}\n### Q\nc\n### A\nno\n### Q\nd\n### A\nno"
    counted = count_wordings(document(f"::instruction::\n### Q\na\n### Q\nb\n### A\nso\n{again}\n").sections)
    assert (counted.answers, [q.question for q in counted.single]) == (3, ["Who made it?"])
    assert str(counted) == "1 of 3 answers have a single wording"


def test_the_mark_of_a_probe_is_told_apart_in_the_colours() -> None:
    state = LineState("body", section=SectionKind.INSTRUCTION, adapter="tone")
    _, spans = highlight_line("### Q !probe", state)
    assert [(s.start, s.end, s.kind) for s in spans] == [
        (0, 6, HighlightKind.HEADING),
        (6, 12, HighlightKind.FENCE_TAG),
    ]
    _, spans = highlight_line("### Q !probe", LineState("body", section=SectionKind.PREFERENCE))
    assert spans == ()


def test_rendering_and_migrating_keep_wordings_and_probes() -> None:
    body = "::instruction#tone::\n### Q\na\n### Q !probe\nx\n### Q\nb\n### A\nso\n"
    read = document(body)
    again = parse_text(render(read)).document
    lifted = parse_text(migrate((FRONT + body).encode()).content).document
    for other in (again, lifted):
        assert other is not None
        assert other.sections[0].questions[0].wordings == ("a", "b")
        assert other.sections[0].content_hash == read.sections[0].content_hash
        assert len(other.sections[0].probes) == 1


asked = st.lists(st.sampled_from(["### Q", "### Q !probe"]), min_size=1, max_size=4)


@pytest.mark.slow
@given(st.lists(asked, max_size=4), st.sampled_from(["\n", "\n\n"]))
def test_leaving_all_probes_out_gives_the_same_hash(groups: list[list[str]], gap: str) -> None:
    def body(groups: list[list[str]]) -> str:
        written = [[f"{heading}\nw{i}" for i, heading in enumerate(group)] for group in groups]
        return gap.join(
            ["### Q\nz\n### A\nso", *(part for group in written for part in (*group, "### A\nno"))]
        )

    taught = [[heading for heading in group if heading == "### Q"] for group in groups]
    section = only(body(groups))
    wordings = {w for q in section.questions for w in q.wordings}
    assert wordings == {"z"} | {f"w{i}" for g in groups for i, heading in enumerate(g) if heading == "### Q"}
    numbered = only(body(groups).replace("### Q !probe", "### Q !probe\nnever"))
    assert section.content_hash == numbered.content_hash
    if all(group == sorted(group) for group in groups):  # then the wordings are numbered as without probes
        assert section.content_hash == only(body([group for group in taught if group])).content_hash
