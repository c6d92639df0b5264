"""From an edit to the first token of the new answer: ours, with the engine in memory, against the commands of
document-language-model, by turns.

    python -m benchmarks.rival --folder DIR [--rounds 2]

Sets the rival up in DIR by itself: a virtual environment, and a hub cache made of the base that is cached
here, so that it needs no hub. Its document is made by its own `dlm init`, and gets the thirty rows of the
sample runbook; it trains one adapter of them. Both get the same edits, as `benchmarks.edits` has them.
Prints one JSON object; where the rival cannot be set up, that says why. A folder of before is used again,
with both documents as they were at first. Where the processor has no products in fp16, which the rival trains
in, allow half an hour a round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from dlm_core.surroundings import settle

AS_FOUND = dict(os.environ)  # what is settled for this program is no business of the rival's
settle()

from benchmarks.edits import ROOT, Bench, ask  # noqa: E402
from dlm_core.bases.registry import parse_base_name  # noqa: E402
from dlm_core.bases.sources import find_base  # noqa: E402
from dlm_core.document.parse import load  # noqa: E402
from dlm_core.engine import create_engine  # noqa: E402
from dlm_core.requests import TrainOptions  # noqa: E402
from dlm_core.store.paths import dlm_home  # noqa: E402

PACKAGE = "document-language-model==0.10.0"
REPO = "models--HuggingFaceTB--SmolLM2-135M-Instruct"
REVISION = "12fd25f77366fa6b3b4b768ec3050bf629380bac"  # the one that it pins
MOST_S = 3600


class NotThere(Exception):
    """The rival cannot be set up here; the message says why."""


class Rival:
    """The rival's commands on a document of its own with the rows of `document`."""

    def __init__(self, folder: Path, document: Path) -> None:
        self.folder, self.path = folder, folder / "rival.dlm"
        self.program = folder / "venv" / "bin" / "dlm"
        self.environ = {
            **{k: v for k, v in AS_FOUND.items() if not k.startswith(("DLM_", "HF_"))},
            "DLM_HOME": str(folder / "home"),
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_CACHE": str(folder / "hub"),
            "HF_HUB_OFFLINE": "1",
        }
        if not self.program.exists():
            self._install()
        if not (folder / "hub").exists():
            self._hub(folder / "hub" / REPO)
        self._write(document)

    def _install(self) -> None:
        venv = self.folder / "venv"
        self._run([sys.executable, "-m", "venv", str(venv)])
        pip = [str(venv / "bin" / "pip"), "install", "-q", "-c", str(ROOT / "constraints.txt"), PACKAGE]
        self._run(pip)

    def _hub(self, repo: Path) -> None:
        """A hub cache that holds the base, by links to the files that are cached here."""
        base = find_base(parse_base_name("smollm2-135m", Path()), home=dlm_home(), report=lambda _: None)
        (repo / "refs").mkdir(parents=True)
        (repo / "refs" / "main").write_text(REVISION)
        snapshot = repo / "snapshots" / REVISION
        snapshot.mkdir(parents=True)
        for file in base.path.iterdir():
            (snapshot / file.name).symlink_to(file.resolve())

    def _write(self, document: Path) -> None:
        made = self.folder / "made.dlm"
        if not made.exists():
            self._run(
                [str(self.program), "init", str(made), "--base", "smollm2-135m", "--skip-export-probes"]
            )
        head = made.read_text("utf-8").split("\n---\n", 1)[0] + "\n---\n\n"
        questions = [q for s in load(document).sections for q in s.questions]
        rows = (f"::instruction::\n### Q\n{q.question}\n\n### A\n{q.answer}\n\n" for q in questions)
        self.path.write_text(head + "".join(rows), "utf-8")

    def edit(self, question: str, answer: str) -> None:
        """Give a question another answer."""
        before, _, after = self.path.read_text("utf-8").partition(f"### Q\n{question}\n\n### A\n")
        _, _, rest = after.partition("\n\n")
        self.path.write_text(f"{before}### Q\n{question}\n\n### A\n{answer}\n\n{rest}", "utf-8")

    def train(self) -> float:
        """Seconds of its training command."""
        begun = time.perf_counter()
        self._run([str(self.program), "train", str(self.path), "--skip-export-probes"])
        return time.perf_counter() - begun

    def first_token(self, question: str) -> tuple[float, str]:
        """Seconds of its prompt command until it says something, and what it said."""
        begun = time.perf_counter()
        command = [str(self.program), "prompt", str(self.path), question]
        with subprocess.Popen(
            command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            said = process.stdout.read(1)
            first = time.perf_counter() - begun
            said += process.stdout.read()
        if process.returncode or not said.strip():
            raise NotThere(f"its prompt command ended with {process.returncode} and said {said!r}")
        return first, said.strip()

    def _run(self, command: list[str]) -> None:
        try:
            subprocess.run(
                command, env=self.environ, check=True, capture_output=True, text=True, timeout=MOST_S
            )
        except subprocess.CalledProcessError as error:
            raise NotThere(f"{' '.join(command[:3])}: {error.stderr.strip()[-400:]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotThere(f"{' '.join(command[:3])}: {error}") from error


def measure(folder: Path, rounds: int) -> dict[str, object]:
    """Seconds from the save to the first token, by turns, and their ratio."""
    document = ROOT / "sample_docs" / "runbook.dlm"
    rival = Rival(folder, document)
    bench = Bench(folder / "ours", document)
    bench.path.write_bytes(document.read_bytes())  # without the edits of a measurement before
    engine = create_engine(bench.home)
    engine.open(bench.path)
    engine.train(TrainOptions(), lambda _: None, lambda: False, lambda: None)
    for _ in ask(engine, bench.edits[0][0], 4):
        pass
    first = rival.train()
    ours: list[float] = []
    theirs: list[dict[str, object]] = []
    for turn in range(rounds):
        ours.append(bench.round(engine, turn, warm=True).first_token_s)
        question, answer = bench.edits[turn]
        rival.edit(question, answer)
        trained = rival.train()
        spoke, said = rival.first_token(question)
        theirs.append({"train_s": round(trained, 1), "prompt_s": round(spoke, 1), "learned": said == answer})
    waited = [float(t["train_s"]) + float(t["prompt_s"]) for t in theirs]  # type: ignore[arg-type]
    return {
        "ours_s": ours,
        "rival": theirs,
        "rival_first_training_s": round(first, 1),
        "sooner": round(statistics.median(waited) / statistics.median(ours), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, required=True, help="for the rival, both documents and homes")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        found = measure(options.folder.resolve(), options.rounds)
    except NotThere as error:
        found = {"skipped": str(error)}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
