"""Every action of the workbench, once: keys, palette, footer, click and help are all made from this list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding

Scope = Literal["start", "workbench", "editor", "dashboard", "chat", "reply"]

RESERVED_KEYS: Mapping[str, str] = {
    "ctrl+s": "stops the terminal's output (flow control)",
    "ctrl+q": "resumes the terminal's output (flow control)",
    "ctrl+b": "is tmux's prefix",
    "ctrl+a": "is screen's prefix",
    "ctrl+i": "is the same byte as tab",
    "ctrl+m": "is the same byte as enter",
    "ctrl+h": "is the same byte as backspace in many terminals",
    "ctrl+left_square_bracket": "is the same byte as escape",
    "alt+b": "is what terminals send for a word to the left",
    "alt+f": "is what terminals send for a word to the right",
    "alt+enter": "is enter in most terminals",
}
"""Keys that no default may take, and what stands in the way."""


@dataclass(frozen=True)
class Action:
    """One thing that can be done.

    Args:
        id: stable name for the settings file: scope, dot, and the method `action_<name>` of that scope.
        title: what the palette and the help call it.
        help: a sentence for tooltip and help.
        key: default key or comma-separated keys.
        footer: short label in the footer; "" keeps it out.
        priority: taken before the focused widget sees the key.
    """

    id: str
    title: str
    help: str
    key: str
    footer: str = ""
    priority: bool = False

    @property
    def scope(self) -> Scope:
        return self.id.partition(".")[0]  # type: ignore[return-value]

    @property
    def method(self) -> str:
        """What Textual runs: the name of the method without `action_`."""
        return self.id.partition(".")[2]


ACTIONS: tuple[Action, ...] = (
    Action("workbench.help", "Help", "What can be done here and now, with its keys.", "f1", "Help", True),
    Action("workbench.save", "Save document", "Write the document to disk.", "f2,ctrl+o", "Save", True),
    Action(
        "workbench.train", "Train", "Save and train what changed since the last run.", "f5", "Train", True
    ),
    Action(
        "workbench.stop", "Stop", "Stop training and replies at once; says what was kept.", "f8", "Stop", True
    ),
    Action(
        "workbench.toggle_gate",
        "Adapter gate: auto or off",
        "Let the gate route the next reply, or give every adapter the same weight.",
        "f7,ctrl+g",
        "Gate",
        True,
    ),
    Action("workbench.next_pane", "Next pane", "Move to the pane on the right.", "f6", "Pane", True),
    Action("workbench.previous_pane", "Previous pane", "Move to the pane on the left.", "shift+f6", "", True),
    Action("workbench.zoom", "Zoom pane", "Give the whole screen to this pane, or back.", "f9", "", True),
    Action(
        "workbench.next_problem", "Next problem", "Go to the next problem in the document.", "f4", "", True
    ),
    Action("workbench.focus_editor", "Go to the editor", "Move to the document.", "alt+e", "", True),
    Action("workbench.focus_dashboard", "Go to the dashboard", "Move to the training.", "alt+d", "", True),
    Action("workbench.focus_chat", "Go to the chat", "Move to the chat's line.", "alt+c", "", True),
    Action("workbench.hide_pane", "Hide this pane", "Take this pane off the screen.", "alt+h", "", True),
    Action("workbench.show_panes", "Show all panes", "Bring hidden panes back.", "alt+a", "", True),
    Action("workbench.grow", "Wider pane", "Make this pane wider.", "alt+l,alt+full_stop", "", True),
    Action("workbench.shrink", "Narrower pane", "Make this pane narrower.", "alt+k,alt+comma", "", True),
    Action(
        "workbench.train_fresh",
        "Train from the start",
        "Forget earlier versions; train everything anew.",
        "ctrl+f5",
        "",
        True,
    ),
    Action(
        "workbench.watch",
        "Train on save: on or off",
        "Let every save of the document be followed by a run, or not.",
        "alt+w",
        "",
        True,
    ),
    Action(
        "workbench.train_resume",
        "Resume training",
        "Go on from the checkpoint of a stopped run.",
        "shift+f8",
        "",
        True,
    ),
    Action(
        "workbench.restart_engine",
        "Restart the engine",
        "Start the engine process again.",
        "ctrl+f8",
        "",
        True,
    ),
    Action(
        "workbench.open_document", "Open another document", "Recent documents, samples, or a path.", "alt+o"
    ),
    Action(
        "workbench.import_data",
        "Import data",
        "Bring in an FAQ, a table or a dataset; shown before it goes into the document.",
        "alt+i",
        "",
        True,
    ),
    Action(
        "workbench.evaluate",
        "Evaluate",
        "Measure what was learned; every probe as a table, to ask and to teach.",
        "alt+q",
        "",
        True,
    ),
    Action(
        "workbench.versions",
        "Versions",
        "What runs ended in, what differs from now, and the way back to one.",
        "alt+z",
        "",
        True,
    ),
    Action(
        "workbench.export",
        "Export",
        "The adapters for PEFT, transformers, llama.cpp or Ollama, or the sections as rows.",
        "shift+f2",
        "",
        True,
    ),
    Action(
        "workbench.doctor",
        "Doctor",
        "The device and the memory that training takes here, whether that fits, and what to change.",
        "shift+f4",
        "",
        True,
    ),
    Action(
        "workbench.pack",
        "Pack",
        "The document, its adapters and its gate as one file, to be taken in elsewhere.",
        "shift+f7",
        "",
        True,
    ),
    Action(
        "workbench.compare",
        "Compare methods",
        "Train rank-gated LoRA, LoRA, DoRA and others on the document, and say what each learned and kept.",
        "shift+f5",
        "",
        True,
    ),
    Action(
        "workbench.settings",
        "Settings",
        "Every setting and key: its value, where it comes from, what it may be; changed in place.",
        "shift+f12",
        "",
        True,
    ),
    Action(
        "workbench.tour",
        "Tour",
        "The loop in two minutes: write, train, ask, correct, see it right. Once more: end it.",
        "shift+f1",
        "",
        True,
    ),
    Action("workbench.next_theme", "Next theme", "Change to the next theme.", "f12"),
    Action("workbench.quit", "Quit", "Leave; asks when there is unsaved work.", "f10", "Quit", True),
    Action("start.help", "Help", "What can be done here, with its keys.", "f1", "Help"),
    Action("start.quit", "Quit", "Leave.", "f10,escape", "Quit"),
    Action("start.tour", "Tour", "The loop in two minutes, on a sample.", "shift+f1", "Tour"),
    Action("start.next_theme", "Next theme", "Change to the next theme.", "f12", "Theme"),
    Action("editor.find", "Find", "Find text in the document.", "ctrl+f", "Find", True),
    Action("editor.replace", "Find and replace", "Find text and replace it.", "ctrl+r", "", True),
    Action("editor.find_next", "Find next", "Go to the next match.", "f3,alt+down"),
    Action("editor.find_previous", "Find previous", "Go to the match before.", "shift+f3,alt+up"),
    Action(
        "editor.outline", "Outline", "Sections, their adapters and their state.", "ctrl+l", "Outline", True
    ),
    Action("editor.problems", "List of problems", "Every problem, with a jump to its place.", "alt+p"),
    Action("editor.fix", "Fix this problem", "Put in what the hint suggests.", "alt+r"),
    Action(
        "editor.new_id", "Give the document a new id", "A copied document gets a store of its own.", "ctrl+f3"
    ),
    Action("editor.insert_section", "Insert section", "Choose kind and adapter of a new section.", "ctrl+n"),
    Action("editor.complete", "Complete", "Fences, adapters and keys that fit here.", "ctrl+@"),
    Action("editor.toggle_comment", "Comment", "Comment the lines out, or back in.", "ctrl+underscore"),
    Action("editor.loss_mask", "What carries loss", "Shade what the loss is taken on.", "alt+m"),
    Action("editor.jump", "Go to section", "Find a section by some letters of what it says.", "alt+j"),
    Action(
        "editor.reword",
        "Further wordings",
        "Have a model of your choice reword the questions of this section; you take those that fit.",
        "ctrl+t",
    ),
    Action(
        "editor.compare_section",
        "Compare this section",
        "What differs between this section and what was last trained of it.",
        "shift+f9",
    ),
    Action("editor.go_to_line", "Go to line", "Jump to a line by its number.", "alt+g"),
    Action("dashboard.next_adapter", "Next adapter", "Openness of the next adapter.", "a", "Adapter"),
    Action("dashboard.next_module", "Next module type", "Openness of the next module type.", "m", "Module"),
    Action(
        "dashboard.toggle_smoothing", "Smooth the loss", "Smoothed curves, raw ones, or both.", "s", "Smooth"
    ),
    Action(
        "dashboard.toggle_log", "Loss: linear or log", "Heights of the loss, or their logarithms.", "l", "Log"
    ),
    Action(
        "dashboard.cursor_left", "Read the loss, earlier", "Move the cursor that reads values back.", "comma"
    ),
    Action(
        "dashboard.cursor_right",
        "Read the loss, later",
        "Move the cursor that reads values on; behind the last step it goes.",
        "full_stop",
    ),
    Action("dashboard.choose_run", "Choose a run", "Open a run of the past.", "r", "Runs"),
    Action(
        "dashboard.overlay_run", "Lay a run over", "Draw the loss of a second run beneath.", "o", "Overlay"
    ),
    Action(
        "dashboard.jump_to_remedy",
        "Go to what is missing",
        "Jump to where a section is needed.",
        "w",
        "Remedy",
    ),
    Action("chat.interrupt", "Stop the reply", "Stop the reply; what was said stays.", "escape"),
    Action("chat.regenerate", "Answer again", "Answer the last question anew.", "ctrl+r", "Again", True),
    Action(
        "chat.compare", "Compare routings", "The last question under two routings.", "alt+v", "Compare", True
    ),
    Action(
        "chat.pin",
        "Pin an adapter",
        "The next adapter alone; after the last, the gate.",
        "alt+n",
        "Pin",
        True,
    ),
    Action(
        "chat.ground",
        "Look prompts up: on or off",
        "Look prompts up in the document, or let the weights alone reply.",
        "alt+s",
        "",
        True,
    ),
    Action(
        "chat.teach",
        "Should have said …",
        "Say what the last reply should have been: the document learns it.",
        "alt+t",
        "Teach",
        True,
    ),
    Action("chat.mix", "Mix adapters by hand", "Set every adapter's weight yourself.", "alt+x", "", True),
    Action("chat.edit_last", "Edit the last question", "Take it back into the line.", "alt+u", "", True),
    Action("chat.copy_reply", "Copy the reply", "Put the last reply on the clipboard.", "alt+y", "", True),
    Action("chat.save_chat", "Save the chat", "Write it beside the document as Markdown.", "ctrl+f2"),
    Action("chat.clear", "Clear the chat", "Start over; the history file is emptied.", "ctrl+f9"),
    Action("chat.newline", "New line", "A line break in the message.", "ctrl+j"),
    Action(
        "reply.details",
        "Details of this reply",
        "Its openness, token by token and by rank.",
        "enter",
        "Details",
    ),
    Action("reply.why", "Why this routing", "The trained questions that are nearest.", "w", "Why"),
    Action(
        "reply.source", "Go to its section", "Go to the section that this reply comes from.", "g", "Source"
    ),
    Action(
        "reply.teach",
        "This should have said …",
        "Choose a section or write an answer; the document learns it, and is asked again.",
        "t",
        "Teach",
    ),
    Action(
        "reply.prefer",
        "Prefer this reply",
        "Teach to say this rather than the other reply to the same question.",
        "p",
        "Prefer",
    ),
    Action(
        "reply.other",
        "Take the other section",
        "Ask once more, to be answered from the other section that fits.",
        "o",
        "Other",
    ),
    Action("reply.right", "This reply is right", "Ask it again after every run; say if one loses it.", "r"),
    Action("reply.wrong", "This reply is wrong", "Keep it among what was asked, as wrong.", "x"),
    Action("reply.copy", "Copy this reply", "Put this reply on the clipboard.", "c,y", "Copy"),
)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}


def bindings(scope: Scope) -> list[Binding | tuple[str, str] | tuple[str, str, str]]:
    """The bindings that a widget or screen of `scope` declares."""
    return [
        Binding(
            action.key,
            action.method,
            action.footer or action.title,
            show=bool(action.footer),
            tooltip=action.help,
            id=action.id,
            priority=action.priority,
        )
        for action in ACTIONS
        if action.scope == scope
    ]


def keymap(wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The keys as Textual wants them, and a sentence for each entry that names no action or clashes."""
    accepted: dict[str, str] = {}
    problems: list[str] = []
    for identity, keys in wanted.items():
        action = BY_ID.get(identity)
        if action is None:
            problems.append(f"keys: there is no action `{identity}`; F1 lists them all")
        else:
            accepted[identity] = keys
            problems += [
                f"keys: `{key}` for `{identity}` {RESERVED_KEYS[key]}; it may never arrive"
                for key in _keys(keys)
                if key in RESERVED_KEYS
            ]
    problems.extend(f"keys: {clash}" for clash in clashes(accepted))
    return accepted, problems


def clashes(remapped: Mapping[str, str] | None = None) -> list[str]:
    """Actions that would answer to one key where both are live, each as a sentence."""
    return [f"`{key}` is both `{one.id}` and `{other.id}`" for key, one, other in clashing(remapped)]


def clashing(remapped: Mapping[str, str] | None = None) -> list[tuple[str, Action, Action]]:
    """Keys that two actions would answer to where both are live, with these actions."""
    remapped = remapped or {}
    seen: dict[tuple[Scope, str], Action] = {}
    found: list[tuple[str, Action, Action]] = []
    for action in ACTIONS:
        for key in _keys(remapped.get(action.id, action.key)):
            for scope in _live_together(action.scope):
                other = seen.get((scope, key))
                if other is not None and other is not action:
                    found.append((key, other, action))
            seen[action.scope, key] = action
    return found


def _live_together(scope: Scope) -> Iterable[Scope]:
    if scope == "workbench":
        return ("workbench", "editor", "dashboard", "chat", "reply")
    if scope == "reply":
        return ("reply", "chat", "workbench")
    if scope == "chat":
        return ("chat", "reply", "workbench")
    return (scope,) if scope == "start" else (scope, "workbench")


def _keys(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",") if key.strip()]


def readable(key: str) -> str:
    """A key as people write it: `Ctrl+G`, `F5`, `Alt+.`."""
    names = {"full_stop": ".", "comma": ",", "underscore": "_", "@": "Space", "escape": "Esc"}
    parts = [names.get(part, part) for part in key.strip().split("+")]
    if key == "ctrl+underscore":
        return "Ctrl+/"
    return "+".join(part.upper() if len(part) == 1 else part.capitalize() for part in parts)
