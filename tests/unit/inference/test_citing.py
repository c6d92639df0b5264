"""Where a reply comes from, and what of it no section says."""

import pytest

from dlm_core.inference.citing import Source, Sources, unsupported

RULE = Source("a", "answer", "facts", ("What is the refund rule?",), "A charge can be refunded five times.")
OWNER = Source("b", "answer", "facts", ("Who owns billing?",), "Team Heron owns it, reachable in #heron.")
PROSE = Source(
    "c",
    "prose",
    None,
    (),
    "The ingest service listens on port 7443. It speaks TLS only, and Mira Okafor keeps its certificates.",
)
SOURCES = Sources((RULE, OWNER, PROSE))


@pytest.mark.parametrize(
    ("reply", "source"),
    [
        ("A charge can be refunded five times.", RULE),
        ("One charge can be refunded five times!", RULE),
        ("Team Heron owns it.", OWNER),
        ("It speaks TLS only.", PROSE),
        ("I am a helpful assistant.", None),
        ("", None),
    ],
)
def test_a_reply_is_cited_from_the_section_that_says_it(reply: str, source: Source | None) -> None:
    assert SOURCES.saying(reply) == source


def test_of_two_that_say_the_same_the_one_that_search_found_is_cited() -> None:
    twin = Source("z", "answer", "tone", ("And refunds?",), RULE.text)
    both = Sources((RULE, twin))
    assert both.saying(RULE.text, [twin]) == twin
    assert both.saying(RULE.text, [RULE]) == RULE


@pytest.mark.parametrize(
    ("reply", "source", "words"),
    [
        ("One charge can be refunded 42 times.", RULE, ["42"]),
        ("A charge can be refunded five times.", RULE, []),
        ("The service is on port 7444, and Vera Okafor has the keys.", PROSE, ["7444", "Vera Okafor"]),
        ("The service is on port 7443, and Mira Okafor has the keys.", PROSE, []),
        ("Run `kctl drain` first.", OWNER, ["kctl drain"]),
        ("It costs 1,000.", Source("d", "answer", None, ("Cost?",), "It costs 1000."), []),
    ],
)
def test_numbers_names_and_code_that_the_section_has_not_are_marked(
    reply: str, source: Source, words: list[str]
) -> None:
    found = unsupported(reply, source)
    assert [u.text for u in found] == words
    assert all(reply[u.start : u.end] == u.text for u in found)


def test_what_the_prompt_brought_is_no_invention() -> None:
    assert unsupported("For Vega it is five times.", RULE, "What is the rule for Vega?") == ()
