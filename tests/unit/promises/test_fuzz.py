"""A short form of `benchmarks.fuzz`: every reader gets some hundred damaged inputs, and huge ones."""

import random
import time
from pathlib import Path

import pytest

from benchmarks.fuzz import Count, drive
from benchmarks.fuzz_documents import FRONT
from benchmarks.fuzz_guided import fuzz
from benchmarks.fuzz_readers import targets
from dlm_core.bases.gguf_header import check_header
from dlm_core.document import parse_text
from dlm_core.document.migrate import migrate
from dlm_core.errors import BaseModelError, DlmError, DocumentError
from dlm_core.evaluation.probes import load_probes

MEGABYTE = 1 << 20


def test_no_reader_answers_damage_with_anything_but_its_own_errors(tmp_path: Path) -> None:
    seen: dict[str, Count] = {}
    for target in targets(tmp_path):
        count = seen[target.name] = Count()
        drive(target, 600.0, random.Random(target.name), count, most=60)
        assert count.failures == [], target.name
    assert seen.keys() >= {
        "document",
        "yaml",
        "fences",
        "probes",
        "near",
        "data",
        "request",
        "event",
        "pack",
        "gguf",
        "adapter",
    }
    assert all(count.inputs >= 60 for count in seen.values())


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["document", "gguf"])
def test_guided_fuzzing_reaches_more_places_than_one_and_breaks_none(reader: str) -> None:
    pytest.importorskip("atheris")
    found = fuzz(reader, seconds=8, seed=1)
    assert found["failure"] == "" and found["inputs"] > 20 and found["places"] > 50


@pytest.mark.parametrize("line", ["x", "[- ", "&a *a "])
def test_a_line_of_fifty_megabytes_is_refused_at_once(line: str, tmp_path: Path) -> None:
    text = (line * (50 * MEGABYTE // len(line.encode()))).encode()
    began = time.process_time()
    for whole in (text, FRONT.encode() + text, FRONT.encode() + b"---\n" + text):
        assert {d.code for d in parse_text(whole).errors} == {"too-large"}
    with pytest.raises(DocumentError):
        migrate(text)
    (tmp_path / "probes.yaml").write_bytes(text)
    with pytest.raises(DlmError):
        load_probes(tmp_path / "probes.yaml", ("tone",))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "claims",
    [
        (2**62).to_bytes(8, "little") * 2,  # tensors and keys without end
        bytes(8) + (1).to_bytes(8, "little") + (2**63).to_bytes(8, "little") + b"key",
        bytes(8) + (1).to_bytes(8, "little") + (1).to_bytes(8, "little") + b"k"
        + (9).to_bytes(4, "little") + (4).to_bytes(4, "little") + (2**61).to_bytes(8, "little"),
        bytes(8) + (1).to_bytes(8, "little") + (1).to_bytes(8, "little") + b"k"
        + ((9).to_bytes(4, "little") + (1).to_bytes(8, "little")) * 5000,  # deeper than Python can recurse
        (1).to_bytes(8, "little") + bytes(8) + (1).to_bytes(8, "little") + b"t"
        + (2**31).to_bytes(4, "little"),
    ],
)  # fmt: skip
def test_a_gguf_header_that_claims_too_much_is_refused_at_once(tmp_path: Path, claims: bytes) -> None:
    path = tmp_path / "base\x1b.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + claims + bytes(100))
    with pytest.raises(BaseModelError, match=r"base␛\.gguf is not a whole GGUF file") as refused:
        check_header(path)
    assert refused.value.hint
    for content in (b"", b"GGUF", b"GGUF" + bytes(30), b"nope" + bytes(30), b"GGUF\0\0\0\x03" + bytes(30)):
        path.write_bytes(content)
        with pytest.raises(BaseModelError):
            check_header(path)
