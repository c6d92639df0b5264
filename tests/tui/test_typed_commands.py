"""Every slash command, typed into the real program in a pseudo-terminal, on the scripted engine."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlm_tui.session.commands import COMMANDS, Invocation, read_line
from tests.tui.repl.terminal import SCRIPTED, Terminal

COLUMNS, ROWS = 88, 44  # the workbench shows one pane at a time, as wide as the terminal
CHAT = "\x1bc"
CURSOR = r"(?m)^ *\d+:\d+ +\S"  # where the cursor is, which the editor alone says


@dataclass(frozen=True)
class Step:
    """A line that is typed, and a pattern that is on the screen once more after it.

    Args:
        workbench_shows: the pattern in the workbench, where that is another.
        answer: what the REPL asks for then.
        way_back: the keys that lead back into the workbench's chat, from where the command went.
        then: a pattern that is waited for after that.
    """

    line: str
    shows: str
    workbench_shows: str = ""
    answer: str = ""
    way_back: str = ""
    then: str = ""


def steps(folder: Path) -> Iterator[Step]:
    """One conversation in which every command has its turn."""
    kept = folder / "talk.json"
    yield Step("what is it", "Turn 1, auto: what is it")
    yield Step("/right", "noted as right|what is asked is not kept here")
    yield Step("/wrong", "noted as wrong|not kept here")
    yield Step("/why", "nearest trained questions", way_back="q", workbench_shows="Nearest trained questions")
    yield Step("/other 99", "stands at line 99")
    yield Step("/copy", "sent to the clipboard")
    yield Step("/again --gate off", "Turn 1, off: what is it")
    # In the workbench a change is trained at once, and what it led to may have scrolled it away.
    yield Step("/prefer now", "### Chosen", "### Chosen|now, taught", answer="y\r", then="now, taught")
    yield Step("/clear", r"a new conversation \(1 turn forgotten\)")
    yield Step("and this", "Turn 1, auto: and this")
    learned = r"\+Kindly\.|now, taught"
    yield Step("/teach tone: Kindly.", r"\+Kindly\.", learned, answer="y\r", then="now, taught")
    yield Step("/base and you?", "Turn 2, base: and you")
    yield Step("/history", "1> and this")
    yield Step(f"/save {kept}", "saved as")
    yield Step(f"/load {kept}", "1 turn from")
    yield Step("/gate off", "gate off: every adapter weighs the same")
    yield Step("/adapter tone", "pinned to tone")
    yield Step("/mix tone:1,knowledge:3", r"mix tone 0\.25, knowledge 0\.75")
    yield Step("/ground auto", "the document is looked up")
    yield Step("/params temperature=0.5", r"temperature=0\.5")
    yield Step("/system Be brief.", r"system prompt: Be brief\.")
    yield Step("/show", "next reply: mix")
    yield Step("/model", "loaded in ")
    yield Step("/warnings", "no warnings|⚠ ")
    yield Step("/versions", "nothing is trained yet")
    yield Step("/rollback", "there is nothing to go back to")
    yield Step("/train --epochs 2", r"run \d+ trains", workbench_shows="v0004")
    yield Step("/stop", "nothing is under way")
    yield Step("/edit", "new or changed: /train", way_back=CHAT, workbench_shows=CURSOR)
    yield Step("/help gate", "Let the gate route, or weigh every adapter")
    yield Step("/restart", "starting the engine again")


@pytest.fixture
def editor(tmp_path: Path) -> Path:
    """An editor that adds a section."""
    program = tmp_path / "editor"
    program.write_text('#!/bin/sh\nprintf "\\n::prose#tone::\\nSay please.\\n" >> "$1"\n', encoding="utf-8")
    program.chmod(0o700)
    return program


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("program", SCRIPTED)
def test_every_command_typed_into_the_program_is_answered_on_its_screen(
    tmp_path: Path, editor: Path, program: str
) -> None:
    carried_out = {"exit"}
    with Terminal(
        tmp_path, columns=COLUMNS, rows=ROWS, program=program, EDITOR=str(editor),
        DLM_CONFIG_HOME=str(tmp_path / "config"),
    ) as terminal:  # fmt: skip
        terminal.expect("fake-135m (v0001|ready)")
        if program == "workbench":
            terminal.send(CHAT)
            terminal.expect("Ask the document something")
        for step in steps(tmp_path):
            carry_out(terminal, step, in_workbench=program == "workbench")
            if isinstance(read := read_line(step.line), Invocation):
                carried_out.add(read.name)
        terminal.line("/exit")
        assert terminal.ended() == 0
    assert carried_out == {command.name for command in COMMANDS}
    assert "Kindly." in terminal.path.read_text("utf-8")


def carry_out(terminal: Terminal, step: Step, *, in_workbench: bool) -> None:
    """Type a step, and see on the screen what it shows."""
    pattern = (step.workbench_shows if in_workbench else "") or step.shows
    shown_before = len(re.findall(pattern, terminal.shown))
    terminal.line(step.line)
    what = f"/{pattern}/ after {step.line}"
    terminal.wait_until(lambda: len(re.findall(pattern, terminal.shown)) > shown_before, what)
    if in_workbench and step.way_back:
        terminal.send(step.way_back)
        terminal.gone(pattern)
    elif step.answer and not in_workbench:
        terminal.send(step.answer)
    if step.then:
        terminal.expect(step.then)
