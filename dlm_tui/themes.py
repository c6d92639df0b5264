"""Themes: one YAML file each, validated, turned into what the frame, the editor and the plots paint with."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta
from rich.color import Color as RichColor
from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.theme import Theme as TextualTheme

from dlm_tui.settings import config_home

DEFAULT_THEME = "ink"
RAMP_STEPS = 96
ANSI_NAMES = (
    "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
    "bright_black", "bright_red", "bright_green", "bright_yellow",
    "bright_blue", "bright_magenta", "bright_cyan", "bright_white",
)  # fmt: skip
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_COLOR_RULE = "a colour is `#rrggbb`, or in a theme with `ansi: true` one of default, " + ", ".join(
    ANSI_NAMES
)


@cache
def syntax_tokens() -> tuple[str, ...]:
    """The kinds of stretch an editor line may hold; a theme styles each.

    Imported when it is asked for: the first frame is painted without the parser.
    """
    from dlm_core.document.highlight import HighlightKind

    return tuple(kind.value for kind in HighlightKind)


class Palette(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The colours of the frame: those of a Textual theme."""

    primary: str
    secondary: str
    accent: str
    success: str
    warning: str
    error: str
    foreground: str
    background: str
    surface: str
    panel: str


class ThemeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One theme file.

    Args:
        name: what settings and the palette call it; letters, digits and dashes.
        description: one sentence.
        dark: whether light text stands on a dark ground.
        ansi: keep to the terminal's own 16 colours.
        colors: the frame.
        adapters: colours given to a document's adapters in the order they are declared, then round again.
        syntax: editor token → rich style ("bold #aabbcc").
        heat: colours from a closed rank to an open one.
        plot_axis: axes and ticks of plots.
        plot_all: the curve of all adapters together.
        variables: further Textual design variables.
    """

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
    description: str
    dark: bool
    colors: Palette
    adapters: Annotated[tuple[str, ...], Meta(min_length=4)]
    syntax: dict[str, str]
    heat: Annotated[tuple[str, ...], Meta(min_length=2)]
    plot_axis: str
    plot_all: str
    ansi: bool = False
    variables: dict[str, str] = {}


@dataclass(frozen=True)
class WorkbenchTheme:
    """A theme that passed its checks, ready to paint with."""

    spec: ThemeSpec
    path: Path
    syntax: dict[str, Style] = field(repr=False)

    @property
    def name(self) -> str:
        return self.spec.name

    def adapter_color(self, index: int) -> str:
        """The colour of the adapter that is declared at `index` (from 0), as rich writes it."""
        colors = self.spec.adapters
        return colors[index % len(colors)]

    def heat_color(self, value: float) -> str:
        """The colour for an openness of `value` in 0..1: a ramp, or steps where the theme has 16 colours."""
        stops = self.spec.heat
        value = min(1.0, max(0.0, value))
        if self.spec.ansi:
            return stops[min(len(stops) - 1, int(value * len(stops)))]
        return _ramp(stops)[round(value * RAMP_STEPS)]

    def to_textual(self) -> TextualTheme:
        """The same theme as Textual wants it."""
        colors: dict[str, Any] = {
            key: _textual_color(value) for key, value in msgspec.structs.asdict(self.spec.colors).items()
        }
        variables = dict(self.spec.variables)
        for token in ("plot_axis", "plot_all"):
            variables[token.replace("_", "-")] = _textual_color(getattr(self.spec, token))
        return TextualTheme(
            name=self.name, dark=self.spec.dark, ansi=self.spec.ansi, variables=variables, **colors
        )


@dataclass(frozen=True)
class Library:
    """All themes that can be used, by name, and a sentence for each thing wrong in a file that cannot."""

    themes: dict[str, WorkbenchTheme]
    problems: tuple[str, ...] = ()

    def get(self, name: str) -> WorkbenchTheme:
        """The theme called `name`, or the default one."""
        return self.themes.get(name) or self.themes[DEFAULT_THEME]


def theme_folders() -> tuple[Path, ...]:
    """Where themes are looked for: those that come with the workbench, then the person's own."""
    here = Path(__file__).resolve().parent
    bundled = here / "_bundled" / "themes"
    if not bundled.is_dir():
        bundled = here.parent / "themes"
    return bundled, config_home() / "themes"


def load_library(folders: Sequence[Path] | None = None) -> Library:
    """Read every `*.yaml` of `folders`; a later theme replaces an earlier one of the same name."""
    themes: dict[str, WorkbenchTheme] = {}
    problems: list[str] = []
    for path in _theme_files(folders if folders is not None else theme_folders()):
        theme, wrong = load_theme(path)
        problems.extend(wrong)
        if theme is not None:
            themes[theme.name] = theme
    return Library(themes, tuple(problems))


def theme_paths() -> list[Path]:
    """The folders that themes come from, and the files in them."""
    folders = theme_folders()
    return [*folders, *_theme_files(folders)]


def load_first(name: str) -> WorkbenchTheme | None:
    """The theme called `name` by its file's name alone, its syntax unchecked: for the first frame."""
    for folder in reversed(theme_folders()):
        path = folder / f"{name}.yaml"
        if name and path.is_file():
            theme, _ = load_theme(path, tokens=None)
            return theme if theme is not None and theme.name == name else None
    return None


def load_theme(
    path: Path, tokens: Callable[[], tuple[str, ...]] | None = syntax_tokens
) -> tuple[WorkbenchTheme | None, list[str]]:
    """Read one theme file: the theme, or None with every problem in it.

    Args:
        tokens: answers what `syntax` may style; None leaves that unchecked.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_YamlLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return None, [f"theme {path.name}: cannot be read ({str(error).splitlines()[0]})"]
    if not isinstance(raw, dict):
        return None, [f"theme {path.name}: expected keys and values"]
    problems: list[str] = []
    accepted = _convert_fields(raw, problems)
    spec = _checked(accepted, problems, tokens) if not problems else None
    if spec is None:
        return None, [f"theme {path.name}: {problem}" for problem in problems]
    syntax = defaultdict(Style, {token: Style.parse(style) for token, style in spec.syntax.items()})
    return WorkbenchTheme(spec, path, syntax), []


def _convert_fields(raw: dict[Any, Any], problems: list[str]) -> dict[str, Any]:
    fields = {f.name: f for f in msgspec.structs.fields(ThemeSpec)}
    accepted: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in fields:
            problems.append(f"unknown key `{key}`")
            continue
        try:
            accepted[key] = msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as error:
            problems.append(f"`{key}`: {error}")
    problems.extend(f"`{name}` is missing" for name, f in fields.items() if f.required and name not in raw)
    return accepted


def _checked(
    accepted: dict[str, Any], problems: list[str], tokens: Callable[[], tuple[str, ...]] | None
) -> ThemeSpec | None:
    spec = ThemeSpec(**accepted)
    colors = [(f"colors.{key}", value) for key, value in msgspec.structs.asdict(spec.colors).items()]
    colors += [(f"adapters[{i}]", value) for i, value in enumerate(spec.adapters)]
    colors += [(f"heat[{i}]", value) for i, value in enumerate(spec.heat)]
    colors += [("plot_axis", spec.plot_axis), ("plot_all", spec.plot_all)]
    for place, value in colors:
        if not _is_color(value, spec.ansi):
            problems.append(f"`{place}`: {value!r} is no colour; {_COLOR_RULE}")
    for token, style in spec.syntax.items():
        if tokens is not None and token not in tokens():
            problems.append(f"`syntax.{token}` styles nothing; there are {', '.join(tokens())}")
            continue
        try:
            Style.parse(style)
        except StyleSyntaxError as error:
            problems.append(f"`syntax.{token}`: {error}")
    return None if problems else spec


def _is_color(value: str, ansi: bool) -> bool:
    if ansi:
        return value == "default" or value in ANSI_NAMES
    return _HEX.fullmatch(value) is not None


def _textual_color(value: str) -> str:
    return value if value.startswith("#") else f"ansi_{value}"


def _theme_files(folders: Iterable[Path]) -> list[Path]:
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.yaml"))]


@lru_cache(maxsize=64)
def _ramp(stops: tuple[str, ...]) -> tuple[str, ...]:
    """The colours from the first stop to the last in `RAMP_STEPS` even steps."""
    colors = []
    for step in range(RAMP_STEPS + 1):
        position = step / RAMP_STEPS * (len(stops) - 1)
        index = min(len(stops) - 2, int(position))
        colors.append(_mix(stops[index], stops[index + 1], position - index))
    return tuple(colors)


def _mix(low: str, high: str, share: float) -> str:
    first, second = RichColor.parse(low).get_truecolor(), RichColor.parse(high).get_truecolor()
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"
