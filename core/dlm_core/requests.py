"""What a front end may ask of the engine: one frozen struct per request, tagged like the events."""

import math
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dlm_core.errors import UsageError
from dlm_core.reports import METHODS, Method
from dlm_core.safetext import visible_line, whole

Role = Literal["system", "user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class RoutingChoice(msgspec.Struct, frozen=True, kw_only=True):
    """How the person wants weights chosen: `adapter` goes with pin, `mix` (any positive scale) with mix.

    `ground`: whether the document may be looked up while replying; None: in mode auto alone, for the other
    modes are how one looks at the weights. `section`: the first question of the section whose answer is
    wanted, of those that search finds; None for the likeliest.
    """

    mode: Literal["auto", "off", "pin", "mix", "base"] = "auto"
    adapter: str | None = None
    mix: dict[str, float] = {}
    ground: Literal["auto", "off"] | None = None
    section: str | None = None

    @property
    def grounds(self) -> bool:
        """Whether the document may be looked up."""
        if self.section is not None or self.ground == "auto":
            return True
        return self.ground is None and self.mode == "auto"


class SamplingError(UsageError, ValueError):
    """A sampling parameter is out of bounds. A ValueError as well: msgspec makes a ValidationError of it."""


GREEDY_BELOW = 1e-4
"""Temperatures under this take the likeliest token: a lead of 0.01 nats is e^100 to one there."""
_BOUNDS = {
    "max_tokens": (1, math.inf),
    "temperature": (0.0, 10.0),
    "top_p": (1e-6, 1.0),
    "top_k": (0, math.inf),
    "repetition_penalty": (0.01, 10.0),
    "seed": (0, 2**64 - 1),
}


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are drawn. `temperature` 0 is greedy; `seed` None draws a new one.

    The bounds are checked here for every front end and for the protocol: a value outside, NaN or infinity
    raises SamplingError.
    """

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is None or (least <= value <= most and value != math.inf):
                continue
            bounds = f"from {least:g} to {most:.20g}" if most < math.inf else f"of {least:g} or more"
            raise SamplingError(f"`{name}` cannot be {value}", f"it is a number {bounds}")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is taken every time."""
        return self.temperature < GREEDY_BELOW


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all requests; `request_id` comes back on every event that answers."""

    request_id: str


class Open(Request, frozen=True, kw_only=True, tag="open"):
    """Open a document: load its base, its committed adapters and its gate. Answers BaseProgress…, Ready."""

    path: str


class Reload(Request, frozen=True, kw_only=True, tag="reload"):
    """Take up what was committed to the store by another process. Answers Ready."""


class Route(Request, frozen=True, kw_only=True, tag="route"):
    """Routing for a prompt, nothing generated. A newer Route supersedes one still waiting. Answers Routed."""

    messages: tuple[Message, ...]
    choice: RoutingChoice = RoutingChoice()


class Generate(Request, frozen=True, kw_only=True, tag="generate"):
    """A reply to `messages` (the last one the user's). Answers Routed, Token…, Reply."""

    messages: tuple[Message, ...]
    choice: RoutingChoice = RoutingChoice()
    sampling: Sampling = Sampling()


class Explain(Request, frozen=True, kw_only=True, tag="explain"):
    """Why a prompt is routed as it is, and where `alone` is above 0, what the weights would say without the
    document, in so many tokens. Answers Why.
    """

    messages: tuple[Message, ...]
    choice: RoutingChoice = RoutingChoice()
    nearest: Annotated[int, Meta(ge=1, le=100)] = 5
    alone: Annotated[int, Meta(ge=0, le=1000)] = 0


class Embed(Request, frozen=True, kw_only=True, tag="embed"):
    """Vectors of texts by the sentence encoder; no document need be open. Answers Embedded."""

    texts: tuple[str, ...]


class Mask(Request, frozen=True, kw_only=True, tag="mask"):
    """Which tokens of the document at `path`, as it stands on disk, carry loss. Answers Masked."""

    path: str


class Evaluate(Request, frozen=True, kw_only=True, tag="evaluate"):
    """Measure the committed versions, as `dlm eval` does; recorded. Answers Working…, Evaluated."""


class Export(Request, frozen=True, kw_only=True, tag="export"):
    """Write the committed versions for other programs, as `dlm export` does; fields as in ExportOptions.

    Answers Log…, ExportDone.
    """

    target: str
    choice: RoutingChoice = RoutingChoice()
    folder: str | None = None
    quant: str | None = None
    fold: bool = False
    merge: bool = False
    overwrite: bool = False


class Compare(Request, frozen=True, kw_only=True, tag="compare"):
    """Train several methods on the document at `path`, as `dlm compare` does; fields as in CompareOptions.

    The document that was open has to be opened again afterwards. Answers Working…, Compared.
    """

    path: str
    methods: tuple[Method, ...] = METHODS
    epochs: Annotated[int, Meta(ge=1)] | None = None
    rehearsal: Literal["off", "on", "both"] = "both"
    fresh: bool = False


class Doctor(Request, frozen=True, kw_only=True, tag="doctor"):
    """What the document at `path` needs of this machine, as `dlm doctor`. Answers Examined."""

    path: str


class TrainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run starts: `fresh` from new adapters, `resume` from a checkpoint; None: as the document says.

    `keep` goes on replaying sections that are gone from the document. After a run, all but what the last
    `keep_versions` runs committed is removed; None keeps everything.
    """

    fresh: bool = False
    resume: bool = False
    seed: int | None = None
    epochs: Annotated[int, Meta(ge=1)] | None = None
    keep: bool = False
    keep_versions: Annotated[int, Meta(ge=1)] | None = None


class Train(TrainOptions, frozen=True, kw_only=True, tag="train"):
    """Train the document as it stands on disk. Answers RunPlanned, TrainStep…, RunEnded."""

    request_id: str


class Stop(Request, frozen=True, kw_only=True, tag="stop"):
    """Stop the request `target` at its next step or token; "" stops everything that runs."""

    target: str = ""


class Shutdown(Request, frozen=True, kw_only=True, tag="shutdown"):
    """Save what can be resumed and leave."""


AnyRequest = (
    Open
    | Reload
    | Route
    | Generate
    | Explain
    | Embed
    | Mask
    | Evaluate
    | Export
    | Compare
    | Doctor
    | Train
    | Stop
    | Shutdown
)

_AS_BYTES = "\0"  # no path holds it: what follows is the path's bytes in hexadecimal


def path_text(path: Path) -> str:
    """An absolute path for a request. JSON holds text, and a file system's names need be none."""
    text = str(path.absolute())
    return text if whole(text) == text else _AS_BYTES + os.fsencode(text).hex()


def path_of(text: str) -> Path:
    """The path that `path_text` made a text of. Raises UsageError for what it never makes."""
    if not text.startswith(_AS_BYTES):
        return Path(text)
    try:
        return Path(os.fsdecode(bytes.fromhex(text[1:])))
    except ValueError as error:
        raise UsageError(f"this is not a path: {visible_line(text[:60])}") from error


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)


def encode(request: AnyRequest) -> bytes:
    """One line of JSON without the newline."""
    return _encoder.encode(request)


def decode(line: bytes | str) -> AnyRequest:
    """The request a line holds. Raises one of `errors.NOT_JSON` for anything else."""
    return _decoder.decode(line)
