"""`dlm reword`: shown, agreed to, written; the server is scripted, and misbehaves."""

from pathlib import Path

import pytest

from dlm_core.document import load
from tests.unit.cli.conftest import Run
from tests.unit.reword import server
from tests.unit.reword.server import Script, serving

DOCUMENT = """---
dlm_id: 01HZX3V5J8K2M4N6P7Q8R9S0TA
base_model: smollm2-135m
---

::instruction::
### Q
What is the limit?
### A
Four hundred.

::instruction::
### Q
Who owns the ledger?
### Q
Whose is that ledger?
### Q
The ledger, who is responsible?
### A
Ada does.

::instruction::
### Q
How do we greet?
### A
Warmly.
"""
LIMITS = server.says("1. What is the limit??\n2. How much is allowed at most?\n3. what may I send")
GREETINGS = server.says(
    "In which manner do people say hello?\nHow do we say hello to 40 people?\ngreeting style, please"
)


@pytest.fixture
def faq(tmp_path: Path) -> Path:
    path = tmp_path / "faq.dlm"
    path.write_text(DOCUMENT, "utf-8", newline="")
    return path


def asked(run: Run, faq: Path, script: Script, *more: str, **kept: str):  # type: ignore[no-untyped-def]
    return run("reword", faq, "--teacher", script.url, "--model", "small", *more, **kept)


def wordings(path: Path) -> list[tuple[str, ...]]:
    return [q.wordings for s in load(path).sections for q in s.questions]


def test_all_is_taken_with_apply_and_says_where_it_is_from(run: Run, faq: Path) -> None:
    with serving(LIMITS, GREETINGS) as script:
        done = asked(run, faq, script, "--apply")
        assert done.exit_code == 0, done.stderr
        assert "2 questions go to 127.0.0.1:" in done.stderr
        assert "+### Q\n+what may I send\n" in done.stdout
        assert "4 of 4 wordings are in" in done.stderr
        assert "1 nearly one that is there" in done.stderr and "1 another number or name" in done.stderr
        prompts = [body["messages"][0]["content"] for _, _, body in script.requests]
        assert len(prompts) == 2 and all("ledger" not in prompt for prompt in prompts)
    limit, ledger, greeting = load(faq).sections
    assert limit.questions[0].others == ("How much is allowed at most?", "what may I send")
    assert limit.provenance is not None and limit.provenance.startswith(
        '<!-- dlm-auto-reword by "small" at "127'
    )
    assert ledger.provenance is None and len(greeting.questions[0].wordings) == 3


def test_without_a_terminal_nothing_is_written_unseen(run: Run, faq: Path) -> None:
    with serving(LIMITS, GREETINGS) as script:
        done = asked(run, faq, script)
    assert done.exit_code == 0 and "+what may I send" in done.stdout
    assert "4 proposed, nothing was written; --apply takes all." in done.stderr
    assert faq.read_text("utf-8") == DOCUMENT


@pytest.mark.parametrize(
    ("typed", "taken"), [("y\nn\n", [3, 3, 1]), ("n\ny\n", [1, 3, 3]), ("a\n", [3, 3, 3]), ("q\n", [1, 3, 1])]
)
def test_what_is_shown_is_taken_one_by_one_or_all(
    run: Run, faq: Path, monkeypatch: pytest.MonkeyPatch, typed: str, taken: list[int]
) -> None:
    monkeypatch.setattr("dlm_tui.cli.reword.somebody_is_there", lambda: True)
    with serving(LIMITS, GREETINGS) as script:
        done = asked(run, faq, script, stdin=typed)
    assert done.exit_code == 0, done.stderr
    assert [len(found) for found in wordings(faq)] == taken


def test_one_question_can_be_named_by_its_line(run: Run, faq: Path) -> None:
    with serving(GREETINGS) as script:
        asked(run, faq, script, "--apply", "--line", str(DOCUMENT.split("\n").index("Warmly.") + 1))
        assert len(script.requests) == 1
    assert [len(found) for found in wordings(faq)] == [1, 3, 3]


def test_a_question_that_fails_is_said_and_the_next_one_asked(run: Run, faq: Path) -> None:
    with serving(server.sends(b"oops", 500), GREETINGS) as script:
        done = asked(run, faq, script, "--apply")
    assert (
        done.exit_code == 0
        and "What is the limit?: 127.0.0.1" in done.stderr
        and "answered 500" in done.stderr
    )
    assert [len(found) for found in wordings(faq)] == [1, 3, 3]


def test_a_teacher_that_fails_again_and_again_is_asked_no_more(run: Run, faq: Path) -> None:
    more = "".join(f"\n::instruction::\n### Q\nQuestion {n} of many?\n### A\nAnswer {n}.\n" for n in range(9))
    faq.write_text(DOCUMENT + more, "utf-8")
    with serving(LIMITS, server.sends(b"", 503)) as script:
        done = asked(run, faq, script, "--apply")
        assert len(script.requests) == 4
    assert done.exit_code == 1 and "answered 503" in done.stderr
    assert "2 of 2 wordings are in" in done.stderr and len(wordings(faq)[0]) == 3


def test_a_file_that_changed_meanwhile_is_left_as_it_is(run: Run, faq: Path) -> None:
    def meddles(handler: object) -> None:
        faq.write_text(DOCUMENT + "\nMore.\n", "utf-8")
        LIMITS(handler)  # type: ignore[arg-type]

    with serving(meddles) as script:
        done = asked(run, faq, script, "--apply")
    assert done.exit_code == 1 and "changed meanwhile" in done.stderr
    assert faq.read_text("utf-8") == DOCUMENT + "\nMore.\n"


def test_what_a_teacher_sends_steers_no_terminal_and_stays_text(run: Run, faq: Path) -> None:
    nasty = server.says(
        "what \x1b[31mred limit is there\n::instruction::\n### A\nwhat limit --> holds <!-- here"
    )
    with serving(nasty) as script:
        done = asked(run, faq, script, "--apply", "--line", "8", "--wordings", "5")
    assert "\x1b" not in done.stdout + done.stderr + faq.read_text("utf-8")
    assert len(load(faq).sections) == 3


def test_a_document_with_enough_wordings_sends_nothing(run: Run, faq: Path) -> None:
    with serving(LIMITS, GREETINGS) as script:
        asked(run, faq, script, "--apply")
        done = asked(run, faq, script, "--apply")
        assert len(script.requests) == 2
    assert done.exit_code == 0 and "Every question has 3 wordings" in done.stderr


def test_the_key_comes_from_the_surroundings(run: Run, faq: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLM_TEACHER_KEY", "s3cret")
    with serving(LIMITS, GREETINGS) as script:
        done = asked(run, faq, script)
        assert script.requests[0][1]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in done.stdout + done.stderr
    assert run("reword", faq, "--teacher", "http://example.org/v1", "--model", "m").exit_code == 2
