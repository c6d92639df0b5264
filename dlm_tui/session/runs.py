"""Training from the chat: sends it, follows its events, tells what matters, stops it."""

from collections.abc import Callable, Sequence

from msgspec import structs

from dlm_core.events import GateTrained, Log, RunEnded, RunPlanned, TrainEpoch, TrainStep
from dlm_core.requests import Train
from dlm_tui.session.engine_session import EngineLink
from dlm_tui.session.wording import lines, plan_head


class Runs:
    """The runs this chat has asked for: at most one is under way, the newest of the others waits.

    `tell` gets sentences for the person, `on_log` what the engine warns of, `on_change` that `step` moved.
    """

    def __init__(
        self,
        link: EngineLink,
        *,
        tell: Callable[[Sequence[str]], None],
        on_log: Callable[[Log], None],
        on_change: Callable[[], None],
    ) -> None:
        self.step: TrainStep | None = None
        self.versions: dict[str, str] = {}
        self._link = link
        self._tell = tell
        self._on_log = on_log
        self._on_change = on_change
        self._asked: list[str] = []

    @property
    def under_way(self) -> bool:
        """Whether a run goes on or waits to."""
        return bool(self._asked)

    async def train(self, request: Train) -> RunEnded | None:
        """Send a training and follow it to its end; None if a newer one took its place.

        Raises DlmError as the engine does.
        """
        await self._link.until_ready()
        request = structs.replace(request, request_id=self._link.new_id())
        if self.under_way:
            self._tell(["a run is under way; this one follows it"])
        self._asked.append(request.request_id)
        self._on_change()
        ended: RunEnded | None = None
        try:
            async for event in self._link.stream(request):
                match event:
                    case TrainStep():
                        self.step = event
                        self._on_change()
                    case RunPlanned():
                        self._tell(plan_head(event))
                    case TrainEpoch() | GateTrained():
                        self._tell(lines(event))
                    case Log():
                        self._on_log(event)
                    case RunEnded():
                        ended = event
                        self.versions = event.versions
        finally:
            self._asked.remove(request.request_id)
            self.step = None
            self._on_change()
        if ended is not None:
            self._tell(_ended(ended))
        return ended

    async def stop(self) -> None:
        """Ask every run to stop at its next step."""
        for request_id in tuple(self._asked):
            await self._link.stop(request_id)


def _ended(event: RunEnded) -> list[str]:
    said = [line for line in lines(event) if not line.startswith("  a checkpoint is kept")]
    return [*said, "  a checkpoint is kept; /train --resume goes on from it"] if event.checkpoint else said
