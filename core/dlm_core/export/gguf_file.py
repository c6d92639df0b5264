"""GGUF files: the base, merged or as it is, and a LoRA adapter for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from dlm_core.adapters.weights import AdapterWeights
from dlm_core.bases.load import Base
from dlm_core.engine_protocol import ShouldStop
from dlm_core.errors import Stopped
from dlm_core.export import gguf_tokenizer, quant
from dlm_core.export.fold import Weights
from dlm_core.export.gguf_shape import Shape


def names_in_file(shape: Shape, weights: Weights) -> dict[str, str]:
    """Every tensor of the base that is written, with its name in GGUF. Raises ExportError for one without."""
    found = {name: shape.tensor_name(name) for name in weights.names()}
    return {name: written for name, written in found.items() if written is not None}


def write_model(
    path: Path,
    base: Base,
    shape: Shape,
    weights: Weights,
    *,
    title: str,
    number_format: str,
    stop: ShouldStop,
) -> None:
    """Write config, tokenizer, chat template and weights. One tensor at a time is held in memory.

    Raises:
        ExportError: the tokenizer, or a tensor, has no place in GGUF.
        OSError: the disk refuses. Stopped.
    """
    vocabulary = gguf_tokenizer.read(base.tokenizer, shape.config.vocab_size)
    names = names_in_file(shape, weights)
    with _writer(path, shape.name) as writer:
        writer.add_type(gguf.GGUFType.MODEL)
        writer.add_name(title)
        writer.add_file_type(quant.FORMATS[number_format][1])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        shape.write_header(writer)
        gguf_tokenizer.write(writer, vocabulary, base.tokenizer, base.chat.turn_shape.end_id)
        extra = list(shape.extra_tensors())
        for written, tensor in extra:
            _announce(
                writer, written, tuple(tensor.shape), quant.type_of(written, tuple(tensor.shape), "f32")
            )
        for own, written in names.items():
            size = tuple(weights.parameter(own).shape)
            _announce(writer, written, size, quant.type_of(written, size, number_format))
        _begin_data(writer)
        for _, tensor in extra:
            writer.write_tensor_data(quant.encoded(tensor, gguf.GGMLQuantizationType.F32))
        for own, written in names.items():
            if stop():
                raise Stopped("stopped; nothing was exported")
            laid_out = shape.laid_out(own, weights.get(own))
            kind = quant.type_of(written, tuple(laid_out.shape), number_format)
            writer.write_tensor_data(quant.encoded(laid_out, kind))


def write_lora(path: Path, lora: AdapterWeights, shape: Shape, *, title: str) -> None:
    """Write a LoRA for llama.cpp, in float32: A [r, d_in] and B [d_out, r] beside the weight's name, and
    alpha.

    Raises ExportError where the adapter sits on a layer GGUF has no place for; OSError.
    """
    with _writer(path, shape.name) as writer:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.spec.alpha)
        writer.add_name(title)
        for module, layer in lora.layers.items():
            weight = f"{module}.weight"
            name = shape.tensor_name(weight)
            a, b = layer.a.detach(), shape.laid_out(weight, layer.b.detach())
            for role, tensor in (("lora_a", a), ("lora_b", b)):
                values = quant.encoded(tensor, gguf.GGMLQuantizationType.F32)
                writer.add_tensor(f"{name}.{role}", values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


@contextmanager
def _writer(path: Path, arch: str) -> Iterator[Any]:
    writer = gguf.GGUFWriter(path, arch)
    try:
        yield writer
    finally:
        writer.close()


def _announce(writer: Any, name: str, shape: tuple[int, ...], kind: Any) -> None:
    """Put a tensor into the table that stands before the data."""
    if kind in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
        dtype = np.dtype(np.float32 if kind == gguf.GGMLQuantizationType.F32 else np.float16)
        writer.add_tensor_info(name, shape, dtype, int(np.prod(shape)) * dtype.itemsize)
        return
    stored = gguf.quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(name, stored, np.dtype(np.uint8), int(np.prod(stored)), raw_dtype=kind)


def _begin_data(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
