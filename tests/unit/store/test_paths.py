"""Names and ids decide where files go, and cannot lead anywhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_core.errors import StoreError
from dlm_core.store.paths import StorePaths, cache_dir, dlm_home, version_name, version_number

DLM_ID = "01J0000000000000000000TEST"


def test_the_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DLM_HOME", str(tmp_path))
    assert dlm_home() == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLM_HOME", "beside")
    assert dlm_home() == tmp_path / "beside"


def test_the_home_is_the_users_data_folder_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DLM_HOME", raising=False)
    assert dlm_home().is_absolute()
    assert "dlm" in dlm_home().parts


def test_everything_of_a_document_lies_in_its_own_folder(tmp_path: Path) -> None:
    paths = StorePaths(tmp_path, DLM_ID)
    assert paths.root == tmp_path / "store" / DLM_ID
    for path in (
        paths.manifest,
        paths.metrics,
        paths.lock,
        paths.gate,
        paths.checkpoints,
        paths.replay,
        paths.exports,
        paths.adapter("tone"),
        paths.version("tone", "v0001"),
        paths.gate_version("v0001"),
        paths.generation(1),
    ):
        assert path.is_relative_to(paths.root)
    assert not cache_dir(tmp_path).is_relative_to(tmp_path / "store")


def test_a_ulid_means_the_same_in_either_case(tmp_path: Path) -> None:
    assert StorePaths(tmp_path, DLM_ID.lower()).root == StorePaths(tmp_path, DLM_ID).root


@pytest.mark.parametrize(
    "dlm_id", ["", "..", "../" * 8 + "ab", DLM_ID + "\n", DLM_ID[:-1] + "/", DLM_ID[:-1] + "ſ"]
)
def test_what_is_no_ulid_is_refused(tmp_path: Path, dlm_id: str) -> None:
    with pytest.raises(StoreError, match="not a dlm_id"):
        StorePaths(tmp_path, dlm_id)


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "a\\b", "Tone", "tone\n", "/etc", "a" * 33, "ａ", "1a", "a.b"]
)
def test_what_is_no_adapter_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="not an adapter name"):
        StorePaths(tmp_path, DLM_ID).adapter(name)


@given(st.text(max_size=12), st.text(max_size=12))
def test_no_text_whatever_leads_out_of_the_store(name: str, version: str) -> None:
    paths = StorePaths(Path("/home/store"), DLM_ID)
    try:
        folder = paths.version(name, version)
    except StoreError:
        return
    assert folder.parent.parent == paths.adapters
    assert ".." not in folder.parts


@given(st.integers(1, 10**9 - 1))
def test_versions_count(number: int) -> None:
    assert version_number(version_name(number)) == number
