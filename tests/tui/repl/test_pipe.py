"""Without a terminal: prompts from stdin, replies alone on stdout, all else on stderr."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.repl.terminal import DOCUMENT, ROOT, environment


def piped(home: Path, text: str, *arguments: str, **script: object) -> subprocess.CompletedProcess[str]:
    path = home / "doc.dlm"
    path.write_text(DOCUMENT)
    return subprocess.run(
        [sys.executable, "-m", "tests.tui.repl.drive", str(path), *arguments],
        input=text,
        env=environment(home, script),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_replies_stand_alone_and_the_conversation_goes_on(tmp_path: Path) -> None:
    said = piped(tmp_path, "hello\n\nand now\n")
    assert said.stdout == "Turn 1, auto: hello\nTurn 2, auto: and now\n"
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.slow
def test_what_no_longer_fits_is_said_beside_the_replies(tmp_path: Path) -> None:
    said = piped(tmp_path, "hello\n", dropped_turns=2)
    assert said.stdout == "Turn 1, auto: hello\n"
    assert said.stderr == "the oldest 2 turns no longer fit into the context window and were left out\n"


@pytest.mark.slow
def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    assert piped(tmp_path, "hello").stdout == "Turn 1, auto: hello\n"


@pytest.mark.slow
def test_commands_set_the_routing_and_speak_on_stderr(tmp_path: Path) -> None:
    said = piped(tmp_path, "/adapter tone\nhi\n/again --gate off\n/base who\n/exit\nnever\n")
    assert said.stdout == "Turn 1, pin: hi\nTurn 1, off: hi\nTurn 2, base: who\n"
    assert said.stderr == "pinned to tone\n"
    assert said.returncode == 0


def test_json_is_one_object_a_turn(tmp_path: Path) -> None:
    said = piped(tmp_path, "what\n/gate off\nwhat\n", "--json")
    first, second = (json.loads(line) for line in said.stdout.splitlines())
    promised = {"reply", "finish_reason", "routing", "openness", "timing", "version"}
    assert set(first) == promised | {"citation", "grounded", "overruled"}
    assert first["routing"]["weights"]["knowledge"] == pytest.approx(0.88, abs=0.01)
    assert set(first["openness"]["tone"]) == {"mean", "per_layer", "layers"}
    assert second["routing"]["mode"] == "off"


@pytest.mark.slow
def test_what_goes_wrong_is_told_and_the_next_prompt_answered(tmp_path: Path) -> None:
    said = piped(tmp_path, "/nope\n/adapter nobody\n/edit\nhi\n")
    assert said.stdout == "Turn 1, auto: hi\n"
    assert said.returncode == 1
    assert "there is no command /nope" in said.stderr
    assert "no adapter `nobody`" in said.stderr
    assert "/edit needs a terminal" in said.stderr


@pytest.mark.slow
def test_a_fault_inside_the_engine_fails_one_prompt_only(tmp_path: Path) -> None:
    said = piped(tmp_path, "boom\nhi\n", raise_on="boom")
    assert said.stdout == "Turn 1, auto: hi\n"
    assert said.returncode == 1
    assert "unexpected ZeroDivisionError" in said.stderr


@pytest.mark.slow
def test_a_dead_engine_ends_the_session_with_a_sentence(tmp_path: Path) -> None:
    said = piped(tmp_path, "hi\ncrash\nmore\n", crash_on="crash")
    assert said.stdout == "Turn 1, auto: hi\n"
    assert said.returncode == 1
    assert "the engine process ended with code 17" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.slow
def test_a_document_that_cannot_be_opened_is_a_failure(tmp_path: Path) -> None:
    said = piped(tmp_path, "hi\n", open_error="the base cannot be found")
    assert (said.stdout, said.returncode) == ("", 1)
    assert "error: the base cannot be found\n  hint: try another base" in said.stderr


@pytest.mark.slow
def test_control_codes_of_a_reply_never_reach_the_output(tmp_path: Path) -> None:
    said = piped(tmp_path, "hi\n", reply="a\x1b[31mb\x9bc")
    assert said.stdout == "a␛[31mb\\x9bc\n"


def test_ctrl_c_ends_with_the_partial_reply_and_code_130(tmp_path: Path) -> None:
    path = tmp_path / "doc.dlm"
    path.write_text(DOCUMENT)
    script = {"reply": " ".join(["word"] * 5000), "token_delay": 0.01}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.tui.repl.drive", str(path)],
        env=environment(tmp_path, script),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write("/gate off\nhi\n")
        process.stdin.flush()
        assert process.stderr.readline() == "gate off: every adapter weighs the same\n"
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(said.split()) < 5000


@pytest.mark.slow
def test_there_is_nothing_to_watch_in_a_pipe(tmp_path: Path) -> None:
    said = piped(tmp_path, "hi\n", "--watch")
    assert said.stdout == ""
    assert "--watch needs a terminal" in said.stderr


@pytest.mark.slow
def test_a_line_of_the_document_is_taught_and_the_next_prompt_asked_of_the_new_version(
    tmp_path: Path,
) -> None:
    lines = "how many at most\n/teach 14\nhow many at most\n/teach tone: Kindly.\n/teach none\n"
    said = piped(tmp_path, lines, reply="No idea.", taught_reply="Four hundred.")
    assert said.stdout == "No idea.\nFour hundred.\n"
    assert said.returncode == 1
    assert "line 12 has another answer for this question and others" in said.stderr
    assert "--- doc.dlm\n+++ doc.dlm\n@@ " in said.stderr and "\n+### Q\n+how many at most\n" in said.stderr
    assert "how many at most" in (tmp_path / "doc.dlm").read_text("utf-8")
    assert (tmp_path / "doc.offtopic.txt").read_text("utf-8") == "how many at most\n"


@pytest.mark.slow
def test_in_a_pipe_nobody_can_be_asked_what_a_reply_should_have_said(tmp_path: Path) -> None:
    said = piped(tmp_path, "hi\n/teach\nand now\n")
    assert said.stdout == "Turn 1, auto: hi\nTurn 2, auto: and now\n" and said.returncode == 1
    assert "nobody can be asked here\n  hint: /teach LINE, or /teach ADAPTER: ANSWER" in said.stderr


@pytest.mark.slow
def test_a_follow_up_keeps_its_turns_and_says_how_to_leave_them_out(tmp_path: Path) -> None:
    said = piped(tmp_path, "what is the limit\nand for them\n/teach tone: Half.\n", reply="No idea.")
    assert "+### Q !before\n+what is the limit\n" in said.stderr
    assert "/teach --turns or --alone makes it a new section of tone\n" in said.stderr
    assert "### A !before\nNo idea.\n\n### Q\nand for them\n" in (tmp_path / "doc.dlm").read_text("utf-8")
