"""Whether a document can be trained here: device, number format, memory needed and free, what to change.

The need is an estimate from the base's shape, meant to be right within a factor of about 1.5:

    weights      parameters × bytes
    adapters     20 bytes per trained value: itself, gradient, two moments of AdamW, and the serving copy
    activations  per token and layer 10 × hidden + 4 × intermediate values are kept for the backward pass
    logits       three float32 copies, counted as if every position carried loss
"""

import json
import math
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dlm_core.bases.cache import BaseCache
from dlm_core.bases.folder import missing_parts
from dlm_core.bases.placement import DeviceProbe, Placement, TorchProbe, choose_placement, memory_available
from dlm_core.bases.registry import ENCODER, BaseRef, parse_base_name
from dlm_core.document.model import Document, Section, Turn
from dlm_core.document.schema import AdapterConfig
from dlm_core.reports import Checkup, MemoryNeed

_PACKAGES = ("dlm-workbench", "torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors")
_LIBRARIES_BYTES = 600 << 20
_CHARACTERS_PER_TOKEN = 3.5
_TEMPLATE_TOKENS = 40
_AUTO_ROWS = 3
_LEAST_TOKEN_BUDGET = 2048
_LARGE_FOR_A_CPU = 2_000_000_000


@dataclass(frozen=True)
class Shape:
    """The sizes of a base that memory depends on; `known` says whether they were read or guessed."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    key_value: int
    vocabulary: int
    known: bool


@dataclass(frozen=True)
class Need:
    """One part of the memory that training takes, in bytes."""

    label: str
    size: int
    how: str


@dataclass(frozen=True)
class EncoderState:
    """The sentence encoder: its name, the sha256 of its weights and its folder, "" where it is not here."""

    name: str
    sha256: str = ""
    path: str = ""


@dataclass(frozen=True)
class Report:
    """What was found. `needs` is empty and `base` "" without a document; sizes in bytes.

    `base_state` is cached, on disk, not fetched or missing; `estimated`: the base's shape was guessed.
    """

    placement: Placement
    available: int
    versions: tuple[tuple[str, str], ...]
    platform: str
    encoder: EncoderState
    base: str = ""
    base_state: str = ""
    needs: tuple[Need, ...] = ()
    estimated: bool = False
    advice: tuple[str, ...] = ()

    @property
    def needed(self) -> int:
        """Bytes that training takes altogether."""
        return sum(n.size for n in self.needs)

    @property
    def fits(self) -> bool:
        """Whether the estimate is within what is free."""
        return self.needed <= self.available

    def checkup(self) -> Checkup:
        """The report as a value that serialises, for front ends."""
        return Checkup(
            device=self.placement.device,
            dtype=self.placement.dtype_name,
            reason=self.placement.reason,
            available=self.available,
            platform=self.platform,
            versions=dict(self.versions),
            base=self.base,
            base_state=self.base_state,
            needs=tuple(MemoryNeed(need.label, need.size, need.how) for need in self.needs),
            needed=self.needed,
            fits=self.fits,
            estimated=self.estimated,
            advice=self.advice,
            encoder=self.encoder.name,
            encoder_sha256=self.encoder.sha256,
            encoder_path=self.encoder.path,
        )


def examine(
    document: Document | None,
    *,
    home: Path,
    device: str | None = None,
    probe: DeviceProbe | None = None,
    environ: Mapping[str, str] = os.environ,
    in_memory: str = "",
) -> Report:
    """Look at this machine, and at what `document` would need on it. Fetches nothing, loads no model.

    `in_memory` is the base that this process holds already: if it is the document's, what its weights take
    counts as free.

    Raises UsageError for a device that is not there, BaseModelError for a `base_model` that is none.
    """
    probe = probe or TorchProbe()
    precision = document.frontmatter.training.precision if document else "auto"
    placement = choose_placement(precision, device, probe, environ)
    available = memory_available(placement.device, probe)
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if document is None:
        return Report(placement, available, tuple(_versions()), system, _encoder(home))
    ref = parse_base_name(document.frontmatter.base_model, document.path.parent)
    folder, state = _where(ref, home)
    shape = _shape(folder, ref)
    needs = tuple(_needs(document, shape, placement)) if shape else ()
    if needs and in_memory == ref.name:
        available += needs[0].size
    return Report(
        placement=placement,
        available=available,
        versions=tuple(_versions()),
        platform=system,
        encoder=_encoder(home),
        base=ref.name,
        base_state=state,
        needs=needs,
        estimated=shape is None or not shape.known,
        advice=tuple(_advice(document, ref, state, shape, needs, placement, available)),
    )


def _versions() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "not installed"


def _encoder(home: Path) -> EncoderState:
    cache = BaseCache(home)
    manifest, found = cache.manifest(ENCODER.name), cache.look_up(ENCODER.name).folder
    if manifest is None or found is None:
        return EncoderState(ENCODER.name)
    weights = (record.sha256 for record in manifest.files if record.name.endswith(".safetensors"))
    return EncoderState(ENCODER.name, next(weights, ""), str(found.path))


def _where(ref: BaseRef, home: Path) -> tuple[Path | None, str]:
    if ref.path is not None:
        if ref.path.is_dir() and not missing_parts(ref.path):
            return ref.path, "on disk"
        return None, "on disk" if ref.path.is_file() else "missing"
    found = BaseCache(home).look_up(ref.name).folder
    return (found.path, "cached") if found else (None, "not fetched")


def _shape(folder: Path | None, ref: BaseRef) -> Shape | None:
    """Read from the config if the base is here, else guessed from the registry's parameter count."""
    if folder is not None:
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            stored = sum(p.stat().st_size for p in folder.glob("*.safetensors"))
            return _shape_from_config(config.get("text_config", config), stored)
        except (OSError, ValueError, AttributeError, KeyError, TypeError, ZeroDivisionError):
            pass
    if ref.spec is None:
        return None
    # A decoder has about 12 · layers · hidden² weights, and commonly 64 of hidden per layer.
    hidden = round(math.cbrt(ref.spec.parameters * 64 / 12))
    return Shape(ref.spec.parameters, hidden // 64, hidden, 4 * hidden, hidden, 100_000, known=False)


def _shape_from_config(config: Mapping[str, object], stored_bytes: int) -> Shape:
    def number(*keys: str, default: float | None = None) -> int:
        for key in keys:
            value = config.get(key)
            if isinstance(value, int) and value > 0:
                return value
        if default is None:
            raise KeyError(keys[0])
        return int(default)

    hidden = number("hidden_size", "n_embd", "d_model")
    heads = number("num_attention_heads", "n_head", default=1)
    head_dim = number("head_dim", default=hidden / heads)
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return Shape(
        parameters=stored_bytes // (4 if "float32" in stored else 2),
        layers=number("num_hidden_layers", "n_layer"),
        hidden=hidden,
        intermediate=number("intermediate_size", "n_inner", "ffn_dim", default=4 * hidden),
        key_value=number("num_key_value_heads", default=heads) * head_dim,
        vocabulary=number("vocab_size"),
        known=True,
    )


def _needs(document: Document, shape: Shape, placement: Placement) -> Iterator[Need]:
    width = placement.weights_dtype.itemsize
    yield Need("base", shape.parameters * width, f"{shape.parameters:,} parameters in {placement.dtype_name}")
    adapters = document.frontmatter.training.adapter_configs()
    trained = sum(_trained_values(config, shape) for config in adapters.values())
    how = f"{len(adapters)} with {trained:,} values, their gradients and AdamW's moments"
    yield Need("adapters", trained * 20, how)
    rows, length = _batch(document)
    tokens = rows * length
    values = tokens * shape.layers * (10 * shape.hidden + 4 * shape.intermediate)
    activations = values * width + tokens * shape.vocabulary * 4 * 3
    yield Need("activations and logits", activations, f"batches of about {rows} rows of {length} tokens")
    if placement.device == "cpu":
        yield Need("libraries", _LIBRARIES_BYTES, "torch and transformers themselves")


def _trained_values(config: AdapterConfig, shape: Shape) -> int:
    """Values of one adapter over all linear layers, an upper bound where `target_modules` names some only."""
    h, i, kv = shape.hidden, shape.intermediate, shape.key_value
    layers = ((h, h), (h, kv), (h, kv), (h, h), (h, i), (h, i), (i, h))
    gates = sum(d_in + 1 for d_in, _ in layers) if config.adapter == "disel" else 0
    return shape.layers * config.lora_r * (sum(d_in + d_out for d_in, d_out in layers) + gates)


def _batch(document: Document) -> tuple[int, int]:
    """Rows and tokens per row of the largest batch that training would form."""
    training = document.frontmatter.training
    longest = max((_longest(s) for s in document.sections), default=0)
    length = min(training.sequence_len, _TEMPLATE_TOKENS + math.ceil(longest / _CHARACTERS_PER_TOKEN))
    rows = _AUTO_ROWS if training.micro_batch_size == "auto" else training.micro_batch_size
    budget = max(training.sequence_len, _LEAST_TOKEN_BUDGET)
    return max(1, min(rows, budget // length)), length


def _longest(section: Section) -> int:
    """Characters of the longest row a section gives."""
    pairs = [len(max(q.wordings, key=len)) + len(q.answer) + _turns(q.before) for q in section.questions]
    pairs += [
        len(p.prompt) + max(len(p.chosen), len(p.rejected)) + _turns(p.before) for p in section.preferences
    ]
    return max(pairs) if pairs else len(section.text)


def _turns(before: Sequence[Turn]) -> int:
    return sum(len(turn.question) + len(turn.answer) for turn in before)


def _advice(
    document: Document,
    ref: BaseRef,
    state: str,
    shape: Shape | None,
    needs: tuple[Need, ...],
    placement: Placement,
    available: int,
) -> Iterator[str]:
    training = document.frontmatter.training
    if state == "missing":
        yield f"{ref.name} does not exist; path: is taken from the document's folder"
    if state == "not fetched":
        licence = " (accept its licence on the hub first)" if ref.spec and ref.spec.gated else ""
        yield f"fetch the base with `dlm base pull {ref.name}`{licence}"
    if placement.device == "cpu" and shape and shape.parameters > _LARGE_FOR_A_CPU:
        yield "a base of this size trains very slowly on a CPU; take a smaller one, or a machine with a GPU"
    if sum(n.size for n in needs) <= available:
        return
    base, activations = needs[0].size, needs[2].size
    if base > available:
        yield "the base alone does not fit: choose a smaller base_model"
    rows, length = _batch(document)
    if activations > available / 4 and rows > 1:
        yield f"set training.micro_batch_size to {max(1, rows // 2)} (and training.grad_accum to 2)"
    if activations > available / 4 and length > 512:
        yield f"set training.sequence_len to {length // 2}, or write shorter sections"
    if placement.dtype_name == "float32" and training.precision != "bf16":
        yield "set training.precision to bf16: the base takes half the memory"
    yield "close other programs, or use a machine with more memory"
