"""What each of several processes is told about itself."""

import pytest

from dlm_core import launch
from dlm_core.launched import Place, place


def test_each_process_is_told_its_place_and_gets_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launch, "_cores", lambda: 7)
    told = [launch._environ(rank, 3, 5000) for rank in range(3)]
    assert [place(each) for each in told] == [Place(rank, 3, rank) for rank in range(3)]
    assert {each["OMP_NUM_THREADS"] for each in told} == {"2"}
    assert {(each["MASTER_ADDR"], each["MASTER_PORT"]) for each in told} == {("127.0.0.1", "5000")}
    monkeypatch.setattr(launch, "_cores", lambda: 2)
    assert launch._environ(0, 3, 5000)["OMP_NUM_THREADS"] == "1"


def test_threads_that_the_user_has_set_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert launch._environ(0, 2, 5000)["OMP_NUM_THREADS"] == "5"
