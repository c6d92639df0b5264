"""What the doctor says about a document on machines of several sizes."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlm_core.bases.cache import BaseCache
from dlm_core.bases.doctor import Report, examine
from dlm_core.document.model import Document, Question, Section, SectionKind, Span
from dlm_core.document.schema import AdapterConfig, Frontmatter, TrainingConfig
from dlm_core.errors import BaseModelError

HERE = Span(1, 1, 1, 1)
GIB = 1 << 30


@dataclass(frozen=True)
class Machine:
    """A CPU with so much free memory, and perhaps a GPU."""

    free: int
    gpu_free: int | None = None

    def cuda_count(self) -> int:
        return 0 if self.gpu_free is None else 1

    def cuda_name(self, index: int) -> str:
        return "GPU"

    def cpu_bf16(self) -> bool:
        return False

    def cuda_bf16(self, index: int) -> bool:
        return True

    def cuda_free(self, index: int) -> int:
        return self.gpu_free or 0

    def mps(self) -> bool:
        return False

    def memory_free(self) -> int:
        return self.free


def document(
    folder: Path, base: str, training: TrainingConfig | None = None, answer: str = "short"
) -> Document:
    """A document with one question."""
    section = Section(
        SectionKind.INSTRUCTION, None, "", HERE, None, "0" * 64, questions=(Question("why?", answer, HERE),)
    )
    front = Frontmatter(dlm_id="0" * 26, base_model=base, training=training or TrainingConfig())
    return Document(folder / "a.dlm", front, (section,), "")


def base_folder(folder: Path, megabytes: int = 8) -> Path:
    """A folder with a config of a small llama and weights of a given size."""
    folder.mkdir()
    config = {
        "model_type": "llama", "dtype": "float32", "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(megabytes << 20)
    return folder


def ask(doc: Document | None, tmp_path: Path, machine: Machine) -> Report:
    return examine(doc, home=tmp_path / "home", probe=machine, environ={})


def sizes(report: Report) -> dict[str, int]:
    return {n.label: n.size for n in report.needs}


def test_without_a_document_it_tells_device_reason_and_versions(tmp_path: Path) -> None:
    report = ask(None, tmp_path, Machine(4 * GIB))
    assert (report.placement.device, report.available, report.needs) == ("cpu", 4 * GIB, ())
    assert "torch" in dict(report.versions)
    assert report.fits


def test_the_bases_share_is_its_parameters_in_the_format_of_the_device(tmp_path: Path) -> None:
    base_folder(tmp_path / "m", megabytes=8)
    doc = document(tmp_path, "path:m")
    cpu, gpu = ask(doc, tmp_path, Machine(4 * GIB)), ask(doc, tmp_path, Machine(GIB, gpu_free=9 * GIB))
    assert sizes(cpu)["base"] == 8 << 20
    assert sizes(gpu)["base"] == 4 << 20
    assert (gpu.placement.device, gpu.available) == ("cuda", 9 * GIB)


def test_adapters_count_by_their_number_rank_and_kind(tmp_path: Path) -> None:
    base_folder(tmp_path / "m")

    def adapters(**configs: AdapterConfig) -> int:
        doc = document(tmp_path, "path:m", TrainingConfig(adapters=configs))
        return sizes(ask(doc, tmp_path, Machine(GIB)))["adapters"]

    plain = AdapterConfig(adapter="lora", lora_r=4)
    assert adapters(a=plain, b=plain) == 2 * adapters(a=plain)
    assert adapters(a=AdapterConfig(adapter="lora", lora_r=8)) == 2 * adapters(a=plain)
    assert adapters(a=AdapterConfig(adapter="disel", lora_r=4)) > adapters(a=plain)


def test_longer_rows_take_more_until_the_sequence_length(tmp_path: Path) -> None:
    base_folder(tmp_path / "m")

    def activations(characters: int) -> int:
        doc = document(tmp_path, "path:m", TrainingConfig(sequence_len=512), "x" * characters)
        return sizes(ask(doc, tmp_path, Machine(GIB)))["activations and logits"]

    assert activations(100) < activations(1000) < activations(10_000) == activations(100_000)


def test_too_little_memory_is_said_with_what_to_change(tmp_path: Path) -> None:
    base_folder(tmp_path / "m")
    report = ask(document(tmp_path, "path:m", answer="x" * 1000), tmp_path, Machine(GIB))
    assert not report.fits
    assert any("micro_batch_size" in a for a in report.advice)


def test_what_the_base_in_memory_takes_counts_as_free(tmp_path: Path) -> None:
    base_folder(tmp_path / "m", megabytes=100)
    doc = document(tmp_path, "path:m")
    fresh = ask(doc, tmp_path, Machine(GIB))
    name, taken = fresh.base, sizes(fresh)["base"]
    held = examine(doc, home=tmp_path / "home", probe=Machine(GIB - taken), environ={}, in_memory=name)
    assert held.available == GIB and held.fits == fresh.fits
    other = examine(doc, home=tmp_path / "home", probe=Machine(GIB), environ={}, in_memory="another")
    assert other.available == GIB


def test_a_base_that_does_not_fit_by_itself_is_the_first_thing_said(tmp_path: Path) -> None:
    base_folder(tmp_path / "m", megabytes=3000)
    report = ask(document(tmp_path, "path:m"), tmp_path, Machine(GIB))
    assert "smaller base_model" in report.advice[0]


def test_where_it_fits_nothing_is_to_be_changed(tmp_path: Path) -> None:
    base_folder(tmp_path / "m")
    report = ask(document(tmp_path, "path:m"), tmp_path, Machine(16 * GIB))
    assert (report.fits, report.advice, report.estimated, report.base_state) == (True, (), False, "on disk")


def test_a_base_not_fetched_yet_is_estimated_and_the_command_that_fetches_it_named(tmp_path: Path) -> None:
    report = ask(document(tmp_path, "llama-3.2-3b"), tmp_path, Machine(64 * GIB))
    assert (report.base_state, report.estimated) == ("not fetched", True)
    assert sizes(report)["base"] > 12e9
    assert any("dlm base pull llama-3.2-3b" in a and "licence" in a for a in report.advice)
    assert any("slowly on a CPU" in a for a in report.advice)


def test_an_unknown_hub_base_has_no_estimate(tmp_path: Path) -> None:
    report = ask(document(tmp_path, "hf:org/name"), tmp_path, Machine(GIB))
    assert (report.needs, report.estimated) == ((), True)


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    report = ask(document(tmp_path, "path:gone"), tmp_path, Machine(GIB))
    assert report.base_state == "missing"
    assert "does not exist" in report.advice[0]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"hidden_size": "x"}', '{"hidden_size": 0}'])
def test_a_config_that_says_nothing_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    (base_folder(tmp_path / "m") / "config.json").write_text(text)
    assert ask(document(tmp_path, "path:m"), tmp_path, Machine(GIB)).estimated


def test_an_unknown_base_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError):
        ask(document(tmp_path, "smollm3"), tmp_path, Machine(GIB))


def test_it_names_the_encoder_and_knows_its_hash_once_it_is_cached(tmp_path: Path) -> None:
    missing = ask(None, tmp_path, Machine(GIB)).encoder
    assert (missing.name, missing.sha256, missing.path) == ("all-minilm-l6-v2", "", "")
    cache = BaseCache(tmp_path / "home")
    with cache.staging(missing.name) as stage:
        (stage / "weights").mkdir()
        (stage / "weights" / "config.json").write_text("{}")
        (stage / "weights" / "model.safetensors").write_bytes(b"weights")
        folder = cache.adopt(missing.name, "wheel", "w==1", stage)
    found = ask(None, tmp_path, Machine(GIB)).encoder
    assert (found.sha256, found.path) == (hashlib.sha256(b"weights").hexdigest(), str(folder.path))
