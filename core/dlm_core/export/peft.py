"""Adapters as PEFT folders: whole, for plain PEFT or the DISeL reference; or folded to a static LoRA."""

from collections.abc import Sequence
from pathlib import Path

from dlm_core.adapters.bank import Bank
from dlm_core.adapters.folder import is_transposed, save_adapter
from dlm_core.adapters.weights import AdapterWeights


def write(adapters: Sequence[AdapterWeights], folder: Path, *, base: str, bank: Bank) -> dict[str, Path]:
    """A folder per adapter, by its name.

    Raises AdapterError for numbers that are not finite, StoreError where it cannot be written.
    """
    transposed = is_transposed(bank.model)
    folders = {a.spec.name: folder / a.spec.name for a in adapters}
    for adapter in adapters:
        save_adapter(
            adapter, folders[adapter.spec.name], base=base, every_layer=bank.layers, transposed=transposed
        )
    return folders
