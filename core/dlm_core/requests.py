"""What a front end may ask of the engine: one frozen struct per request, tagged like the events."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Role = Literal["system", "user", "assistant"]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class RoutingChoice(msgspec.Struct, frozen=True, kw_only=True):
    """How the person wants weights chosen: `adapter` goes with pin, `mix` (any positive scale) with mix."""

    mode: Literal["auto", "off", "pin", "mix", "base"] = "auto"
    adapter: str | None = None
    mix: dict[str, float] = {}


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are drawn. `temperature` 0 is greedy; `seed` None draws a new one."""

    max_tokens: Annotated[int, Meta(ge=1)] = 512
    temperature: Annotated[float, Meta(ge=0, le=10)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Meta(ge=0)] = 0
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] = 1.0
    seed: int | None = None


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
    """Why a prompt is routed as it is. Answers Why."""

    messages: tuple[Message, ...]
    choice: RoutingChoice = RoutingChoice()
    nearest: Annotated[int, Meta(ge=1, le=100)] = 5


class Mask(Request, frozen=True, kw_only=True, tag="mask"):
    """Which tokens of the document at `path`, as it stands on disk, carry loss. Answers Masked."""

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


AnyRequest = Open | Reload | Route | Generate | Explain | Mask | Train | Stop | Shutdown

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)


def encode(request: AnyRequest) -> bytes:
    """One line of JSON without the newline."""
    return _encoder.encode(request)


def decode(line: bytes | str) -> AnyRequest:
    """The request a line holds. Raises one of `errors.NOT_JSON` for anything else."""
    return _decoder.decode(line)
