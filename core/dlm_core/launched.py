"""Which of several processes this is, by the environment that a launcher sets: `dlm train --processes`,
`torchrun`, `accelerate launch` or `mpirun`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

_NAMES = {
    "rank": ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK"),
    "world": ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"),
    "local": ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK"),
}


@dataclass(frozen=True)
class Place:
    """A process among the `world` that train together: its number `rank`, and `local` among those of its
    machine. Numbers begin at 0, which is the process that writes and speaks.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.world == 1


def place(environ: Mapping[str, str] = os.environ) -> Place:
    """This process's place; alone where no launcher said otherwise, or said what is no number."""
    found = {field: _number(environ, names) for field, names in _NAMES.items()}
    rank, world, local = found["rank"], found["world"], found["local"]
    if rank is None or world is None or not 0 <= rank < world:
        return Place()
    return Place(rank, world, rank if local is None else local)


def left_alone(environ: Mapping[str, str] = os.environ) -> bool:
    """True where `accelerate launch` was asked for several processes and started this one only.

    On a CPU it starts several through `mpirun` alone; without it, it says where the first one would listen,
    as it does for several, and starts one.
    """
    told = "ACCELERATE_MIXED_PRECISION" in environ and "MASTER_PORT" in environ
    return told and all(_number(environ, names) is None for names in _NAMES.values())


def _number(environ: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    values = (environ[name] for name in names if name in environ)
    value = next(values, "")
    return int(value) if value.isascii() and value.isdigit() else None
