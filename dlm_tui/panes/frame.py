"""The three panes side by side: which are shown, how wide, and which one the person is in."""

from textual import events
from textual.containers import Horizontal
from textual.message import Message

from dlm_tui.panes.pane import Pane
from dlm_tui.settings import State
from dlm_tui.widgets.focus import give_keys
from dlm_tui.widgets.pane_layout import PANES, Layout, PaneName, arrange, resized


class PaneFrame(Horizontal):
    """Lays its panes out whenever the width, the focus or the person's wishes change.

    Args:
        panes: all three, by name.
        remembered: hidden panes and shares of earlier sessions; changed in place.
    """

    DEFAULT_CSS = """
    PaneFrame { height: 1fr; }
    """

    class Arranged(Message):
        """The panes are laid out anew; `here` is the one with the focus."""

        def __init__(self, layout: Layout, here: PaneName) -> None:
            super().__init__()
            self.arrangement, self.here = layout, here

    def __init__(self, panes: dict[PaneName, Pane], remembered: State) -> None:
        super().__init__(*(panes[name] for name in PANES), id="panes")
        self._panes = panes
        self._remembered = remembered
        self._recent: list[PaneName] = list(PANES)
        self._zoomed = False

    @property
    def here(self) -> PaneName:
        """The pane that has the focus, or had it last."""
        return self._recent[0]

    def pane(self, name: PaneName) -> Pane:
        """The pane called `name`."""
        return self._panes[name]

    def lay_out(self) -> None:
        """Show the panes that fit, at their shares."""
        layout = arrange(
            self.screen.size.width or self.app.size.width,
            self._recent,
            hidden=self._hidden(),
            zoomed=self._zoomed,
            shares=self._shares(),
        )
        for name, pane in self._panes.items():
            pane.display = name in layout.visible
            if pane.display:
                pane.styles.width = f"{layout.shares[layout.visible.index(name)]:.3f}fr"
            pane.set_class(pane.display and name == layout.visible[-1], "-last")
            pane.set_class(len(layout.visible) == 1, "-alone")
        self.post_message(self.Arranged(layout, self.here))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        for ancestor in event.widget.ancestors_with_self:
            if isinstance(ancestor, Pane):
                self._came_to(ancestor.pane_name)
                return

    def _came_to(self, name: PaneName) -> None:
        if self.here != name:
            self._recent = [name, *(other for other in self._recent if other != name)]
            self.lay_out()

    def bring_up(self, name: PaneName) -> None:
        """Show a pane and give it the focus."""
        self._came_to(name)
        give_keys(self._panes[name].default_focus)

    def step(self, by: int) -> None:
        """Go to the pane `by` places to the right, round the end."""
        hidden = self._hidden()
        reachable = [name for name in PANES if name not in hidden or name == self.here]
        self.bring_up(reachable[(reachable.index(self.here) + by) % len(reachable)])

    def zoom(self) -> None:
        """Give everything to this pane, or back."""
        self._zoomed = not self._zoomed
        self.lay_out()

    def hide(self) -> bool:
        """Take this pane off the screen; False where it is the last one."""
        visible = [name for name in PANES if name not in self._hidden()]
        if len(visible) < 2 or self.here not in visible:
            return False
        self._remembered.hidden = [*self._remembered.hidden, self.here]
        self.bring_up(next(name for name in self._recent if name in visible and name != self.here))
        self.lay_out()
        return True

    def show_all(self) -> None:
        """Bring hidden panes back."""
        self._remembered.hidden = []
        self._zoomed = False
        self.lay_out()

    def resize_pane(self, *, wider: bool) -> None:
        """Make this pane wider or narrower."""
        shares = resized(self._shares(), self.here, wider=wider)
        self._remembered.shares = {str(name): share for name, share in shares.items()}
        self.lay_out()

    def _hidden(self) -> list[PaneName]:
        return [name for name in PANES if name in self._remembered.hidden]

    def _shares(self) -> dict[PaneName, float]:
        kept = self._remembered.shares
        return {name: kept[name] for name in PANES if name in kept}
