"""What the settings screen lists: settings with their values and where these come from, and keys."""

import os
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from dlm_tui.actions import ACTIONS, Action, clashing, readable
from dlm_tui.settings import ABOUT, SETTINGS_FILENAME, Loaded, Settings, State, bounds
from dlm_tui.widgets.fields import Field

ENVIRONMENT: Mapping[str, str] = {
    "DLM_HOME": "The folder of stores and bases.",
    "DLM_CONFIG_HOME": "The folder of the settings file and of your themes.",
    "DLM_DEVICE": "cpu, cuda, cuda:N or mps, instead of the best there is.",
    "DLM_WEIGHTS": "The number format of the weights in replies on the CPU: float16, float32 or int8.",
    "DLM_ENCODER": "off: do without the sentence encoder.",
    "NO_COLOR": "Set to anything: no colours.",
}
"""Variables of the environment that are read, and what each is."""
KEYS = "keys"


def default_of(name: str) -> object:
    """A setting's default."""
    return getattr(Settings(), name)


def shown(value: object) -> str:
    """A value as the screen shows and takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def origin(name: str, loaded: Loaded, state: State) -> str:
    """Where a setting's value comes from."""
    if name == "theme" and state.theme and state.theme != loaded.settings.theme:
        return "chosen last"
    return SETTINGS_FILENAME if name in loaded.given else "default"


def setting_fields(loaded: Loaded, state: State, themes: Sequence[str], watching: bool) -> list[Field]:
    """The settings of the file, then what the environment and the command line decide."""
    fields = []
    for name, about in ABOUT.items():
        value = shown(getattr(loaded.settings, name))
        choices: tuple[str, ...] = ()
        if name == KEYS:
            value = f"{len(loaded.settings.keys)} of your own" if loaded.settings.keys else ""
        elif name == "theme":
            value, choices = state.theme or value, tuple(themes)
        elif isinstance(default_of(name), bool):
            choices = ("on", "off")
        takes = f"It takes {bounds(name)}; the default is {shown(default_of(name))}."
        takes = "k shows all keys." if name == KEYS else takes
        note = origin(name, loaded, state)
        fields.append(Field(name, name, value, f"{about} {takes}", choices, blank="the defaults", note=note))
    fields.append(
        Field(
            "--watch",
            "--watch",
            "on" if watching else "off",
            "Whether every save is followed by a run: a flag of the command line, and Alt+W switches it.",
            ("on", "off"),
            note="flag, this time only",
        )
    )
    for name, about in ENVIRONMENT.items():
        now = os.environ.get(name) or "not set"
        fields.append(Field(name, name, "", about, off=now, note="environment"))
    return fields


def key_fields(keys: Mapping[str, str]) -> list[Field]:
    """Every action, those that share a key with another first."""
    shared = conflicts(keys)
    actions = sorted(ACTIONS, key=lambda action: action.id not in shared)
    return [_key_field(action, keys, shared.get(action.id, ())) for action in actions]


def conflicts(keys: Mapping[str, str]) -> dict[str, list[str]]:
    """For each action that shares a key with another: with which, and on which key."""
    found: dict[str, list[str]] = {}
    for key, one, other in clashing(keys):
        for mine, theirs in ((one, other), (other, one)):
            found.setdefault(mine.id, []).append(f"{readable(key)} is also “{theirs.title}” ({theirs.scope})")
    return found


def _key_field(action: Action, keys: Mapping[str, str], shared: Sequence[str]) -> Field:
    mine = keys.get(action.id)
    value = ", ".join(readable(key) for key in (mine or action.key).split(","))
    about = f"{action.help} Default: {', '.join(readable(key) for key in action.key.split(','))}."
    note = SETTINGS_FILENAME if mine is not None else "default"
    if shared:
        about, note = f"⚠ {'; '.join(shared)}. {action.help}", f"⚠ conflict, {note}"
    return Field(action.id, f"{action.scope}: {action.title}", value, about, note=note)


def changed(before: Settings, now: Settings) -> Iterator[str]:
    """The names of settings that differ."""
    for name in msgspec.structs.asdict(now):
        if getattr(before, name) != getattr(now, name):
            yield name
