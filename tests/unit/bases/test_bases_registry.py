"""What a document may write as its base."""

import subprocess
import sys
from pathlib import Path

import pytest

from dlm_core.bases.registry import REGISTRY, parse_base_name
from dlm_core.errors import BaseModelError

HERE = Path("/documents")


@pytest.mark.parametrize("name", REGISTRY)
def test_every_registry_name_is_a_reference_to_its_repository(name: str) -> None:
    ref = parse_base_name(name, HERE)
    assert (ref.kind, ref.name, ref.repo, ref.revision) == ("registry", name, REGISTRY[name].repo, None)


def test_registry_names_ignore_case_and_outer_space() -> None:
    assert parse_base_name(" SmolLM2-135M ", HERE).name == "smollm2-135m"


def test_a_hub_reference_may_carry_a_revision() -> None:
    ref = parse_base_name("hf:org/model-1.5B@refs/pr/3", HERE)
    assert (ref.kind, ref.repo, ref.revision) == ("hub", "org/model-1.5B", "refs/pr/3")


@pytest.mark.parametrize(
    "text", ["hf:model", "hf:a/b/c", "hf:../x", "hf:org/na me", "hf:org/x@", "hf:", "hf:o/x\x1b[2J"]
)
def test_a_malformed_hub_reference_is_refused(text: str) -> None:
    with pytest.raises(BaseModelError) as caught:
        parse_base_name(text, HERE)
    assert "\x1b" not in str(caught.value)


def test_a_path_is_taken_from_the_documents_folder(tmp_path: Path) -> None:
    assert parse_base_name("path:./model", tmp_path).path == tmp_path.resolve() / "model"
    assert parse_base_name(f"path:{tmp_path}/x.gguf", HERE).path == tmp_path.resolve() / "x.gguf"


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(BaseModelError, match="names no path"):
        parse_base_name("path: ", HERE)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("smollm2-135", "smollm2-135m"),
        ("qwen3-0.5b", "qwen3-0.6b"),
        ("llama3.2-1b", "llama-3.2-1b"),
        ("Qwen/Qwen3-0.6B", "hf:Qwen/Qwen3-0.6B"),
        ("./model.gguf", "path:./model.gguf"),
        ("zzz", "registry name"),
    ],
)
def test_an_unknown_name_is_answered_with_what_would_be_right(text: str, hint: str) -> None:
    with pytest.raises(BaseModelError) as caught:
        parse_base_name(text, HERE)
    assert hint in caught.value.hint


def test_looking_at_the_registry_does_not_import_torch() -> None:
    code = "import sys, dlm_core.bases.registry, dlm_core.bases.sources; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
