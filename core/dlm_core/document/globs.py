"""File patterns of `training.sources`: `*`, `?`, `[…]` within a name, `**` for any number of folders.

As in a shell, a name that begins with a dot is matched only by a pattern that does, too.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(parts: Sequence[str], pattern: str) -> bool:
    """Whether a relative path, given as its names, matches a pattern. Takes path × pattern names steps."""
    wanted = [name for name in pattern.split("/") if name not in ("", ".")]
    # reached[i]: the first i names of the pattern match the names of the path seen so far.
    reached = [True] + [False] * len(wanted)
    for i, name in enumerate(wanted):
        reached[i + 1] = reached[i] and name == "**"
    for part in parts:
        following = [False] * (len(wanted) + 1)
        for i, name in enumerate(wanted):
            if name == "**":
                stays = reached[i + 1] and not part.startswith(".")
                following[i + 1] = stays or following[i]
            else:
                following[i + 1] = reached[i] and _name_matches(part, name)
        reached = following
    return reached[-1]


def matches_any(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a relative path matches one of the patterns."""
    return any(matches(parts, pattern) for pattern in patterns)


def excludes(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern matches the path or a folder above it."""
    return any(matches_any(parts[: depth + 1], patterns) for depth in range(len(parts)))


def _name_matches(name: str, pattern: str) -> bool:
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return fnmatchcase(name, pattern)
