"""What the person set up (a settings file) and what the workbench remembers (layout, recent documents)."""

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import platformdirs
import yaml
from msgspec import Meta

from dlm_core.errors import NOT_JSON, StoreError
from dlm_core.requests import path_text
from dlm_core.store import atomic

SETTINGS_FILENAME = "settings.yaml"
STATE_FILENAME = "workbench.json"
MAX_RECENT = 20
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings file. Every key is optional.

    Args:
        theme: name of a theme, bundled or the person's own.
        keys: action id → key or comma-separated keys, in place of the default.
        cursor_blink: whether the editor's cursor blinks.
        soft_wrap: whether long lines in the editor are wrapped.
        diagnostics_delay: seconds without a keystroke before the document is checked.
        route_delay: seconds without a keystroke before the line being typed is routed.
        max_tokens: longest reply in the chat.
        temperature: 0 is greedy.
        keep_asked: whether a document's store keeps the questions it was asked, with what was said of the
            replies.
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


class State(msgspec.Struct, kw_only=True):
    """What is remembered from one start to the next: recent documents, the layout, the theme chosen last."""

    recent: list[str] = []
    theme: str = ""
    hidden: list[str] = []
    shares: dict[str, float] = {}


@dataclass(frozen=True)
class Loaded:
    """Settings as read, and one sentence for each thing in the file that could not be used."""

    settings: Settings
    problems: tuple[str, ...] = ()


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
    return Loaded(Settings(**accepted), tuple(problems))


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
