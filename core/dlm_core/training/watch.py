"""Openness of rank gates while they train: recorded now and then, and told as maps."""

import time
from collections.abc import Callable, Sequence

from dlm_core.adapters.openness import OpennessLayout, OpennessRecorder, adapter_means, by_module
from dlm_core.adapters.weights import AdapterWeights
from dlm_core.events import Event, OpennessMap
from dlm_core.training.batches import Batch

INTERVAL_S = 1.0


class OpennessWatch:
    """Says when openness is recorded, of which ranks, and tells what was.

    Args:
        layers: the names of the bank's layers, in the model's order.
    """

    def __init__(
        self,
        adapters: Sequence[AdapterWeights],
        layers: Sequence[str],
        run_id: int,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = [a.spec.name for a in adapters]
        self._run_id, self._emit, self._clock = run_id, emit, clock
        self._last = -1e9
        gated = [a for a in adapters if a.spec.gate is not None]
        columns = {
            name: tuple((a.spec.name, a.spec.rank) for a in gated if name in a.layers) for name in layers
        }
        self._layout = OpennessLayout({name: pairs for name, pairs in columns.items() if pairs})

    def due(self) -> bool:
        """Whether openness was recorded last a while ago."""
        return self._clock() - self._last >= INTERVAL_S

    def layout(self, batch: Batch) -> OpennessLayout:
        """The ranks of the adapters that learn in `batch`."""
        active = {row.adapter for row in batch.rows}
        return OpennessLayout(
            {
                name: kept
                for name, pairs in self._layout.columns.items()
                if (kept := tuple(p for p in pairs if p[0] in active))
            }
        )

    def tell(self, recorder: OpennessRecorder, step: int) -> dict[str, float]:
        """Emit a map for every adapter and module that was recorded; returns the means per adapter."""
        flat = recorder.flush()
        if flat is None:
            return {}
        self._last = self._clock()
        layout = recorder.layout
        present = [n for n in self._names if layout.index(n)]
        for adapter in present:
            for module, layers in by_module(layout, flat, adapter).items():
                self._emit(
                    OpennessMap(
                        run_id=self._run_id,
                        step=step,
                        adapter=adapter,
                        module=module,
                        layers=tuple(layers),
                        values=tuple(tuple(v) for v in layers.values()),
                    )
                )
        return adapter_means(layout, flat, present)
