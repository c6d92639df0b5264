"""kill -9 at random moments of real runs: the store opens on the old versions or the new, and goes on."""

import random
import time

import pytest

from dlm_core.store.store import Store
from tests.children import start, train
from tests.tiny import BODY, DLM_ID, RATE, Desk, committed_hashes

SETTINGS = {
    "num_epochs": 1,
    "adapters": {"facts": {"learning_rate": RATE, "lora_r": 2}, "tone": {"learning_rate": RATE, "lora_r": 2}},
    "gate": {"enabled": True, "cold_start_floor": 2, "steps": 3},
}


def train_and_be_killed(desk: Desk, after: float) -> float | None:
    """A child trains the document; what that took in seconds, or None if the kill came while it ran."""
    begun = time.monotonic()
    child = start(train, desk.home, desk.path)
    child.join(after)
    took = None if child.is_alive() else time.monotonic() - begun
    child.kill()
    child.join()
    return took


def spread(kills: int, place: float) -> list[float]:
    """Moments from the start to well after the end of a run, as shares of its time, in a random order.

    Each stands at `place` (0..1) of its own equal stretch.
    """
    moments = [2.0 * (number + place) / kills for number in range(kills)]
    random.Random(11).shuffle(moments)
    return moments


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds of work each, but dozens of processes on a machine that may be busy
@pytest.mark.parametrize(("kills", "place"), [(25, 0.25), (25, 0.75)])
def test_kills_leave_the_old_versions_or_the_new(desk: Desk, kills: int, place: float) -> None:
    desk.open(**SETTINGS)
    start(train, desk.home, desk.path).join()  # the fork server is up, too
    whole = 0.0
    for answer in ("begin.", "again."):  # the second costs what every later edit costs
        desk.write(BODY.replace("8443.", answer), **SETTINGS)
        begun = time.monotonic()
        start(train, desk.home, desk.path).join()
        whole = time.monotonic() - begun
    hits = moved = 0
    known = committed_hashes(desk.home)
    generation = Store.open(DLM_ID, desk.home, create=False).snapshot().generation
    moments = spread(kills, place)
    for number, moment in enumerate(moments):
        desk.write(BODY.replace("8443.", f"{number}."), **SETTINGS)
        took = train_and_be_killed(desk, moment * whole)
        hits += took is None
        whole = took or whole  # the machine may have become faster or slower
        if number + 1 == len(moments) < 2 * kills and hits <= kills // 3:
            moments.append(0.3)  # too many came when all was done
        store = Store.open(DLM_ID, desk.home, create=False)
        snapshot = store.snapshot()
        store.verify()
        found = committed_hashes(desk.home)
        assert set(found) == {"facts", "tone"} and found["tone"] == known["tone"]
        if snapshot.generation == generation:
            assert found == known, "the old versions, whole"
        moved += found != known
        known, generation = found, snapshot.generation
    assert hits > kills // 3, "the kills should fall into the work"
    assert moved, "some runs should come to their commit"
    last = Desk(desk.folder, desk.base)
    last.engine.open(last.path)
    last.write(BODY.replace("8443.", "the end."), **SETTINGS)
    assert last.train().status == "done"
    now = Store.open(DLM_ID, desk.home, create=False).snapshot()
    assert last.ask("What is the port?")[2].version == f"g{now.generation}"
