"""A pack that is not what `dlm pack` writes is refused in words, before anything is written anywhere."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlm_core.errors import StoreError
from dlm_core.pack import pack, unpack
from dlm_core.pack.archive import header
from dlm_core.store import envelope
from tests.unit.pack.conftest import DOCUMENT, train

Members = list[tuple[tarfile.TarInfo, bytes]]
MANIFEST = "store/manifest.json"
WEIGHTS = "store/adapters/tone/v0001/adapter_model.safetensors"


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A pack as `dlm pack` writes it."""
    folder = tmp_path_factory.mktemp("genuine")
    (folder / "hedge.dlm").write_text(DOCUMENT)
    train(folder / "hedge.dlm", folder)
    return pack(folder / "hedge.dlm", home=folder).path.read_bytes()


def members(raw: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return [(info, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def written(parts: Members, form: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    for info, content in parts:
        plain = info.type == tarfile.REGTYPE
        out.write(info.tobuf(form, "utf-8", "surrogateescape"))
        out.write(content + bytes(-len(content) % 512) if plain else b"")
    return out.getvalue() + bytes(1024)


def file(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    return info, content


def reindexed(raw: bytes, change: Callable[[dict[str, Any], dict[str, bytes]], None], form: int = 1) -> bytes:
    """The pack with another list of files, hashes in order: what someone makes who knows the format."""
    parts = {info.name: content for info, content in members(raw)}
    index, _ = envelope.decode(parts.pop("pack.json"), "pack")
    change(index, parts)
    for name, content in parts.items():
        if name in index["files"]:
            index["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    index["files"] = dict(sorted(index["files"].items()))
    ordered = [file(name, parts[name]) for name in index["files"] if name in parts]
    return written([file("pack.json", envelope.encode(index, form, "pack")), *ordered])


def remanifested(raw: bytes, **fields: object) -> bytes:
    """The pack with other fields in its manifest."""

    def change(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        content, form = envelope.decode(parts[MANIFEST], "manifest")
        parts[MANIFEST] = envelope.encode(content | fields, form, "manifest")

    return reindexed(raw, change)


def refusal(raw: bytes, tmp_path: Path) -> StoreError:
    """Why a pack is refused; nothing may have come of it."""
    given = tmp_path / "hostile.dlmpack"
    given.write_bytes(raw)
    with pytest.raises(StoreError) as refused:
        unpack(given, tmp_path / "folder" / "inner", tmp_path / "folder" / "home")
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.dlmpack"]
    assert "hostile.dlmpack" in refused.value.message
    assert refused.value.message.isprintable()
    return refused.value


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.DIRTYPE, "a folder"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (tarfile.XHDTYPE, "something else"),
    ],
)
def test_nothing_but_plain_files_is_taken(genuine: bytes, tmp_path: Path, kind: bytes, said: str) -> None:
    parts = members(genuine)
    info, _ = parts[3]
    info.type, info.linkname = kind, "/etc/passwd"
    assert f"there is {said} called" in refusal(written(parts), tmp_path).message


@pytest.mark.parametrize(
    "name",
    [
        "/etc/cron.d/x.json",
        "../x.json",
        "store/../../x.json",
        "store/adapters/../v0001/x.json",
        "store/adapters/tone/v0001/../../../x.json",
        "store/adapters/tone/v0001/sub/x.json",
        "store/adapters/tone/v0001/..\\x.json",
        "store/adapters/tone/v0001/.x.json",
        "store/adapters/tone/v0001/adapter_model.bin",
        "store/adapters/tone/v0001/adapter_model.pkl",
        "store/adapters/tone/v0001/x\n.json",
        "store/adapters/tone/v0001/\x1b]0;x\x07.json",
        "store/adapters/TONE/v0001/x.json",
        "store/adapters/tone/v1/x.json",
        "store/history/000001.json",
        "C:/x.json",
        "",
    ],
)
def test_no_name_leads_out_of_its_folder(genuine: bytes, tmp_path: Path, name: str) -> None:
    def change(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        index["files"][name] = {}
        parts[name] = b"x"

    assert "has no place in a pack" in refusal(reindexed(genuine, change), tmp_path).message


def test_a_name_that_only_the_archive_holds_is_not_followed(genuine: bytes, tmp_path: Path) -> None:
    for name in ("../outside", "/outside", WEIGHTS):
        parts = members(genuine)
        parts[3] = file(name, parts[3][1])
        assert "has to follow" in refusal(written(parts), tmp_path).message


@pytest.mark.parametrize(
    "name",
    [
        "../hedge.dlm", "/hedge.dlm", "a/hedge.dlm", "a\\hedge.dlm", "hedge", ".hedge.dlm", "..dlm", ".dlm",
        "CON.dlm", "aux.x.dlm", "hedge.dlm\n", "\x1b[2J.dlm", "h\u202emld.dlm", "a:b.dlm", "x" * 300 + ".dlm",
        ".bashrc", "\udc80.dlm", "",
    ],
)  # fmt: skip
def test_a_document_is_called_like_a_document(genuine: bytes, tmp_path: Path, name: str) -> None:
    def change(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        index["document"] = name

    try:
        hostile = reindexed(genuine, change)
    except StoreError:
        return  # JSON cannot hold it
    assert "cannot be called" in refusal(hostile, tmp_path).message


def test_no_file_comes_twice_or_is_added(genuine: bytes, tmp_path: Path) -> None:
    parts = members(genuine)
    assert "has to follow" in refusal(written([*parts[:4], *parts[3:]]), tmp_path).message
    assert "goes on after" in refusal(written([*parts, file("x", b"x")]), tmp_path).message
    assert "goes on after" in refusal(genuine + genuine, tmp_path).message

    def surplus(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        name = "store/adapters/tone/v0009/adapter_config.json"
        index["files"][name], parts[name] = {}, b"{}"

    assert "no version it holds names" in refusal(reindexed(genuine, surplus), tmp_path).message


def test_a_size_is_not_believed(genuine: bytes, tmp_path: Path) -> None:
    """What is announced and not there is noticed before it takes memory or room."""
    parts = members(genuine)
    index, form = envelope.decode(parts[0][1], "pack")
    index["files"][WEIGHTS]["size"] = 8**11 - 1
    before = parts[1 : [info.name for info, _ in parts].index(WEIGHTS)]
    head = written([file("pack.json", envelope.encode(index, form, "pack")), *before])[:-1024]
    assert "ends inside" in refusal(head + header(WEIGHTS, 8**11 - 1) + b"x" * 5000, tmp_path).message
    index["files"][WEIGHTS]["size"] = 8**12
    assert (
        "not one"
        in refusal(written([file("pack.json", envelope.encode(index, form, "pack"))]), tmp_path).message
    )
    index["files"] |= {"document.dlm": {"sha256": "0" * 64, "size": 2**30}}
    index["files"][WEIGHTS]["size"] = 1
    assert (
        "bytes" in refusal(written([file("pack.json", envelope.encode(index, form, "p"))]), tmp_path).message
    )
    assert "its list of files has" in refusal(header("pack.json", 2**32), tmp_path).message


def test_what_contradicts_itself_is_refused(genuine: bytes, tmp_path: Path) -> None:
    def another_document(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        parts["document.dlm"] = DOCUMENT.replace("01J9", "01J8").encode()

    def no_document(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        parts["document.dlm"] = b"\x80"

    def another_weight(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        parts[WEIGHTS] = b"weights"

    def no_seal(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        del index["files"]["store/adapters/tone/v0001/version.json"]

    def bad_id(index: dict[str, Any], parts: dict[str, bytes]) -> None:
        index["dlm_id"] = "../../../../../../../../x"

    for change, said in (
        (another_document, "another dlm_id"), (no_document, "its document has errors"),
        (another_weight, "not what its seal says"), (no_seal, "is missing"),
    ):  # fmt: skip
        assert said in refusal(reindexed(genuine, change), tmp_path).message
    with pytest.raises(StoreError, match="is not a dlm_id"):
        given = tmp_path / "hostile.dlmpack"
        given.write_bytes(reindexed(genuine, bad_id))
        unpack(given, tmp_path / "folder", tmp_path / "folder")
    assert "newer dlm" in refusal(reindexed(genuine, lambda *_: None, form=2), tmp_path).message


@pytest.mark.parametrize(
    "fields",
    [
        {"adapters": {"../../x": "v0001"}},
        {"adapters": {"tone": "../v0001"}},
        {"gate": "/v0001"},
        {"generation": 0},
        {"generation": 2**70},
        {"run_id": 2**63},
        {"numbered": {"tone": 999_999_999}},
        {"sections": "x"},
    ],
)
def test_a_manifest_that_would_do_harm_is_refused(
    genuine: bytes, tmp_path: Path, fields: dict[str, object]
) -> None:
    raw = remanifested(genuine, **fields)
    given = tmp_path / "hostile.dlmpack"
    given.write_bytes(raw)
    with pytest.raises(StoreError):
        unpack(given, tmp_path / "folder", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dlmpack")
    for path in (tmp_path / "pipe.dlmpack", tmp_path, tmp_path / "nothing"):
        with pytest.raises(StoreError, match=r"is not a file|cannot read"):
            unpack(path, tmp_path / "folder", tmp_path / "folder")


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.slow
def test_a_pack_that_was_changed_anywhere_is_refused(
    genuine: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    raw = bytearray(genuine)
    place = data.draw(st.integers(0, len(raw) - 1))
    match data.draw(st.sampled_from(["cut", "flip", "insert", "remove"])):
        case "cut":
            del raw[place:]
        case "flip":
            raw[place] ^= 1 << data.draw(st.integers(0, 7))
        case "insert":
            raw[place:place] = data.draw(st.binary(min_size=1, max_size=600))
        case "remove":
            del raw[place : place + data.draw(st.integers(1, 600))]
    if bytes(raw) != genuine:
        refusal(bytes(raw), tmp_path)


@given(st.binary(max_size=2000))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused(tmp_path: Path, raw: bytes) -> None:
    assert "is not a pack" in refusal(raw, tmp_path).message
    refusal(header("pack.json", len(raw)) + raw, tmp_path)


def test_the_index_is_json_and_nothing_else(genuine: bytes, tmp_path: Path) -> None:
    for content in (
        b"[" * 1_000_000,
        b"\x80\x04K\x01.",
        msgspec.json.encode({"format": 1, "sha256": "", "content": {}}),
    ):
        refusal(written([file("pack.json", content)]), tmp_path)
