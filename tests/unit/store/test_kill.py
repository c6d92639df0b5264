"""kill -9 at random moments of a process that commits in a loop: the versions are the old or the new ones."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlm_core.store import Store
from dlm_core.store.lock import read_holder
from dlm_core.store.metrics import MetricsReader
from tests.faults.store_faults import DLM_ID, Tally, carry_on, contents, template

LOOP = """
import itertools, sys
from pathlib import Path
from dlm_core.store import Store
from dlm_core.store.metrics import Metrics
from tests.faults.store_faults import DLM_ID, commit, step, save_checkpoint

store = Store.open(DLM_ID, Path(sys.argv[1]), create=True)
with Metrics(store.paths.metrics) as metrics:
    run = metrics.start_run(document_hash="d")
    print("ready", flush=True)
    for number in itertools.count(1):
        metrics.record(step(run, number))
        save_checkpoint(store)
        print(commit(store).generation, flush=True)
        store.prune(keep=3)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kills", [6, 50])
def test_kills_lose_nothing(tmp_path: Path, kills: int) -> None:
    home = template(tmp_path)
    moments = random.Random(7)
    tally = Tally()
    halfway = 0
    for number in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", LOOP, str(home)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        ) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(moments.uniform(0.0, 0.08))
            child.kill()
            committed = [int(line) for line in child.stdout.read().split("\n")[:-1] if line]
        store = Store.open(DLM_ID, home, create=False)
        snapshot = store.snapshot()
        store.verify()
        assert contents(snapshot) == {snapshot.extra["content"]}, "adapters and gate of one commit"
        if committed:
            assert snapshot.generation in (committed[-1], committed[-1] + 1)
        halfway += read_holder(store.paths.lock) is not None
        with MetricsReader(store.paths.metrics) as reader:
            assert reader.runs()[-1].status == "interrupted"
        carry_on(tally, home, f"kill {number}")
    assert tally.lost == []
    assert halfway > kills // 4, "the kills should fall into the work"


@pytest.mark.slow
def test_a_reader_sees_whole_commits_only_while_another_process_commits(tmp_path: Path) -> None:
    home = template(tmp_path)
    program = LOOP.replace("store.prune(keep=3)", "pass")
    with subprocess.Popen(
        [sys.executable, "-c", program, str(home)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        store = Store.open(DLM_ID, home, create=False)
        seen: list[int] = []
        while len(set(seen)) < 12:
            child.stdout.readline()
            snapshot = store.snapshot()
            store.verify(snapshot)
            assert contents(snapshot) == {snapshot.extra["content"]}
            seen.append(snapshot.generation)
        child.kill()
    assert seen == sorted(seen)
    assert store.notices == []
