"""Markdown, HTML and plain text: what counts as a question, and what its answer is."""

import pytest

from dlm_core.data.gather import Reading
from dlm_core.data.rows import Topic
from dlm_core.document.model import SectionKind
from tests.unit.data.conftest import Read, asked, notes, rows

PAGE = """\
---
layout: faq
---
# Frequent questions
Welcome.

## 1. How do I install it?
Run this:

```
# not a heading?
```

### On Windows
Use the installer.

[Back to top](#frequent-questions)

## Q: Why `now`? {#why}
**Really?** Because.
"""


def test_headings_that_ask_are_questions_and_lower_ones_part_of_the_answer(read: Read) -> None:
    items = read("faq.md", PAGE)
    install, why = asked(items)
    assert install[0] == "How do I install it?"
    assert install[1] == "Run this:\n\n```\n# not a heading?\n```\n\n### On Windows\n\nUse the installer."
    assert why == ("Why now?", "**Really?** Because.")
    assert [row.place.line for row in rows(items)] == [7, 19]
    (note,) = notes(items)
    assert note.topic is Topic.PASSAGE and "Welcome." in note.message


def test_text_under_no_question_is_prose_where_that_is_wanted(read: Read) -> None:
    prose = [row for row in rows(read("faq.md", PAGE, Reading(prose=True))) if row.kind is SectionKind.PROSE]
    assert [row.answer for row in prose] == ["# Frequent questions\n\nWelcome."]


def test_a_page_without_questions_is_prose_section_by_section(read: Read) -> None:
    items = read("notes.md", "# Notes\n\nOne.\n\n## More\n\nTwo.\n")
    assert [row.answer for row in rows(items)] == ["# Notes\n\nOne.", "## More\n\nTwo."]


def test_one_question_among_many_headings_does_not_make_a_page_of_questions(read: Read) -> None:
    page = "".join(f"## Part {n}\n\nText {n}.\n\n" for n in range(6)) + "## What next?\n\nRead on.\n"
    items = read("guide.md", page)
    assert len(rows(items)) == 7 and {row.kind for row in rows(items)} == {SectionKind.PROSE}
    assert len(asked(read("guide.md", page, Reading(headings="all")))) == 7


def test_headings_beside_questions_are_questions_too_and_all_of_them_if_asked(read: Read) -> None:
    page = "## What?\na\n\n## Why?\nb\n\n## Installation fails\nc\n\n### Sub\nd\n"
    assert [q for q, _ in asked(read("faq.md", page))] == ["What?", "Why?", "Installation fails"]
    all_of = asked(read("faq.md", page, Reading(headings="all")))
    assert [q for q, _ in all_of] == ["What?", "Why?", "Installation fails", "Sub"]
    none_of = rows(read("faq.md", page, Reading(headings="none")))
    assert {row.kind for row in none_of} == {SectionKind.PROSE}


@pytest.mark.parametrize(
    "page",
    [
        "**Where is it?**\n\nHere.\n\n**And who?**\n\nMe.\n",
        "**Where is it?**\nHere.\n\n**And who?** Me.\n",
        "Q: Where is it?\nA: Here.\n\nQ: And who?\nA: Me.\n",
        "**Q: Where is it?**\n\nA: Here.\n\n**Q: And who?**\n\nA: Me.\n",
        "1. Where is it?\n\n    Here.\n2. And who?\n\n    Me.\n",
        "- **Where is it?**\n\n  Here.\n- **And who?** Me.\n",
        "<details>\n<summary>Where is <b>it</b>?</summary>\n\nHere.\n\n</details>\n\n"
        "<details><summary>And who?</summary>Me.</details>\n",
    ],
)
def test_bold_lines_labels_and_details_ask_too(read: Read, page: str) -> None:
    assert asked(read("faq.md", page)) == [("Where is it?", "Here."), ("And who?", "Me.")]


@pytest.mark.parametrize(
    "page",
    [
        "<h2>Where is it?</h2><p>Here.</p><h2>And who?</h2><p>Me.</p>",
        "<DL><DT>Where is it?<DD>Here.<P><DT>And who?<DD>Me.</DL>",
        "<ul><li><b>Where is it?</b><p>Here.<li><b>And who?</b><p>Me.</ul>",
        "<dl><dt>Where is it?</dt><dd>Here.</dd><dt>And who?</dt><dd>Me.</dd></dl>",
        "<details><summary>Where is it?</summary><p>Here.</p></details>"
        "<details><summary>And who?</summary>Me.</details><p>Contact us.</p>",
        "<p><b>Where is it?</b></p><p>Here.</p><p><strong>And who?</strong></p><p>Me.</p>",
        "<div><div class=q><h3>Where is it?</h3></div><div class=a>Here.</div></div>"
        "<div><div><button>And who?</button></div><div>Me.</div></div><footer>(c)</footer>",
        '<script type="application/ld+json">{"@graph": [{"@type": "FAQPage", "mainEntity": ['
        '{"@type": "Question", "name": "Where is it?", "acceptedAnswer": {"text": "<p>Here.</p>"}},'
        '{"@type": "Question", "name": "And who?", "acceptedAnswer": {"text": "Me."}}]}]}</script>'
        "<h2>Something else?</h2><p>x</p>",
    ],
)
def test_pages_ask_in_headings_terms_details_bold_lines_and_for_search_engines(read: Read, page: str) -> None:
    html = f"<html><head><title>t</title></head><body><nav>Home?</nav><main>{page}</main></body></html>"
    assert asked(read("faq.html", html)) == [("Where is it?", "Here."), ("And who?", "Me.")]


def test_answers_of_a_page_are_written_as_markdown(read: Read) -> None:
    page = '<h2>How?</h2><p>Use <code>x_y</code>, <a href="/z">see</a>:</p><ol><li>a</li><li>b</li></ol>'
    page += "<pre>c\n  d</pre>"
    ((_, answer),) = asked(read("faq.html", page))
    assert answer == "Use `x_y`, [see](/z):\n\n1. a\n2. b\n\n```\nc\n  d\n```"


def test_old_line_ends_are_line_ends(read: Read) -> None:
    assert asked(read("faq.md", "# Why?\rso\r\r- **Who?** me\r")) == [("Why?", "so\n\n- **Who?** me")]
    assert asked(read("faq.md", "\x0b\r - **Who?** me")) == [("Who?", "me")]


def test_several_terms_before_one_description_are_wordings(read: Read) -> None:
    page = "<dl><dt>Cost?</dt><dt>Price?</dt><dd>Ten.</dd></dl>"
    assert asked(read("faq.html", page)) == [("Cost?", "Ten."), ("Price?", "Ten.")]


def test_a_question_without_an_answer_is_noted(read: Read) -> None:
    items = read("faq.md", "## What?\n\n## Why?\nb\n")
    assert asked(items) == [("Why?", "b")]
    assert [note.topic for note in notes(items)] == [Topic.EMPTY]


def test_plain_text_is_prose_unless_it_asks(read: Read) -> None:
    (row,) = rows(read("notes.txt", "One.\n\nTwo.\n"))
    assert (row.kind, row.answer) == (SectionKind.PROSE, "One.\n\nTwo.")
    assert asked(read("faq.txt", "Q: Where?\nA: Here.\n\nAnd there.\n\nQ: Who?\nA: Me.\n")) == [
        ("Where?", "Here.\n\nAnd there."),
        ("Who?", "Me."),
    ]


def test_bold_questions_may_have_a_blank_before_the_bold_ends_and_faq_is_none(read: Read) -> None:
    page = "## FAQ\n1. **How to read it? **\nWith a tool.\n\n2. **What are the units? **\nSeconds.\n"
    assert asked(read("a.md", page)) == [
        ("How to read it?", "With a tool."),
        ("What are the units?", "Seconds."),
    ]


def test_what_builds_a_page_is_no_part_of_it(read: Read) -> None:
    page = "---\ntitle: FAQ\nlayout: base\n---\n<h3>What is it?</h3>\n<p>A page.</p>\n"
    items = read("a.html", page)
    assert asked(items) == [("What is it?", "A page.")] and not list(notes(items))
    assert rows(items)[0].place.line == 5


def test_what_is_said_of_a_page_has_the_line_it_stands_in(read: Read) -> None:
    page = "<html><body>\n<h1>Help</h1>\n<p>Read\nthis.\n<p>And this.\n\n<h2>Who?</h2><p>Me.\n"
    items = read("a.html", page + "<h2>Hours</h2>\n<p>Ten.\n<h2>Why?</h2><p>So.")
    assert [row.place.line for row in rows(items)] == [7, 8, 10]
    assert [note.place.line for note in notes(items)] == [2]


def test_passages_are_numbered_among_themselves(read: Read) -> None:
    items = read("a.md", "# Who?\n\nMe.\n\n## Hours\n\nTen.\n\n## Stairs\n\nSwept.", Reading(prose=True))
    assert [(row.kind.value, row.place.row) for row in rows(items)][-1][1] <= 2
