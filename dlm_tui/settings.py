"""What the user set up (a settings file) and what the workbench remembers (layout, recent documents)."""

import contextlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
import platformdirs
import yaml
from msgspec import Meta

from dlm_core.errors import NOT_JSON, StoreError, UsageError
from dlm_core.requests import path_text
from dlm_core.store import atomic

SETTINGS_FILENAME = "settings.yaml"
STATE_FILENAME = "workbench.json"
MAX_RECENT = 20
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings file. Every key is optional; `ABOUT` says what each is. `keys` are an action's id → key or
    comma-separated keys.
    """

    theme: str = "ink"
    keys: dict[str, str] = {}
    cursor_blink: bool = True
    soft_wrap: bool = True
    diagnostics_delay: Annotated[float, Meta(ge=0.05, le=5)] = 0.2
    route_delay: Annotated[float, Meta(ge=0.02, le=5)] = 0.12
    max_tokens: Annotated[int, Meta(ge=1, le=8192)] = 512
    temperature: Annotated[float, Meta(ge=0, le=10)] = 0.0
    keep_asked: bool = True


ABOUT: Mapping[str, str] = {
    "theme": "The colours. F12 steps through the themes, and the one chosen last is used at the next start.",
    "keys": "Keys of your own, in place of the defaults.",
    "cursor_blink": "Whether the cursor blinks.",
    "soft_wrap": "Whether long lines in the editor are wrapped.",
    "diagnostics_delay": "Seconds without a keystroke before the document is checked.",
    "route_delay": "Seconds without a keystroke before the line being typed is routed.",
    "max_tokens": "The longest reply in the chat, in tokens.",
    "temperature": "How freely replies are drawn; 0 always takes the likeliest token.",
    "keep_asked": "Whether the questions a document was asked stay in its store, to be asked again.",
}
"""What each setting is, for the settings screen."""


class State(msgspec.Struct, kw_only=True):
    """What is remembered from one start to the next: recent documents, the layout, the theme chosen last,
    whether the tour was finished or skipped (`done`, `skipped`; "": neither), and the server and the model
    that wordings were asked of.
    """

    recent: list[str] = []
    theme: str = ""
    hidden: list[str] = []
    shares: dict[str, float] = {}
    tour: str = ""
    teacher_url: str = ""
    teacher_model: str = ""


@dataclass(frozen=True)
class Loaded:
    """Settings as read, and one sentence for each thing in the file that could not be used; `given` names
    those that come from the file.
    """

    settings: Settings
    problems: tuple[str, ...] = ()
    given: frozenset[str] = frozenset()


def config_home() -> Path:
    """The folder of the settings file and the person's themes: `$DLM_CONFIG_HOME`, or the platform's."""
    if override := os.environ.get("DLM_CONFIG_HOME"):
        return Path(override)
    return Path(platformdirs.user_config_dir("dlm", appauthor=False))


def state_home() -> Path:
    """The folder of what the workbench remembers: under `$DLM_HOME`, or the platform's state folder."""
    if home := os.environ.get("DLM_HOME"):
        return Path(home) / "workbench"
    return Path(platformdirs.user_state_dir("dlm", appauthor=False))


def load_settings(folder: Path | None = None) -> Loaded:
    """Read the settings file. A value that is wrong is named and left at its default; the others count."""
    path = (folder or config_home()) / SETTINGS_FILENAME
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_YamlLoader)
    except FileNotFoundError:
        return Loaded(Settings())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return Loaded(Settings(), (f"{path.name}: cannot be read ({_first_line(error)}); defaults are used",))
    if raw is None:
        return Loaded(Settings())
    if not isinstance(raw, dict):
        return Loaded(Settings(), (f"{path.name}: expected keys and values, found {type(raw).__name__}",))
    return _accept(path.name, raw)


def _accept(name: str, raw: dict[Any, Any]) -> Loaded:
    known = {f.name: f for f in msgspec.structs.fields(Settings)}
    accepted: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in raw.items():
        field = known.get(key) if isinstance(key, str) else None
        if field is None:
            problems.append(f"{name}: unknown key `{key}`; known are {', '.join(known)}")
            continue
        try:
            if isinstance(value, float) and not math.isfinite(value):
                raise msgspec.ValidationError(f"Expected a number, got {value}")
            accepted[field.name] = msgspec.convert(value, field.type)
        except msgspec.ValidationError as error:
            problems.append(f"{name}: `{key}`: {error}")
    return Loaded(Settings(**accepted), tuple(problems), frozenset(accepted))


def bounds(name: str) -> str:
    """The values that a setting takes, in words."""
    hint = get_type_hints(Settings, include_extras=True)[name]
    for limit in (a for a in get_args(hint) if isinstance(a, Meta)):
        number = "a whole number" if get_args(hint)[0] is int else "a number"
        return f"{number} from {limit.ge} to {limit.le}"
    return {bool: "on or off", str: "a name"}.get(hint, "action: key")


def setting_from(name: str, text: str) -> Any:
    """The value that a user's text stands for. Raises UsageError, with what the setting takes."""
    field = next(f for f in msgspec.structs.fields(Settings) if f.name == name)
    value: object = {"on": True, "off": False}.get(text, text) if field.type is bool else text
    try:
        found = msgspec.convert(value, field.type, strict=False)
        if isinstance(found, float) and not math.isfinite(found):
            raise msgspec.ValidationError("not finite")
    except msgspec.ValidationError:
        raise UsageError(f"{name} cannot be `{text}`", f"it takes {bounds(name)}") from None
    return found


def change_setting(name: str, value: Any, folder: Path | None = None) -> None:
    """Set one key in the settings file, in one step; None takes it out, and its default counts. The rest of
    the file, comments too, stays as it is.

    Raises StoreError where the file cannot be read or written, or holds no keys and values.
    """
    path = (folder or config_home()) / SETTINGS_FILENAME
    try:
        text = path.read_text(encoding="utf-8")
        wanted = yaml.load(text, Loader=_YamlLoader) or {}
    except FileNotFoundError:
        text, wanted = "", {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StoreError(
            f"{path.name} cannot be read ({_first_line(error)})", "put it right first"
        ) from error
    if not isinstance(wanted, dict):
        raise StoreError(f"{path.name} holds no keys and values", "put it right first")
    wanted = {key: given for key, given in wanted.items() if key != name or value is not None}
    if value is not None:
        wanted[name] = value
    edited = _with_line(text, name, value)
    try:
        kept = (yaml.load(edited, Loader=_YamlLoader) or {}) == wanted
    except yaml.YAMLError:
        kept = False
    atomic.write_text(path.resolve(), edited if kept else _yaml(wanted))


def _with_line(text: str, name: str, value: Any) -> str:
    """The file's text with another value for a key that stands on lines of its own, or at the end."""
    root = yaml.compose(text, Loader=_YamlLoader)
    line = "" if value is None else _yaml({name: value})
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    for key, old in pairs:
        if key.value == name:
            begin, end = key.start_mark.index, _end(old)
            after = text[end:]
            return text[:begin] + (line.rstrip("\n") + after if line else after.partition("\n")[2])
    return text + ("" if not text or text.endswith("\n") else "\n") + line


def _end(node: Any) -> int:
    """Where a value ends, without the comments that come after a block."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML that reads as what they are: PyYAML writes some characters so that they do not."""
    if not values:
        return ""
    text: str = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)
    if yaml.load(text, Loader=_YamlLoader) != values:
        text = yaml.safe_dump(dict(values), sort_keys=False)
    return text


def load_state(folder: Path | None = None) -> State:
    """What was remembered; an unreadable file counts as nothing remembered."""
    path = (folder or state_home()) / STATE_FILENAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, *NOT_JSON):
        return State()


def save_state(state: State, folder: Path | None = None) -> None:
    """Keep `state` for the next start. Failing to is no reason to bother the person."""
    path = (folder or state_home()) / STATE_FILENAME
    with contextlib.suppress(StoreError):
        atomic.write_bytes(path, msgspec.json.format(msgspec.json.encode(state), indent=1))


def remember_document(state: State, document: Path) -> None:
    """Put `document` at the head of the recent ones."""
    entry = path_text(document.resolve())
    state.recent = [entry, *(r for r in state.recent if r != entry)][:MAX_RECENT]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
