"""The slash commands of the chat: what there is, what they take, how a line is read. REPL and workbench."""

import re
import shlex
from collections.abc import Callable, Sequence
from difflib import get_close_matches

import msgspec

from dlm_core.errors import UsageError
from dlm_core.requests import RoutingChoice, Sampling, Train
from dlm_tui.session.routing_flags import choice_from_flags, with_ground

ROUTING_FLAGS = ("--gate", "--adapter", "--mix", "--base", "--ground")
TURN_FLAGS = ("--turns", "--alone")
TRAIN_SWITCHES = ("--fresh", "--resume", "--keep")
TRAIN_FLAGS = (*TRAIN_SWITCHES, "--seed", "--epochs", "--keep-versions")
_COMMAND = re.compile(r"/(?P<name>[A-Za-z?]+)(?:\s+(?P<argument>.*))?", re.DOTALL)


class Candidate(msgspec.Struct, frozen=True):
    """One way to go on: `text` replaces the last `replaces` characters before the cursor."""

    text: str
    replaces: int
    note: str = ""

    @property
    def rest(self) -> str:
        """What it adds behind the cursor."""
        return self.text[self.replaces :]


Completes = Callable[[str, Sequence[str]], list[Candidate]]
"""What may come next, given the argument up to the cursor and the document's adapters."""


def _starting(word: str, options: Sequence[str], note: str = "") -> list[Candidate]:
    return [Candidate(option, len(word), note) for option in options if option.startswith(word)]


def _any_of(*options: str) -> Completes:
    return lambda argument, adapters: _starting(argument, options)


def _nothing(argument: str, adapters: Sequence[str]) -> list[Candidate]:
    return []


def _file(argument: str, adapters: Sequence[str]) -> list[Candidate]:
    """Names of files are left to the front end, see `completes_file`."""
    return []


def _adapter(argument: str, adapters: Sequence[str]) -> list[Candidate]:
    return _starting(argument, adapters, "adapter")


def _mix(argument: str, adapters: Sequence[str]) -> list[Candidate]:
    *given, word = argument.split(",")
    named = {entry.partition(":")[0].strip() for entry in given}
    word = word.lstrip()
    return [
        Candidate(f"{a}:", len(word), "weight") for a in adapters if a not in named and a.startswith(word)
    ]


def _routing(argument: str, adapters: Sequence[str]) -> list[Candidate]:
    before, _, word = argument.rpartition(" ")
    match before.rpartition(" ")[2]:
        case "--gate" | "--ground":
            return _starting(word, ("auto", "off"))
        case "--adapter":
            return _adapter(word, adapters)
        case "--mix":
            return _mix(word, adapters)
        case _:
            return _starting(word, ROUTING_FLAGS)


def _teaching(argument: str, adapters: Sequence[str]) -> list[Candidate]:
    return _starting(argument, [*(f"{name}: " for name in adapters), "none", *TURN_FLAGS])


def _command(argument: str, adapters: Sequence[str]) -> list[Candidate]:
    return _starting(argument, [command.name for command in COMMANDS])


def _last_word_of(*options: str) -> Completes:
    return lambda argument, adapters: _starting(argument.rpartition(" ")[2], options)


class Command(msgspec.Struct, frozen=True):
    """One slash command.

    Args:
        name: without the slash.
        usage: what follows the name, as help shows it; optional parts in brackets.
        summary: one line for the list.
        detail: more, for `/help NAME`.
        completes: what its argument is completed with.
        aliases: other names that do the same.
    """

    name: str
    usage: str
    summary: str
    detail: str = ""
    completes: Completes = _nothing
    aliases: tuple[str, ...] = ()

    @property
    def synopsis(self) -> str:
        return f"/{self.name} {self.usage}".rstrip()


COMMANDS = (
    Command(
        "gate",
        "auto|off",
        "Let the gate route, or weigh every adapter the same.",
        "Takes a pin or a mix back. Without a word it switches from one to the other, as the key does.",
        _any_of("auto", "off"),
    ),
    Command(
        "adapter",
        "[NAME]",
        "Pin one adapter; alone: unpin.",
        "A pinned adapter answers alone, the gate is ignored.",
        _adapter,
    ),
    Command(
        "mix",
        "NAME:WEIGHT,…",
        "Weigh adapters by hand, as in a:0.7,b:0.3.",
        "Weights may have any positive scale; adapters that are not named have none. /adapter takes it back.",
        _mix,
    ),
    Command(
        "ground",
        "auto|off",
        "Look prompts up in the document, or let the weights alone reply.",
        "Looked up, a reply is that of the section that fits best, with its line, and what is not in the "
        "document is left to the base. With a pin, a mix or the gate off nothing is looked up unless you say "
        "auto here. Without a word it switches.",
        _any_of("auto", "off"),
    ),
    Command(
        "again",
        "[--gate auto|off] [--adapter NAME] [--mix A:W,B:W] [--base] [--ground auto|off]",
        "Answer the last question anew, perhaps under other routing.",
        "Both replies are shown, each with its bars. The new one takes the old one's place in the "
        "conversation; with --base the old one stays.",
        _routing,
    ),
    Command(
        "other",
        "[LINE]",
        "Answer the last question from another section that fits.",
        "Alone it takes the one that the reply names beside its own; with a LINE the one there. The new "
        "reply takes the old one's place in the conversation; /teach LINE makes that last.",
    ),
    Command(
        "base",
        "[QUESTION]",
        "Answer from the bare base, all adapters off.",
        "Alone it answers the last question for comparison, and the conversation keeps the reply it had. "
        "With a question it asks that, once.",
    ),
    Command(
        "why",
        "",
        "What stands behind the last reply.",
        "Weight and openness per adapter, the sections that fit with their scores, how the weights alone "
        "would have begun, the nearest trained questions, and the ranks that stood most open.",
    ),
    Command(
        "teach",
        "[--turns|--alone] [LINE] [ADAPTER: ANSWER] [none]",
        "Say what the last reply should have been; the document is changed and trained.",
        "Alone it offers the sections that fit, another answer, and `not for the document`. With a LINE the "
        "question becomes a wording of what is asked there, with ADAPTER: ANSWER a section of its own, with "
        "none a line of NAME.offtopic.txt. The change is shown, written, trained, and the question asked "
        "again; what is corrected meanwhile shares the next run. A question that goes on from the one before "
        "is taught with those turns, any other alone; --turns and --alone say it yourself.",
        _teaching,
    ),
    Command(
        "prefer",
        "[--turns|--alone] before|now",
        "Of the two last replies to the question, teach to prefer one.",
        "After /again: `now` is the newer reply, `before` the one above it. Both go into a preference "
        "section of the adapter that had most weight.",
        _any_of("before", "now", *TURN_FLAGS),
    ),
    Command(
        "right",
        "",
        "Note that the last reply is right.",
        "After every run the questions whose replies were right are asked again, and what it lost is said; "
        "`dlm eval --asked` asks them too. They stay in the document's store, leave it in no pack and no "
        "export, and are forgotten with /clear; keep_asked: false in the settings keeps none.",
    ),
    Command("wrong", "", "Note that the last reply is wrong; /teach puts it right."),
    Command("show", "", "The document: adapters, sections, versions, gate, base."),
    Command("model", "", "The base: name, device, precision, context."),
    Command(
        "warnings", "", "Cold-start and collapse warnings, with counts and remedy.", aliases=("warning",)
    ),
    Command("edit", "", "Open the document in $EDITOR."),
    Command(
        "train",
        "[--fresh] [--resume] [--keep] [--seed N] [--epochs N] [--keep-versions N]",
        "Train the document as it stands on disk.",
        "Chat goes on with the last version meanwhile; the next reply after it comes from the new one. "
        "Ctrl-C or /stop ends it at its next step and keeps a checkpoint for --resume.",
        _last_word_of(*TRAIN_FLAGS),
    ),
    Command(
        "versions",
        "[name GENERATION NAME] [pin|unpin GENERATION]",
        "What runs ended in, oldest first, and how each does; names and pins.",
        "A version with a name is pinned: pruning leaves it. `name GENERATION` alone takes the name away. "
        "Where a generation is asked for, its name will do.",
        _any_of("name ", "pin ", "unpin "),
    ),
    Command(
        "rollback",
        "[GENERATION|NAME]",
        "Make earlier versions the current ones; alone: those of the run before.",
        "Nothing is lost: the way back is another /rollback, and the document stays as it is.",
    ),
    Command("stop", "", "Stop the training or the reply under way."),
    Command("history", "", "The conversation so far."),
    Command(
        "save",
        "FILE",
        "Save the conversation as FILE.json or FILE.md.",
        "Both hold every turn with its routing and can be loaded again. An existing file is not overwritten.",
        _file,
    ),
    Command("load", "FILE", "Go on with a saved conversation.", "", _file),
    Command("clear", "", "Start a new conversation."),
    Command(
        "params",
        "[KEY=VALUE …]",
        "Show or set max_tokens, temperature, top_p, top_k, repetition_penalty, seed.",
        "temperature=0 always takes the likeliest token; seed=none draws a new seed for each reply.",
        _last_word_of(*(f"{f.name}=" for f in msgspec.structs.fields(Sampling))),
    ),
    Command(
        "system",
        "[TEXT]",
        "Show or set the system prompt; /system none goes back to the document's.",
    ),
    Command("copy", "", "Copy the last reply to the clipboard (OSC 52, also through tmux and ssh)."),
    Command("restart", "", "Start the engine process again; the conversation stays."),
    Command("help", "[COMMAND]", "This list, or more about one command.", "", _command, ("?",)),
    Command("exit", "", "Leave.", aliases=("quit", "q")),
)

_BY_NAME = {name: command for command in COMMANDS for name in (command.name, *command.aliases)}


class Invocation(msgspec.Struct, frozen=True):
    """A command as typed; `argument` is what followed the name, stripped."""

    command: Command
    argument: str = ""

    @property
    def name(self) -> str:
        return self.command.name


def read_line(line: str) -> Invocation | str:
    """The command that a line is, or the question it asks.

    A line is a command when it begins with a slash and a word; `//x` asks `/x`.

    Raises:
        UsageError: there is no such command; names the nearest.
    """
    text = line.strip()
    if text.startswith("//"):
        return text[1:]
    match = _COMMAND.fullmatch(text)
    if match is None:
        return text
    return Invocation(find(match["name"]), (match["argument"] or "").strip())


def find(name: str) -> Command:
    """The command of this name, with or without its slash. Raises UsageError that names the nearest."""
    name = name.removeprefix("/").lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    near = get_close_matches(name, _BY_NAME, n=1, cutoff=0.5)
    hint = f"did you mean /{near[0]}?" if near else "/help lists what there is."
    raise UsageError(f"there is no command /{name}", f"{hint} To ask something that begins with /, write //")


def parse_gate(argument: str, current: RoutingChoice) -> RoutingChoice:
    """The choice after `/gate`: `auto`, `off`, or nothing, which switches."""
    if argument in ("auto", "off"):
        return RoutingChoice(mode="off" if argument == "off" else "auto")
    if not argument:
        return RoutingChoice(mode="off" if current.mode == "auto" else "auto")
    raise UsageError(f"/gate cannot be `{argument}`", "it is /gate auto or /gate off")


def parse_ground(argument: str, current: RoutingChoice) -> RoutingChoice:
    """The choice after `/ground`: `auto`, `off`, or nothing, which switches."""
    if argument not in ("", "auto", "off"):
        raise UsageError(f"/ground cannot be `{argument}`", "it is /ground auto or /ground off")
    wanted = argument or ("off" if current.grounds else "auto")
    return msgspec.structs.replace(current, ground=wanted)


def parse_again(argument: str, adapters: Sequence[str]) -> RoutingChoice | None:
    """The routing that the flags of `/again` ask for; None without any."""
    values = _flags(argument, find("again"), (*ROUTING_FLAGS, "--adapter-mix"), ("--base",))
    if "--base" in values:
        if len(values) > 1 + ("--ground" in values):
            raise UsageError("--base goes without other routing", "the bare base has no adapters to weigh")
        return with_ground(RoutingChoice(mode="base"), values.get("--ground"))
    if not values:
        return None
    return choice_from_flags(
        adapters,
        gate=values.get("--gate"),
        adapter=values.get("--adapter"),
        adapter_mix=values.get("--mix", values.get("--adapter-mix")),
        ground=values.get("--ground"),
    )


def parse_other(argument: str) -> int | None:
    """The line that `/other` names; None without one."""
    if not argument:
        return None
    if not argument.isascii() or not argument.isdigit():
        raise UsageError(f"/other cannot be `{argument}`", "it is /other, or /other LINE")
    return int(argument)


class TeachLine(msgspec.Struct, frozen=True):
    """The question is a wording of what is asked at `line`."""

    line: int


class TeachAnswer(msgspec.Struct, frozen=True):
    """The question has an answer of its own, in a section of `adapter`."""

    adapter: str
    answer: str


class TeachNone(msgspec.Struct, frozen=True):
    """The question is about nothing in the document."""


Teaching = TeachLine | TeachAnswer | TeachNone


def parse_teach(argument: str, adapters: Sequence[str]) -> Teaching | None:
    """What `/teach` asks for; None without a word: the user is to choose."""
    if not argument:
        return None
    if argument == "none":
        return TeachNone()
    if argument.isdecimal():
        return TeachLine(int(argument))
    name, colon, answer = argument.partition(":")
    if not colon or " " in name.strip():
        raise UsageError(f"/teach cannot be `{argument}`", f"it takes {find('teach').usage}")
    if name.strip() not in adapters:
        raise UsageError(f"there is no adapter `{name.strip()}`", f"there are {', '.join(adapters)}")
    if not answer.strip():
        raise UsageError("there is no answer", f"/teach {name.strip()}: and the answer")
    return TeachAnswer(name.strip(), answer.strip())


def parse_prefer(argument: str) -> bool:
    """True for `now`, False for `before`."""
    if argument not in ("now", "before"):
        raise UsageError(f"/prefer cannot be `{argument}`", "it is /prefer now or /prefer before")
    return argument == "now"


def parse_train(argument: str) -> Train:
    """The training that the flags of `/train` ask for; its `request_id` is empty."""
    usage = f"it takes {find('train').usage}"
    asked: dict[str, object] = {}
    for flag, value in _flags(argument, find("train"), TRAIN_FLAGS, TRAIN_SWITCHES).items():
        if flag in TRAIN_SWITCHES:
            asked[flag[2:]] = True
            continue
        if not value.isdecimal() or (flag != "--seed" and int(value) < 1):
            raise UsageError(f"{flag} needs a whole number, not `{value}`", usage)
        asked[flag[2:].replace("-", "_")] = int(value)
    if asked.get("fresh") and asked.get("resume"):
        raise UsageError("--fresh and --resume cannot go together", "one starts anew, the other goes on")
    return msgspec.convert({"type": "train", "request_id": "", **asked}, Train)


def parse_params(argument: str, sampling: Sampling) -> Sampling:
    """The sampling with `KEY=VALUE …` set. Raises UsageError for an unknown key or a value out of bounds."""
    fields = {f.name: f for f in msgspec.structs.fields(Sampling)}
    changed: dict[str, object] = {}
    for pair in _words(argument.replace(",", " ")):
        key, equals, value = pair.partition("=")
        key = key.replace("-", "_")
        if key not in fields or not equals:
            near = get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]}=…?" if near else f"there are {', '.join(fields)}"
            raise UsageError(f"`{pair}` sets no parameter", hint)
        if key == "seed" and value.lower() in ("none", "random", ""):
            changed[key] = None
            continue
        try:
            changed[key] = msgspec.convert(value, fields[key].type, strict=False)
        except msgspec.ValidationError as error:
            raise UsageError(
                f"{key} cannot be `{value}`", f"{str(error)[:1].lower()}{str(error)[1:]}"
            ) from None
    return msgspec.structs.replace(sampling, **changed)


def shown_params(sampling: Sampling) -> str:
    """The parameters as `/params` shows and takes them."""
    values = {f.name: getattr(sampling, f.name) for f in msgspec.structs.fields(Sampling)}
    return " ".join(f"{key}={'none' if value is None else value}" for key, value in values.items())


def candidates(text: str, adapters: Sequence[str]) -> list[Candidate]:
    """What may come next after `text` (the line up to the cursor). File names are left to the front end."""
    if not text.startswith("/") or text.startswith("//"):
        return []
    name, space, argument = text[1:].partition(" ")
    if not space:
        return [
            Candidate(f"/{command.name}", len(text), command.summary)
            for command in COMMANDS
            if command.name.startswith(name.lower())
        ]
    command = _BY_NAME.get(name.lower())
    if command is None:
        return []
    return command.completes(argument, adapters)


def completes_file(text: str) -> str | None:
    """The part of a file name that stands before the cursor, where one is expected."""
    match = _COMMAND.fullmatch(text)
    if match is None or match["argument"] is None:
        return None
    command = _BY_NAME.get(match["name"].lower())
    return match["argument"] if command is not None and command.completes is _file else None


def _flags(argument: str, command: Command, known: Sequence[str], switches: Sequence[str]) -> dict[str, str]:
    """The flags of a command's argument with their values, as `--flag value` or `--flag=value`."""
    values: dict[str, str] = {}
    words = _words(argument)
    while words:
        flag, equals, value = words.pop(0).partition("=")
        if flag not in known:
            raise UsageError(f"/{command.name} does not know `{flag}`", f"it takes {command.usage}")
        values[flag] = value if equals or flag in switches or not words else words.pop(0)
    return values


def _words(argument: str) -> list[str]:
    try:
        return shlex.split(argument)
    except ValueError as error:
        raise UsageError(f"`{argument}` cannot be read: {error}", "close the quote") from None
