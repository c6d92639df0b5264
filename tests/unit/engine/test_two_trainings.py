"""Two trainings of one document: the second leaves with a sentence about the first, which goes on."""

import os

import pytest

from dlm_core.errors import StoreLockedError
from dlm_core.requests import TrainOptions
from dlm_core.store import Store
from tests.tiny import DLM_ID, Desk


@pytest.mark.slow
def test_the_second_training_leaves_and_names_the_first(desk: Desk) -> None:
    desk.open(num_epochs=1)
    second = desk.new_engine()
    second.open(desk.path)
    said: list[StoreLockedError] = []

    def meanwhile() -> None:
        if not said:
            with pytest.raises(StoreLockedError) as refused:
                second.train(TrainOptions(), desk.events.append, lambda: False, lambda: None)
            said.append(refused.value)

    assert desk.train(between=meanwhile).status == "done"
    assert f"held by process {os.getpid()}" in said[0].message and said[0].hint
    assert Store.open(DLM_ID, desk.home, create=False).snapshot().generation == 1
    assert (
        second.train(TrainOptions(fresh=True), lambda _: None, lambda: False, lambda: None).status == "done"
    )
