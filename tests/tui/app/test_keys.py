"""Keys as terminals send them: the defaults can be told apart, and Alt with a letter writes nothing."""

from textual import events
from textual._xterm_parser import XTermParser

from dlm_tui.actions import ACTIONS
from dlm_tui.widgets.chat_input import ChatInput
from tests.tui.app.conftest import Open

_SHIFTED = {
    "f1": "\x1b[1;2P", "f2": "\x1b[1;2Q", "f3": "\x1b[13;2~", "f4": "\x1b[1;2S", "f5": "\x1b[15;2~",
    "f6": "\x1b[17;2~", "f7": "\x1b[18;2~", "f8": "\x1b[19;2~", "f9": "\x1b[20;2~", "f12": "\x1b[24;2~",
}  # fmt: skip


def _bytes_of(key: str) -> str:
    """What a terminal without an enhanced keyboard protocol sends for `alt+x`, `ctrl+x` and `shift+f1`."""
    held, _, name = key.partition("+")
    if held == "shift":
        return _SHIFTED[name]
    if held == "ctrl" and name in _SHIFTED:
        return _SHIFTED[name].replace(";2", ";5")
    if name in ("up", "down"):
        return "\x1b[1;3" + {"up": "A", "down": "B"}[name]
    if held == "alt":
        return "\x1b" + name
    return {"underscore": "\x1f", "@": "\x00"}.get(name) or chr(ord(name) - 96)


def test_every_default_with_alt_ctrl_or_shift_is_told_apart_by_plain_terminals() -> None:
    for action in ACTIONS:
        key = action.key.split(",")[0]
        if not key.startswith(("alt+", "ctrl+", "shift+")):
            continue
        parser = XTermParser()
        heard = [*parser.feed(_bytes_of(key)), *parser.feed("")]
        assert [event.key for event in heard if isinstance(event, events.Key)] == [key], action.id


async def test_alt_and_a_letter_is_a_key_and_no_text(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        before = stage.bench.editor.area.text
        for letter in "pb":  # the list of problems, and a letter without an action
            stage.app.post_message(events.Key(f"alt+{letter}", letter))
        await stage.until(lambda: stage.bench.editor._drawer.content == "problems", "the list of problems")
        assert stage.bench.editor.area.text == before


async def test_a_letter_right_behind_the_key_of_another_pane_is_written_there(open_workbench: Open) -> None:
    async with open_workbench() as stage:
        await stage.ready()
        stage.bench.frame.bring_up("chat")
        await stage.pilot.pause()
        before = stage.bench.editor.area.text
        for key, letter in (("alt+e", "e"), ("x", "x")):
            stage.app.post_message(events.Key(key, letter))
        await stage.until(lambda: stage.bench.editor.area.text != before, "a letter in the document")
        assert not stage.bench.chat.query_one(ChatInput).text
