"""The REPL as a person meets it: in a pseudo-terminal, with an emulator that keeps the screen."""

import os
import signal
from pathlib import Path

import pytest

from tests.tui.repl.terminal import (
    ALT_ENTER,
    CTRL_C,
    CTRL_D,
    CTRL_G,
    DOCUMENT,
    ENTER,
    TAB,
    UP,
    Terminal,
)

READY = r"fake-135m v0001"


def test_what_is_typed_while_the_base_loads_is_kept_and_answered(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"open_delay": 1.0}) as terminal:
        terminal.expect("loading fake-135m from cache")
        terminal.line("hello early")
        terminal.send("and then")
        terminal.expect("Turn 1, auto: hello early")
        terminal.expect(r"^❯ and then$")


def test_what_concerns_a_reply_waits_for_it(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"open_delay": 0.3}) as terminal:
        terminal.line("what early")
        terminal.line("/again --gate off")
        terminal.line("/why")
        terminal.expect(
            r"now, gate off: .*\nTurn 1, off: what early\n(.*\n)*?off: .*\n(.*\n)*nearest trained"
        )


def test_only_a_question_can_be_asked_again(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("/again")
        terminal.expect("nothing has been asked yet\n.*ask something first")


@pytest.mark.slow
def test_the_toolbar_shows_the_routing_of_the_line_being_typed(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.send("what")
        terminal.expect(r"● knowledge █+.* 0\.88  ▲ tone .* 0\.12")
        terminal.send(" please")
        terminal.expect(r"● knowledge .* 0\.50  ▲ tone .* 0\.50")


@pytest.mark.slow
def test_a_reply_comes_with_its_routing_openness_and_speed(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("what now")
        terminal.expect(r"^❯ what now\nTurn 1, auto: what now\nauto: the gate decides · 20 tokens/s")
        terminal.expect(r"^● knowledge █+.* 0\.88  openness 0\.28$")


def test_a_cold_start_is_named_as_the_reason(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"gate_mode": "uniform"}) as terminal:
        terminal.line("hi")
        terminal.expect(r"^uniform: cold start, tone has 2 of 4 sections")


@pytest.mark.slow
def test_one_key_switches_the_gate_for_the_next_reply(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.send(CTRL_G)
        terminal.expect(r"\^G gate off")
        terminal.line("hi")
        terminal.expect("Turn 1, off: hi")
        terminal.send(CTRL_G)
        terminal.expect(r"\^G gate auto")


def test_again_shows_both_replies_one_above_the_other(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("what")
        terminal.expect("Turn 1, auto: what")
        terminal.line("/again --gate off")
        terminal.expect(r"(?s)before\nTurn 1, auto: what\n.*now, gate off.*\nTurn 1, off: what\n.*0\.50")


def test_ctrl_c_clears_the_line(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.send("never mind")
        terminal.expect("❯ never mind")
        terminal.send(CTRL_C)
        terminal.gone("never mind")
        terminal.send(CTRL_C)
        terminal.expect("Ctrl-D leaves")


def test_ctrl_c_stops_a_reply_keeps_what_was_said_and_marks_it(tmp_path: Path) -> None:
    script = {"reply": " ".join(f"word{n}" for n in range(5000)), "token_delay": 0.02}
    with Terminal(tmp_path, script=script) as terminal:
        terminal.line("talk")
        terminal.expect("word9")
        terminal.send("kept")
        terminal.send(CTRL_C)
        terminal.expect("stopped here; the part above is kept")
        terminal.expect("❯ kept")
        assert "word4999" not in terminal.shown


@pytest.mark.slow
def test_typing_goes_on_while_a_reply_streams(tmp_path: Path) -> None:
    script = {"reply": " ".join(f"word{n}" for n in range(60)), "token_delay": 0.02}
    with Terminal(tmp_path, script=script) as terminal:
        terminal.line("talk")
        terminal.expect("word3 ")
        terminal.send("next question")
        terminal.expect("❯ next question")
        assert "word59" not in terminal.shown
        terminal.send(ENTER)
        terminal.expect(r"(?s)❯ talk\nword0 .*word59\n.*❯ next question\nword0 ")


def test_a_note_during_a_reply_waits_for_the_end_of_its_line(tmp_path: Path) -> None:
    script = {"reply": " ".join(f"w{n}" for n in range(5000)), "token_delay": 0.03}
    with Terminal(tmp_path, script=script) as terminal:
        terminal.expect(READY)
        terminal.line("talk")
        terminal.expect("w3 ")
        terminal.send(CTRL_G)
        terminal.expect(r"gate off  replying")
        assert "every adapter weighs the same" not in terminal.shown
        terminal.send(CTRL_C)
        terminal.expect(r"w\d+ *\ngate off: every adapter weighs the same\n\[stopped here")


@pytest.mark.slow
def test_training_shows_progress_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"steps": 90000, "step_delay": 0.02}) as terminal:
        terminal.expect(READY)
        terminal.line("/train")
        terminal.expect(r"run 1 trains knowledge")
        terminal.expect(r"training .* left  step \d+/90000")
        terminal.line("hi")
        terminal.expect("run 1 is still training; this came from the last committed version")
        terminal.send(CTRL_C)
        terminal.expect("run 1 stopped")
        terminal.expect("/train --resume")
        terminal.gone(r"^training ")


def test_the_next_reply_comes_from_the_new_version(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.line("/train")
        terminal.expect("run 1 done")
        terminal.expect(r"fake-135m v0002")
        terminal.line("/model")
        terminal.expect("adapters: knowledge, tone; version: v0002")
        terminal.line("hi")
        terminal.expect(r"tokens/s · \d+ tokens · v0002")


@pytest.mark.slow
def test_the_death_of_the_engine_is_a_sentence_and_restart_brings_it_back(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"crash_on": "crash"}) as terminal:
        terminal.line("hello")
        terminal.expect("Turn 1, auto: hello")
        terminal.line("crash now")
        terminal.expect("the engine process ended with code 17")
        terminal.expect("/restart brings it back; the conversation stays")
        assert "Traceback" not in terminal.shown
        terminal.line("/restart")
        terminal.expect(READY)
        terminal.line("again")
        terminal.expect("Turn 2, auto: again")


@pytest.mark.slow
def test_escape_sequences_of_a_reply_are_shown_not_obeyed(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"reply": "red \x1b[31m and \x1b]0;owned\x07 end"}) as terminal:
        terminal.line("hi")
        terminal.expect(r"red ␛\[31m and ␛\]0;owned␇ end")
        assert b"\x1b]0;owned" not in terminal.raw


def test_commands_are_completed_and_enter_takes_the_choice(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.send("/adap")
        terminal.expect("/adapter +Pin one adapter")
        terminal.send(TAB)
        terminal.expect("❯ /adapter")
        terminal.send(ENTER)
        terminal.send(" to")
        terminal.expect("tone +adapter")
        terminal.send(TAB + ENTER + ENTER)
        terminal.expect("pinned to tone")
        terminal.expect(r"\^G pin tone")


def test_an_unknown_command_names_the_nearest(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("/trian")
        terminal.expect("did you mean /train")


def test_alt_enter_and_pasted_text_make_several_lines(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.send("one" + ALT_ENTER + "two")
        terminal.expect(r"❯ one\n  two")
        terminal.send("\x1b[200~\nthree\nfour\x1b[201~")
        terminal.expect(r"❯ one\n  two\n  three\n  four")
        terminal.send(ENTER)
        terminal.expect("Turn 1, auto: one\ntwo\nthree\nfour")


def test_questions_of_the_last_session_come_back_and_can_be_searched(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("remember me")
        terminal.expect("Turn 1")
        terminal.send(CTRL_D)
        assert terminal.ended() == 0
    (kept,) = (tmp_path / "workbench" / "questions").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.send(UP)
        terminal.expect("❯ remember me")
        terminal.send(CTRL_C + "\x12")  # after Ctrl-C the history is read again
        terminal.expect("reverse-i-search|I-search backward")
        terminal.send("member")
        terminal.expect("❯ remember me")


@pytest.mark.slow
def test_ctrl_d_leaves_the_terminal_in_order_and_no_process(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("hi")
        terminal.expect("Turn 1, auto: hi")
        terminal.send(CTRL_D)
        assert terminal.ended() == 0
        assert "gate auto" not in terminal.shown
        assert terminal.raw.count(b"\x1b[?2004h") <= terminal.raw.count(b"\x1b[?2004l") + 1
        assert terminal.raw.rstrip().endswith(b"\x1b[?25h") or b"\x1b[?25l" not in terminal.raw[-40:]


def test_leaving_stops_a_run_and_says_that_a_checkpoint_is_kept(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"steps": 90000, "step_delay": 0.02}) as terminal:
        terminal.expect(READY)
        terminal.line("/train")
        terminal.expect("step [0-9]+/90000")
        terminal.send(CTRL_D)
        assert terminal.ended() == 0
        assert "stopping the training at its next step; a checkpoint is kept" in terminal.shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_session_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        os.kill(terminal.process.pid, number)
        assert terminal.ended() == 0


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colour_there_is_none_and_nothing_is_missing(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    with Terminal(tmp_path, **variables) as terminal:
        terminal.line("what now")
        terminal.expect("Turn 1, auto: what now")
        terminal.expect(r"(●|o) knowledge .* 0\.88")
        terminal.send(CTRL_D)
        assert terminal.ended() == 0
    assert b"[38;" not in terminal.raw
    assert not any(f"[{n}m".encode() in terminal.raw for n in (*range(30, 38), *range(90, 98)))


def test_a_dumb_terminal_gets_plain_text_and_every_command(tmp_path: Path) -> None:
    with Terminal(tmp_path, TERM="dumb") as terminal:
        terminal.expect("^>")
        terminal.line("/gate off")
        terminal.expect("gate off: every adapter weighs the same")
        terminal.line("hi")
        terminal.expect(r"(?s)Turn 1, off: hi\noff: .*^o knowledge #+\.* 0\.50")
        terminal.line("/exit")
        assert terminal.ended() == 0
    assert b"\x1b" not in terminal.raw


def test_a_dumb_terminal_stops_a_reply_on_ctrl_c(tmp_path: Path) -> None:
    script = {"reply": " ".join(f"word{n}" for n in range(5000)), "token_delay": 0.02}
    with Terminal(tmp_path, TERM="dumb", script=script) as terminal:
        terminal.line("talk")
        terminal.expect("word9")
        terminal.send(CTRL_C)
        terminal.expect("stopped here")


@pytest.mark.parametrize("columns", [40, 80])
def test_nothing_is_wider_than_the_terminal(tmp_path: Path, columns: int) -> None:
    with Terminal(tmp_path, columns=columns, script={"reply": "a long reply " * 12}) as terminal:
        terminal.expect(READY)
        terminal.line("what is a rather long question that has to be broken")
        terminal.expect(r"(?s)tokens/s.*(knowledge).*0\.88")
        terminal.line("/show")
        terminal.expect("next reply")
        assert all(len(line.rstrip()) <= columns for line in terminal.screen.display)
        words = " ".join(terminal.shown.split())
        assert "a long reply a long reply" in words
        assert "lo ng" not in words


def test_saving_the_document_is_noticed_and_watch_trains_it(tmp_path: Path) -> None:
    with Terminal(tmp_path, "--watch") as terminal:
        terminal.expect(READY)
        more = "\n::instruction#tone::\n### Q\nHow do we part?\n### A\nSlowly.\n"
        terminal.path.write_text(DOCUMENT + more)
        terminal.expect("run 1 done")


def test_edit_opens_the_editor_without_a_shell(tmp_path: Path) -> None:
    home = tmp_path / "a folder; touch owned"
    home.mkdir()
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "\\n::prose#tone::\\nMore.\\n" >> "$2"\necho edited "$1"\n')
    editor.chmod(0o700)
    with Terminal(home, EDITOR=f"{editor} --wait") as terminal:
        terminal.expect(READY)
        terminal.line("/edit")
        terminal.expect("edited --wait")
        terminal.expect(r"sections are new or changed: /train")
    assert not (tmp_path / "owned").exists()
    assert "More." in terminal.path.read_text()


def test_the_line_can_be_written_in_the_editor(tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "from the editor" > "$1"\n')
    editor.chmod(0o700)
    with Terminal(tmp_path, EDITOR=str(editor)) as terminal:
        terminal.expect(READY)
        terminal.send("draft\x18\x05")
        terminal.expect("❯ from the editor")


def test_copy_reaches_the_clipboard_through_tmux(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"reply": "copied"}, TMUX="socket,1,0") as terminal:
        terminal.line("hi")
        terminal.expect("copied")
        terminal.line("/copy")
        terminal.expect("sent to the clipboard")
    assert b"\x1bPtmux;\x1b\x1b]52;c;Y29waWVk\x07\x1b\\" in terminal.raw


@pytest.mark.slow
def test_a_document_that_breaks_is_named_and_mended(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.expect(READY)
        terminal.path.write_text(DOCUMENT.replace("#tone::", "#tonne::"))
        terminal.expect("1 error in the document")
        terminal.line("/show")
        terminal.expect("did you mean `tone`")
        terminal.path.write_text(DOCUMENT)
        terminal.gone(r"error in the document")


def test_a_conversation_is_saved_and_loaded_with_its_routing(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("first")
        terminal.expect("Turn 1, auto: first")
        terminal.line("/adapter tone")
        terminal.line(f"/save {tmp_path}/talk.md")
        terminal.expect("saved as")
        terminal.line("/clear")
        terminal.line("/gate off")
        terminal.line("anew")
        terminal.expect("Turn 1, off: anew")
        terminal.send(f"/load {tmp_path}/ta" + TAB + ENTER + ENTER)
        terminal.expect(r"(?s)1 turn from.*pinned\s+to tone")
        terminal.line("second")
        terminal.expect("Turn 2, pin: second")


def test_why_shows_neighbours_and_the_most_open_ranks(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        terminal.line("what")
        terminal.expect("Turn 1, auto: what")
        terminal.line("/why")
        terminal.expect(r"(?s)nearest trained questions\n0\.90 ● knowledge  A question about knowledge\?")
        terminal.expect(r"most open ranks\n0\.\d\d ● knowledge  layer \d, rank 7")


def test_a_cold_start_stands_in_the_toolbar_until_it_is_written_away(tmp_path: Path) -> None:
    cold = DOCUMENT.replace("cold_start_floor: 1", "cold_start_floor: 2").replace(
        "::instruction#tone::", "::prose#knowledge::\nMore.\n\n::instruction#tone::"
    )
    with Terminal(tmp_path, document=cold) as terminal:
        terminal.expect("⚠ 1 warning")
        terminal.line("/warnings")
        terminal.expect(r"`tone` has 1 tagged section and the gate needs 2")
        terminal.expect(r"write one more section under `::instruction#tone::`")
        terminal.path.write_text(cold + "\n::prose#tone::\nWarm.\n")
        terminal.gone("⚠ 1 warning")


def test_a_reply_is_corrected_and_both_are_shown_one_above_the_other(tmp_path: Path) -> None:
    script = {"reply": "No idea.", "taught_reply": "Four hundred."}
    with Terminal(tmp_path, script=script) as terminal:
        terminal.line("is there a limit")
        terminal.expect("No idea.")
        terminal.line("/teach")
        terminal.expect(r"should have said\n 1  ● knowledge, line 12  What is the limit\?\n    Four hundred.")
        terminal.line("7")
        terminal.expect("`7` is none of 1 to ")
        terminal.line("1")
        terminal.expect(r"\+is there a limit\n(.*\n)*y writes it")
        terminal.line("y")
        terminal.expect(r"before\nNo idea.\n(.*\n)*now, taught\nFour hundred.\n(.*\n)*● knowledge")
        assert "is there a limit" in (tmp_path / "doc.dlm").read_text("utf-8")


def test_what_was_being_typed_stands_in_the_line_again_after_a_choice(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"reply": "No idea."}) as terminal:
        terminal.line("is there a limit")
        terminal.expect("No idea.")
        terminal.line("/teach")
        terminal.expect("or Enter alone to leave")
        terminal.line("2")
        terminal.expect(r"^❯ No idea\.$")
        terminal.send(CTRL_C + "and so")  # in one go: nothing of it may be lost
        terminal.expect(r"^❯ and so$")
        assert (tmp_path / "doc.dlm").read_text("utf-8") == DOCUMENT


def test_a_key_leaves_out_the_turns_that_a_follow_up_goes_on_from(tmp_path: Path) -> None:
    with Terminal(tmp_path, script={"reply": "No idea."}) as terminal:
        terminal.line("what is the limit")
        terminal.expect("No idea.")
        terminal.line("and for them")
        terminal.expect(r"and for them\n(.*\n)*No idea.")
        terminal.line("/teach tone: Half.")
        terminal.expect(r"\+### Q !before\n(.*\n)*y writes it, t makes it a new section of tone")
        terminal.line("t")
        terminal.expect(r"a new section of tone\n(.*\n)*y writes it, t makes it a new section of tone, after")
        terminal.line("y")
        terminal.expect("now, taught")
        text = (tmp_path / "doc.dlm").read_text("utf-8")
        assert "and for them" in text and "!before" not in text
