"""What the chat pane says by itself: its welcome, and the routings a reply can be compared with."""

from rich.style import Style
from rich.text import Text

from dlm_core.requests import RoutingChoice
from dlm_tui.widgets.dialogs import Choice
from dlm_tui.widgets.looks import Looks

_UNNAMED = {
    "base": RoutingChoice(mode="base"),
    "off": RoutingChoice(mode="off"),
    "auto": RoutingChoice(mode="auto"),
}


def welcome(looks: Looks) -> Text:
    """What stands in a chat in which nothing was said."""
    muted = Style(color=looks.colors.secondary)
    text = Text(end="").append("Ask the document something.\n", style="bold")
    text.append("The bars above the line show who would answer, while you type.\n", style=muted)
    return text.append("F7 turns the adapter gate off and on, / lists commands, F1 helps.", style=muted)


def rivals(looks: Looks) -> list[Choice]:
    """The routings that a question can be asked again under; `rival` reads what was chosen."""
    choices = [
        Choice("base", "bare base", "all adapters off"),
        Choice("off", "gate off", "equal weights"),
        Choice("auto", "gate auto", "the gate decides"),
    ]
    return choices + [Choice(f"pin {name}", f"{looks.sign(name)} {name} alone", "") for name in looks.names]


def rival(answer: str) -> RoutingChoice:
    """The routing that one of `rivals` stands for."""
    if answer.startswith("pin "):
        return RoutingChoice(mode="pin", adapter=answer.removeprefix("pin "))
    return _UNNAMED[answer]
