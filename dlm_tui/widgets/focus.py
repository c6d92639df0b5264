"""Giving a widget the keys."""

from textual.widget import Widget


def give_keys(widget: Widget) -> None:
    """Focus `widget` now, so that keys already waiting behind the present one go to it.

    Widget.focus() only queues the change, behind those keys.
    """
    if widget.is_attached and widget.focusable:
        widget.screen.set_focus(widget)
    else:
        widget.focus()
