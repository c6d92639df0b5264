"""The command palette: every action that can be done now, those of the focused pane first, and the themes.

Those of a reply are for the one that has the focus, else for the last.
"""

from collections.abc import Callable, Iterator
from functools import partial

from textual import work
from textual.await_complete import AwaitComplete
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from dlm_tui.actions import ACTIONS, Action, Scope, readable
from dlm_tui.panes.pane import Pane
from dlm_tui.screens.start import StartScreen
from dlm_tui.screens.workbench import Workbench
from dlm_tui.widgets.reply_view import ReplyView

Target = Workbench | Pane | ReplyView
Runner = Callable[[], object]


class Palette(CommandPalette):
    """Textual's palette, whose search may come too late: closed at once, it would end the app."""

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Close, once: see `ClosedOnce`, which is no base here as it would hide Textual's styles and keys."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    @work(exclusive=True, group=CommandPalette._GATHER_COMMANDS_GROUP, exit_on_error=False)
    async def _gather_commands(self, search_value: str) -> None:
        await CommandPalette._gather_commands.__wrapped__(self, search_value)  # type: ignore[attr-defined]


class ActionProvider(Provider):
    """Offers the registry's actions on the workbench, each with its key, then the themes by name.

    One provider for both: what several find is shown in the order in which they happen to find it.
    """

    async def discover(self) -> Hits:
        for label, text, run in self._offers():
            yield DiscoveryHit(label, run, help=text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for label, text, run in self._offers():
            score = matcher.match(label)
            if score > 0:
                yield Hit(score, matcher.highlight(label), run, help=text)

    def _offers(self) -> Iterator[tuple[str, str, Runner]]:
        for action, run in self._available():
            yield _label(action), action.help, run
        library = self.app.library  # type: ignore[attr-defined]
        for name, theme in library.themes.items():
            yield f"Theme: {name}", theme.spec.description, partial(self.app.choose_theme, name)  # type: ignore[attr-defined]

    def _available(self) -> Iterator[tuple[Action, Runner]]:
        screen = self.screen
        if isinstance(screen, StartScreen):
            for action in ACTIONS:
                if action.scope == "start":
                    yield action, partial(screen.run_action, action.method)
        if not isinstance(screen, Workbench):
            return
        here = self.focused.ancestors_with_self if self.focused else ()
        reply = next((a for a in here if isinstance(a, ReplyView)), screen.chat.last_reply)
        pane = next((a for a in here if isinstance(a, Pane)), None)
        first: Scope = pane.pane_name if pane is not None else "workbench"
        for action in sorted(ACTIONS, key=lambda action: action.scope != first):
            target = _target(screen, action, reply)
            if target is not None and target.check_action(action.method, ()):
                yield action, partial(self._run, screen, action, target)

    async def _run(self, screen: Workbench, action: Action, target: Target) -> None:
        if screen not in self.app.screen_stack or not target.is_attached:  # left between the choice and now
            return
        if isinstance(target, Pane):
            screen.frame.bring_up(target.pane_name)
        await target.run_action(action.method)


def _target(screen: Workbench, action: Action, reply: ReplyView | None) -> Target | None:
    """Where an action is carried out; None where there is no such place now."""
    match action.scope:
        case "start":
            return None
        case "reply":
            return reply
        case "workbench":
            return screen
        case pane:
            return screen.frame.pane(pane)


def _label(action: Action) -> str:
    key = action.key.split(",")[0]
    return f"{action.title}  ({readable(key)})" if key else action.title
