"""The command palette: every action that can be done now, those of the focused pane first, and the themes."""

from collections.abc import Callable, Iterator
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider

from dlm_tui.actions import ACTIONS, Action, Scope, readable
from dlm_tui.panes.layout import PANES
from dlm_tui.panes.pane import Pane
from dlm_tui.screens.workbench import Workbench

Runner = Callable[[], object]


class ActionProvider(Provider):
    """Offers the registry's actions on the workbench, each with its key."""

    async def discover(self) -> Hits:
        for action, run in self._available():
            yield DiscoveryHit(_label(action), run, help=action.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action, run in self._available():
            label = _label(action)
            score = matcher.match(label)
            if score > 0:
                yield Hit(score, matcher.highlight(label), run, help=action.help)

    def _available(self) -> Iterator[tuple[Action, Runner]]:
        screen = self.screen
        if not isinstance(screen, Workbench):
            return
        here = next(
            (a for a in (self.focused.ancestors_with_self if self.focused else ()) if isinstance(a, Pane)),
            None,
        )
        first: Scope = here.pane_name if here is not None else "workbench"
        for action in sorted(ACTIONS, key=lambda action: action.scope != first):
            if action.scope in ("reply", "start"):
                continue
            if _target(screen, action).check_action(action.method, ()):
                yield action, partial(self._run, screen, action)

    async def _run(self, screen: Workbench, action: Action) -> None:
        target = _target(screen, action)
        if isinstance(target, Pane):
            screen.frame.bring_up(target.pane_name)
        await target.run_action(action.method)


class ThemeProvider(Provider):
    """Offers the themes by name."""

    async def discover(self) -> Hits:
        for name, text, run in self._themes():
            yield DiscoveryHit(f"Theme: {name}", run, help=text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, text, run in self._themes():
            label = f"Theme: {name}"
            score = matcher.match(label)
            if score > 0:
                yield Hit(score, matcher.highlight(label), run, help=text)

    def _themes(self) -> Iterator[tuple[str, str, Runner]]:
        library = self.app.library  # type: ignore[attr-defined]
        for name, theme in library.themes.items():
            yield name, theme.spec.description, partial(self.app.choose_theme, name)  # type: ignore[attr-defined]


def _target(screen: Workbench, action: Action) -> Workbench | Pane:
    return next((screen.frame.pane(name) for name in PANES if name == action.scope), screen)


def _label(action: Action) -> str:
    key = action.key.split(",")[0]
    return f"{action.title}  ({readable(key)})" if key else action.title
