"""What a person writes about routing (a pin, a mix, the gate on or off), as a checked `RoutingChoice`."""

import math
from collections.abc import Sequence
from difflib import get_close_matches

import msgspec

from dlm_core.errors import UsageError
from dlm_core.requests import RoutingChoice

_MIX_HINT = "a mix is NAME:WEIGHT, separated by commas, with weights of 0 or more"


def check_adapter(name: str, adapters: Sequence[str]) -> str:
    """The name, if the document declares it.

    Raises:
        UsageError: names the nearest declared adapter, or all of them where none is near.
    """
    if name in adapters:
        return name
    near = get_close_matches(name.lower(), adapters, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"the document declares {_listed(adapters)}"
    raise UsageError(f"there is no adapter `{name}` in this document", hint)


def parse_mix(text: str, adapters: Sequence[str]) -> dict[str, float]:
    """The weights of a mix such as `tone:0.7,knowledge:0.3`, as written: any positive scale, not normalised.

    Adapters that are not named have no weight.

    Raises:
        UsageError: an entry is not NAME:WEIGHT, an adapter is unknown or named twice, a weight is no finite
            number or negative, or the weights add up to 0.
    """
    example = f"{_MIX_HINT}: {_example(adapters)}"
    mix: dict[str, float] = {}
    for entry in text.split(","):
        name, colon, number = (part.strip() for part in entry.partition(":"))
        if not name or not colon or not number:
            what = f"`{entry.strip()}` is not NAME:WEIGHT" if entry.strip() else "an entry is empty"
            raise UsageError(f"in the mix `{text}`, {what}", example)
        check_adapter(name, adapters)
        if name in mix:
            raise UsageError(f"the mix `{text}` names `{name}` twice", "give each adapter one weight")
        mix[name] = _weight(name, number, example)
    if not math.fsum(mix.values()) > 0:
        raise UsageError(
            f"the weights of the mix `{text}` add up to 0", "give at least one adapter a weight above 0"
        )
    return mix


def choice_from_flags(
    adapters: Sequence[str],
    *,
    gate: str | None = None,
    adapter: str | None = None,
    adapter_mix: str | None = None,
    ground: str | None = None,
) -> RoutingChoice:
    """The routing that `--gate`, `--adapter` and `--adapter-mix` ask for; without any, the gate decides.

    Args:
        adapters: the adapters that the document declares, in order.
        gate: `auto`, `off`, or None where nothing was said.
        adapter: the adapter to pin.
        adapter_mix: the mix as written, see `parse_mix`.
        ground: `auto`, `off`, or None where nothing was said.

    Raises:
        UsageError: two flags contradict each other (both are named), or one is malformed.
    """
    choice = _routing(adapters, gate=gate, adapter=adapter, adapter_mix=adapter_mix)
    return with_ground(choice, ground)


def with_ground(choice: RoutingChoice, ground: str | None) -> RoutingChoice:
    """A choice with what `--ground` says of it. Raises UsageError for what is neither `auto` nor `off`."""
    if ground is None:
        return choice
    if ground not in ("auto", "off"):
        raise UsageError(
            f"--ground cannot be `{ground}`", "it is `auto` (look prompts up in the document) or `off`"
        )
    return msgspec.structs.replace(choice, ground=ground)


def _routing(
    adapters: Sequence[str], *, gate: str | None, adapter: str | None, adapter_mix: str | None
) -> RoutingChoice:
    if gate not in (None, "auto", "off"):
        raise UsageError(
            f"--gate cannot be `{gate}`", "it is `auto` (the gate decides) or `off` (equal weights)"
        )
    if adapter is not None and adapter_mix is not None:
        raise UsageError(
            "--adapter and --adapter-mix cannot go together",
            "--adapter pins one adapter; --adapter-mix weighs several by hand",
        )
    pinned = "--adapter" if adapter is not None else "--adapter-mix" if adapter_mix is not None else ""
    if gate == "off" and pinned:
        raise UsageError(
            f"--gate off and {pinned} cannot go together",
            f"--gate off gives every adapter the same weight; leave it out to use {pinned}",
        )
    if adapter is not None:
        return RoutingChoice(mode="pin", adapter=check_adapter(adapter, adapters))
    if adapter_mix is not None:
        return RoutingChoice(mode="mix", mix=parse_mix(adapter_mix, adapters))
    return RoutingChoice(mode="off" if gate == "off" else "auto")


def _weight(name: str, number: str, hint: str) -> float:
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise UsageError(f"the weight of `{name}` is `{number}`, which is not a number", hint)
    if weight < 0:
        raise UsageError(f"the weight of `{name}` is negative ({number})", hint)
    return weight


def _example(adapters: Sequence[str]) -> str:
    if len(adapters) < 2:
        return ",".join(f"{name}:1" for name in adapters)
    return f"{adapters[0]}:0.7,{adapters[1]}:0.3"


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
