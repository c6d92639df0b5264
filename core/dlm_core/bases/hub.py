"""The Hugging Face hub as a source: bounded look-ups, safetensors only, its errors in words for a person."""

import contextlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dlm_core.bases.folder import FileRecord, missing_parts
from dlm_core.errors import Stopped

T = TypeVar("T")
LOOK_UP_SECONDS = 6.0
_ALLOW = ["*.json", "*.safetensors", "*.jinja", "tokenizer*", "*.model", "merges.txt", "vocab.txt"]
_IGNORE = ["*/*", "consolidated*", "*.bin.index.json"]
_SHA256 = re.compile(r"[0-9a-f]{64}")


class HubMiss(Exception):
    """The hub cannot give this base now. `text` says why, `hint` what would help."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


@dataclass(frozen=True)
class RepoState:
    """A repository at one commit."""

    commit: str


class Hub(Protocol):
    """What is asked of the hub; every method raises HubMiss when it cannot."""

    def local_snapshot(self, repo: str, revision: str | None) -> Path:
        """A snapshot that is on this machine already."""
        ...

    def state(self, repo: str, revision: str | None) -> RepoState:
        """The commit behind a revision; answers or fails within seconds."""
        ...

    def download(self, repo: str, commit: str, progress: Callable[[int, int], None]) -> Path:
        """The folder of a complete snapshot. `progress` gets bytes done and total, and may raise to stop."""
        ...


class HuggingFaceHub:
    """The real hub, through huggingface_hub: its cache, token, HF_ENDPOINT and HF_HUB_OFFLINE count."""

    def local_snapshot(self, repo: str, revision: str | None) -> Path:
        import huggingface_hub

        with hub_failures(repo, revision):
            folder = Path(
                huggingface_hub.snapshot_download(
                    repo,
                    revision=revision,
                    local_files_only=True,
                    allow_patterns=_ALLOW,
                    ignore_patterns=_IGNORE,
                )
            )
        if lacking := missing_parts(folder):
            raise HubMiss(f"its snapshot in the Hugging Face cache is incomplete ({lacking})")
        return folder

    def state(self, repo: str, revision: str | None) -> RepoState:
        import huggingface_hub

        if huggingface_hub.is_offline_mode():
            raise HubMiss("HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE to download")

        def ask() -> str | None:
            return (
                huggingface_hub.HfApi().model_info(repo, revision=revision, timeout=LOOK_UP_SECONDS - 1).sha
            )

        with hub_failures(repo, revision):
            commit = within(LOOK_UP_SECONDS, ask)
        if commit is None:
            raise HubMiss("the hub names no commit for it")
        return RepoState(commit)

    def download(self, repo: str, commit: str, progress: Callable[[int, int], None]) -> Path:
        import huggingface_hub

        with hub_failures(repo, commit):
            folder = Path(
                huggingface_hub.snapshot_download(
                    repo,
                    revision=commit,
                    allow_patterns=_ALLOW,
                    ignore_patterns=_IGNORE,
                    tqdm_class=reporting_bar(progress),
                )
            )
        if lacking := missing_parts(folder):
            raise HubMiss(
                f"the repository does not hold a base that can be used: {lacking}",
                "choose one with config, tokenizer and safetensors weights",
            )
        return folder


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, or TimeoutError: name resolution can outlast any timeout of the HTTP client."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work, daemon=True, name="hub-look-up")
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return outcome[0]


def delete_snapshot(folder: Path) -> int:
    """Delete a snapshot from the Hugging Face cache that holds it; the bytes freed (files shared with other
    revisions stay). A folder that is in no such cache is left alone.
    """
    import huggingface_hub

    try:
        cache = huggingface_hub.scan_cache_dir(folder.parents[2])
        held = any(r.commit_hash == folder.name for repo in cache.repos for r in repo.revisions)
        if not held:
            return 0
        strategy = cache.delete_revisions(folder.name)
        strategy.execute()
    except (huggingface_hub.errors.CacheNotFound, IndexError, ValueError):
        return 0
    return int(strategy.expected_freed_size)


def altered_blob(folder: Path, records: tuple[FileRecord, ...]) -> str:
    """The first file whose sha256 is not the one the hub's cache names its blob by; "" where all agree."""
    for record in records:
        blob = (folder / record.name).resolve().name
        if _SHA256.fullmatch(blob) and blob != record.sha256:
            return record.name
    return ""


@contextlib.contextmanager
def hub_failures(repo: str, revision: str | None) -> Any:
    """huggingface_hub's exceptions as HubMiss."""
    from huggingface_hub import errors

    # The HTTP client's own base class, whichever client this version of huggingface_hub is built on.
    transport_error: type[BaseException] = errors.HfHubHTTPError.__bases__[0]
    try:
        yield
    except (HubMiss, Stopped):
        raise
    except errors.GatedRepoError as error:
        raise HubMiss(
            "the repository is gated",
            f"accept its licence at https://huggingface.co/{repo}, then run `hf auth login`",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubMiss(
            f"the hub has no repository {repo} (or it is private)",
            "check the name; for a private one `hf auth login`",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubMiss(f"{repo} has no revision {revision}", "check what stands after the @") from error
    except errors.LocalEntryNotFoundError as error:
        raise HubMiss("not in the Hugging Face cache, and the hub did not answer") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubMiss("HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE to download") from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        raise HubMiss(f"the hub answered with HTTP status {status}", "try again later") from error
    except errors.HFValidationError as error:
        raise HubMiss(f"{repo} is not a repository name") from error
    except (TimeoutError, transport_error) as error:
        raise HubMiss(
            f"the hub cannot be reached ({_first_line(error)})", "check the network or proxy"
        ) from error
    except OSError as error:
        raise HubMiss(
            f"the download failed ({_first_line(error)})", "check the disk and the network"
        ) from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:160]


def reporting_bar(progress: Callable[[int, int], None]) -> Any:
    """A tqdm class that draws nothing and passes bytes on."""
    from tqdm.std import tqdm  # type: ignore[import-untyped]

    class ReportingBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts_bytes = kwargs.get("unit") == "B" and "Reconstructing" in str(kwargs.get("desc", ""))
            kwargs.pop("name", None)
            kwargs["disable"] = True
            super().__init__(*args, **kwargs)
            self.n: float = 0
            self.total = kwargs.get("total") or 0

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if self._counts_bytes:
                progress(int(self.n), int(self.total or 0))
            return None

    return ReportingBar
