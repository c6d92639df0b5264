"""What a run works with, in one place."""

from dataclasses import dataclass

from dlm_core.adapters.bank import Bank
from dlm_core.bases.load import Base
from dlm_core.routing.embed import Embedder
from dlm_core.store.store import Store
from dlm_core.training.forward import SelectiveHead


@dataclass(frozen=True)
class Workshop:
    """What a run works with: the base in memory, its bank, and the document's store."""

    base: Base
    bank: Bank
    head: SelectiveHead
    embedder: Embedder
    store: Store

    @property
    def device(self) -> str:
        return self.base.placement.device
