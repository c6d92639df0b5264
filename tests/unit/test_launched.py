"""Which process this is, as launchers say it in the environment."""

import pytest

from dlm_core.launched import Place, left_alone, place


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, Place()),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, Place(3, 4, 1)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, Place(1, 2, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, Place()),
        ({"RANK": "2", "WORLD_SIZE": "2"}, Place()),
        ({"RANK": "", "WORLD_SIZE": "many"}, Place()),
    ],
)
def test_a_process_knows_its_place_from_any_launcher(environ: dict[str, str], found: Place) -> None:
    assert place(environ) == found
    assert found.first == (found.rank == 0) and found.alone == (found.world == 1)


def test_a_launcher_that_was_asked_for_several_and_started_one_is_noticed() -> None:
    told = {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    assert left_alone(told)
    assert not left_alone({"ACCELERATE_MIXED_PRECISION": "no"}), "it was asked for one"
    assert not left_alone(told | {"RANK": "0", "WORLD_SIZE": "2"})
    assert not left_alone(told | {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"})
