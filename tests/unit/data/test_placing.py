"""Whatever a text holds, put into a section it is read back as that text."""

from hypothesis import given
from hypothesis import strategies as st

from dlm_core.data.entries import Entry, origin_of, stretches
from dlm_core.data.placing import settled
from dlm_core.document import parse_text
from dlm_core.document.model import SectionKind

FRONT = "---\ndlm_id: 01J0000000000000000000000A\nbase_model: smollm2-135m\n---\n\n"
lines = st.one_of(
    st.sampled_from([
        "::prose::", "::Prose::", "::image x::", "::what#x::", "### Q !before",
        "### A !before", "### Q", "### q", "### A",
        "### Q !probe", "### Chosen", "### Prompt", "```", "````", "```py", "~~~", "-->", "<!-- dlm-auto-x",
        "---", "", "  ", "\r",
        "\t::prose::", "\ufeff", "\u2028", "# Q", "## Answer", "Q: a", "\ud800", "\x00",
    ]),
    st.text(max_size=12),
)  # fmt: skip
texts = st.lists(lines, max_size=6).map("\n".join)
sources = st.text(min_size=1, max_size=12)


@given(texts, texts, texts, sources)
def test_sections_are_read_back_with_their_texts_and_their_origin(
    a: str, b: str, c: str, source: str
) -> None:
    for kind in SectionKind:
        one, two, three = (settled(text, kind).text for text in (a, b, c))
        if not (one and two and three):
            continue
        entry = Entry(kind, None, source.encode("utf-8", "replace").decode(), (1, 2, 9), (one,), two, three)
        after = Entry(kind, None, "x", (3,), ("what",), "follows", "here")
        parsed = parse_text(FRONT + "\n".join([*entry.rendered(), "", *after.rendered(), ""]))
        assert parsed.document is not None, parsed.errors
        section, last = parsed.document.sections
        assert (section.text, last.text) == (entry.body, after.body)
        match kind:
            case SectionKind.PROSE:
                assert section.text == two
            case SectionKind.INSTRUCTION:
                assert [(q.wordings, q.answer) for q in section.questions] == [((one,), two)]
            case SectionKind.PREFERENCE:
                assert [(p.prompt, p.chosen, p.rejected) for p in section.preferences] == [(one, two, three)]
        origin = origin_of(section)
        assert origin is not None
        assert (origin.source, origin.rows, origin.mark) == (entry.source, ((1, 2), (9, 9)), entry.mark)


@given(texts)
def test_a_text_that_was_settled_stays_as_it_is(text: str) -> None:
    for kind in SectionKind:
        once = settled(text, kind).text
        again = settled(once, kind)
        assert (again.text, again.indented, again.closed) == (once, 0, False)


def test_only_lines_that_would_be_more_than_text_are_touched() -> None:
    done = settled("\r\n# Title\r\n### Q\n```\n### Q\n```\n::prose::\n", SectionKind.INSTRUCTION)
    assert done.text == "# Title\n ### Q\n```\n### Q\n```\n ::prose::"
    assert (done.indented, done.closed) == (2, False)
    assert settled("### Q\n```py\nx", SectionKind.PROSE).text == "### Q\n```py\nx\n```"


def test_rows_are_named_in_stretches() -> None:
    assert stretches([9, 1, 2, 2, 3, 7]) == ((1, 3), (7, 7), (9, 9))
