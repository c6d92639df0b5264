"""What a type of the schema takes, in words: "a whole number from 1 to 512", "`auto` or a list of texts"."""

from msgspec import inspect


def bare(type_: inspect.Type) -> inspect.Type:
    """The type without what msgspec wraps around it to hold a description."""
    while isinstance(type_, inspect.Metadata):
        type_ = type_.type
    return type_


def options(type_: inspect.Type) -> list[inspect.Type]:
    """The members of a union, or the type alone."""
    whole = bare(type_)
    return [bare(option) for option in whole.types] if isinstance(whole, inspect.UnionType) else [whole]


def expectation(type_: inspect.Type) -> str:
    """A type in words, its bounds and allowed values included."""
    words = [_expectation(option) for option in options(type_)]
    return " or ".join(words)


def _expectation(type_: inspect.Type) -> str:
    match type_:
        case inspect.IntType():
            return "a whole number" + _bounds(type_)
        case inspect.FloatType():
            return "a number" + _bounds(type_)
        case inspect.BoolType():
            return "`true` or `false`"
        case inspect.StrType():
            return "a text"
        case inspect.LiteralType():
            return " or ".join(f"`{value}`" for value in type_.values)
        case inspect.VarTupleType():
            return "a list of " + (
                "mappings" if isinstance(bare(type_.item_type), inspect.StructType) else "texts"
            )
        case inspect.NoneType():
            return "`null`"
    return "a mapping"


def _bounds(type_: inspect.IntType | inspect.FloatType) -> str:
    if type_.ge is not None and type_.le is None and type_.lt is None:
        return f" of {type_.ge:g} or more"
    low = f" from {type_.ge:g}" if type_.ge is not None else ""
    low = f" above {type_.gt:g}" if type_.gt is not None else low
    up_to = " to" if type_.gt is None else " and up to"
    high = f"{up_to} {_large(type_.le)}" if type_.le is not None else ""
    high = f" and below {_large(type_.lt)}" if type_.lt is not None else high
    return low + high


def _large(bound: float) -> str:
    return f"{bound:,g}" if bound < 100_000 else f"{bound:,.0f}"
