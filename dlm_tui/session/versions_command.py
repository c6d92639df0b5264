"""What `/versions` asks for: the list, a name, a pin."""

from dataclasses import dataclass

from dlm_core.errors import UsageError
from dlm_tui.session.commands import find


@dataclass(frozen=True)
class MarkVersion:
    """Name a version or take its name away (`name` ""), or pin it or not; what is None stays."""

    which: str
    name: str | None = None
    pinned: bool | None = None


def parse_versions(argument: str) -> MarkVersion | None:
    """What `/versions` is to change; None where they are to be listed."""
    what, _, rest = argument.partition(" ")
    rest = rest.strip()
    match what:
        case "":
            return None
        case "pin" | "unpin" if rest:
            return MarkVersion(rest, pinned=what == "pin")
        case "name" if rest:
            which, _, name = rest.partition(" ")
            return MarkVersion(which, name=name.strip())
        case _:
            raise UsageError(f"/versions cannot be `{argument}`", f"it takes {find('versions').usage}")
