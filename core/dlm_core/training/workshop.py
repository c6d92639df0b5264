"""What a run works with, in one place, and what the base said of neutral texts, kept from run to run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dlm_core.adapters.bank import Bank
from dlm_core.bases.load import Base
from dlm_core.retrieval.encoder import Encoder
from dlm_core.routing.embed import Embedder
from dlm_core.routing.reads import Reader
from dlm_core.store.store import Store
from dlm_core.training.forgetting import METER_QUESTIONS, METER_TEXTS, ChatMeter, ForgettingMeter
from dlm_core.training.forward import SelectiveHead
from dlm_core.training.rehearsal import Rehearsal, bundled, bundled_lines


@dataclass
class NeutralMemory:
    """The rehearsal and the forgetting meters of the last run: what the base predicts never changes."""

    rehearsal: tuple[tuple[object, ...], Rehearsal] | None = None
    meter: ForgettingMeter | None = None
    chat: tuple[str | None, ChatMeter] | None = None


def _no_encoder() -> Encoder | None:
    return None


@dataclass(frozen=True)
class Workshop:
    """What a run works with: the base in memory, its bank, and the document's store. `neutral` belongs to the
    base. `find_encoder` gives the sentence encoder, None where it cannot be had.
    """

    base: Base
    bank: Bank
    head: SelectiveHead
    embedder: Embedder
    store: Store
    neutral: NeutralMemory = field(default_factory=NeutralMemory)
    find_encoder: Callable[[], Encoder | None] = _no_encoder

    @property
    def reader(self) -> Reader:
        """What gates read questions by."""
        return Reader(self.embedder, self.find_encoder)

    @property
    def device(self) -> str:
        return self.base.placement.device

    def rehearsal(self, texts: Sequence[str], seed: int) -> Rehearsal:
        """The rehearsal on these texts, as it was left by an earlier run where it is the same."""
        key = (tuple(texts), seed)
        if self.neutral.rehearsal is None or self.neutral.rehearsal[0] != key:
            made = Rehearsal(self.head, self.bank, self.base.chat, texts, seed, self.device)
            self.neutral.rehearsal = (key, made)
        return self.neutral.rehearsal[1]

    def meter(self) -> ForgettingMeter:
        """The forgetting meter, in the number formats of training. The bank must be off."""
        if self.neutral.meter is None:
            texts = bundled("held_out")[:METER_TEXTS]
            self.neutral.meter = ForgettingMeter(
                self.head, self.base.chat, texts, self.device, autocast=self.base.placement.autocast
            )
        return self.neutral.meter

    def chat_meter(self, system: str | None) -> ChatMeter:
        """The meter on chat questions under a document's system prompt. The bank must be off."""
        if self.neutral.chat is None or self.neutral.chat[0] != system:
            questions = bundled_lines("chat")[:METER_QUESTIONS]
            placement = self.base.placement
            made = ChatMeter(
                self.head, self.base.chat, questions, system, self.device, autocast=placement.autocast
            )
            self.neutral.chat = (system, made)
        return self.neutral.chat[1]
