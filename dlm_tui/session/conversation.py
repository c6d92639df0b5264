"""The state of a chat without a screen: turns, routing, sampling, system prompt; kept as JSON or Markdown."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from dlm_core.errors import NOT_JSON, DlmError, UsageError
from dlm_core.events import AdapterOpenness, Citation, Reply, Routing, Timing
from dlm_core.requests import Message, RoutingChoice, Sampling
from dlm_core.safetext import visible_line
from dlm_core.store import atomic
from dlm_tui.session.wording import counted

FORMAT = 1
MAX_FILE_BYTES = 32 * 1024 * 1024
TURNS_WITH_TOKENS = 20
_MARK = "<!-- dlm: "
_ESCAPED = re.compile(r"^(\\*)(?=<!-- dlm: )", re.MULTILINE)
_UNESCAPED = re.compile(r"^\\(\\*)(?=<!-- dlm: )", re.MULTILINE)


class TokenOpenness(msgspec.Struct, frozen=True, kw_only=True):
    """A reply token by token: `pieces` of text, and every adapter's openness at each."""

    pieces: tuple[str, ...] = ()
    openness: dict[str, tuple[float, ...]] = {}

    @classmethod
    def of(cls, said: Sequence[tuple[str, Mapping[str, float]]]) -> "TokenOpenness":
        """What was told of each token; an adapter that was not told of has -1 there."""
        names = dict.fromkeys(name for _, openness in said for name in openness)
        return cls(
            pieces=tuple(text for text, _ in said),
            openness={
                name: tuple(round(openness.get(name, -1.0), 4) for _, openness in said) for name in names
            },
        )

    @property
    def said(self) -> list[tuple[str, dict[str, float]]]:
        """The same as it was told."""
        return [
            (piece, {name: values[n] for name, values in self.openness.items() if values[n] >= 0})
            for n, piece in enumerate(self.pieces)
            if all(n < len(values) for values in self.openness.values())
        ]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One reply as it is kept: the text, and all that was told about how it came about.

    `tokens` is kept in JSON only, and for the last replies alone (see `Conversation.save`).
    """

    text: str
    finish_reason: Literal["stop", "length", "interrupted"]
    routing: Routing
    openness: dict[str, AdapterOpenness] = {}
    timing: Timing | None = None
    version: str = ""
    during_run: int | None = None
    dropped_turns: int = 0
    tokens: TokenOpenness = TokenOpenness()
    citation: Citation | None = None
    grounded: bool = False
    overruled: int = 0

    @classmethod
    def of(cls, reply: Reply, said: Sequence[tuple[str, Mapping[str, float]]] = ()) -> "Answer":
        """The answer that the engine's reply is; `said` is what each token added, with openness at it."""
        return cls(
            text=reply.reply,
            finish_reason=reply.finish_reason,
            routing=reply.routing,
            openness=reply.openness,
            timing=reply.timing,
            version=reply.version,
            during_run=reply.during_run,
            dropped_turns=reply.dropped_turns,
            tokens=TokenOpenness.of(said),
            citation=reply.citation,
            grounded=reply.grounded,
            overruled=reply.overruled,
        )


def left_out(turns: int, context_length: int = 0) -> str:
    """What is said of `turns` that a reply could not take into account; 0: the window's length is unknown."""
    context = f" of {context_length} tokens" if context_length else ""
    oldest = f"the oldest {counted(turns, 'turn')}"
    return f"{oldest} no longer fit into the context window{context} and were left out"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A question and its answer; `others` are earlier or comparing answers to it, oldest first."""

    question: str
    answer: Answer
    others: tuple[Answer, ...] = ()


class _Saved(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    turns: tuple[Turn, ...]
    system: str | None = None
    choice: RoutingChoice = RoutingChoice()
    sampling: Sampling = Sampling()


@dataclass
class Conversation:
    """What a chat consists of. Front ends show it and ask the engine; this keeps it.

    Args:
        system: the system prompt in place of the document's; None leaves it to the document.
        choice: the routing for the next reply.
        sampling: how the next reply is drawn.
        turns: oldest first.
    """

    system: str | None = None
    choice: RoutingChoice = field(default_factory=RoutingChoice)
    sampling: Sampling = field(default_factory=Sampling)
    turns: list[Turn] = field(default_factory=list)

    @property
    def last(self) -> Turn | None:
        return self.turns[-1] if self.turns else None

    def messages(self, question: str) -> tuple[Message, ...]:
        """The whole conversation with `question` as its next turn, for the engine."""
        return self._messages(self.turns, question)

    def asked_last(self) -> tuple[tuple[Message, ...], Turn]:
        """The last turn, behind the conversation up to and with its question.

        Raises:
            UsageError: nothing has been asked yet.
        """
        last = self._last_or_error()
        return self._messages(self.turns[:-1], last.question), last

    def answered(self, question: str, answer: Answer) -> None:
        """Keep a turn."""
        self.turns.append(Turn(question=question, answer=answer))

    def answered_again(self, answer: Answer) -> None:
        """Put `answer` in the place of the last one, which is kept beside it.

        An answer of the bare base is for comparison: it is kept beside, and the last one stays.
        """
        last = self._last_or_error()
        if answer.routing.mode == "base":
            self.turns[-1] = msgspec.structs.replace(last, others=(*last.others, answer))
        else:
            self.turns[-1] = Turn(question=last.question, answer=answer, others=(*last.others, last.answer))

    def corrected(self, before: Answer, answer: Answer) -> None:
        """Put `answer` in the place of `before`, which is kept beside it; a turn that is gone is none."""
        for number, turn in enumerate(self.turns):
            if before == turn.answer or before in turn.others:
                others = (*turn.others, turn.answer)
                self.turns[number] = Turn(question=turn.question, answer=answer, others=others)
                return

    def clear(self) -> None:
        """Forget the turns; routing, sampling and system prompt stay."""
        self.turns.clear()

    def save(self, path: Path) -> None:
        """Write the conversation as `.json` or `.md`.

        JSON keeps the openness token by token for the last replies, Markdown for none.

        Raises:
            UsageError: another ending, or the file is there already.
            DlmError: it cannot be written.
        """
        match path.suffix.lower():
            case ".json":
                text = self.as_json()
            case ".md" | ".markdown":
                text = _markdown(self._saved(tuple(self.turns)))
            case _:
                raise UsageError(f"{path.name} ends in neither .json nor .md", "the ending chooses the form")
        _write_new(path, text)

    def as_json(self) -> str:
        """The conversation as `.json` has it."""
        saved = self._saved(_lightened(self.turns))
        return msgspec.json.format(msgspec.json.encode(saved), indent=2).decode() + "\n"

    def _saved(self, turns: tuple[Turn, ...]) -> _Saved:
        return _Saved(
            format=FORMAT, turns=turns, system=self.system, choice=self.choice, sampling=self.sampling
        )

    def load(self, path: Path) -> None:
        """Go on with a saved conversation: all of this one is replaced.

        Raises:
            DlmError: the file cannot be read, or is no conversation; this one is as it was.
        """
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise DlmError(f"{path} is larger than any conversation ({MAX_FILE_BYTES >> 20} MB)")
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeError, ValueError) as error:
            raise DlmError(f"{path} cannot be read: {_reason(error)}") from error
        try:
            is_markdown = path.suffix.lower() in (".md", ".markdown")
            saved = _from_markdown(text) if is_markdown else msgspec.json.decode(text, type=_Saved)
        except NOT_JSON as error:
            raise DlmError(f"{path} is not a saved conversation: {error}", "/save writes one") from error
        if saved.format > FORMAT:
            raise DlmError(f"{path} was written by a newer dlm", "upgrade dlm to load it")
        self.turns = list(saved.turns)
        self.system, self.choice, self.sampling = saved.system, saved.choice, saved.sampling

    def _messages(self, turns: list[Turn], question: str) -> tuple[Message, ...]:
        said = [Message("system", self.system)] if self.system is not None else []
        for turn in turns:
            said += [Message("user", turn.question), Message("assistant", turn.answer.text)]
        return (*said, Message("user", question))

    def _last_or_error(self) -> Turn:
        if not self.turns:
            raise UsageError("nothing has been asked yet", "ask something first")
        return self.turns[-1]


def describe(choice: RoutingChoice) -> str:
    """How the next reply is routed, in words."""
    if choice.section is not None:
        return f"from the section that answers “{visible_line(choice.section)}”"
    words = _described(choice)
    if choice.ground == "off" and choice.mode == "auto":
        return f"{words}; the document is not looked up"
    return (
        f"{words}; the document is looked up" if choice.ground == "auto" and choice.mode != "auto" else words
    )


def _described(choice: RoutingChoice) -> str:
    match choice.mode:
        case "auto":
            return "gate auto: the gate decides"
        case "off":
            return "gate off: every adapter weighs the same"
        case "pin":
            return f"pinned to {choice.adapter}"
        case "mix":
            total = sum(choice.mix.values()) or 1.0
            return "mix " + ", ".join(f"{name} {weight / total:.2f}" for name, weight in choice.mix.items())
        case "base":
            return "bare base: all adapters off"


def _lightened(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns, with openness by token for the last ones only: it takes more room than all the rest."""
    early = max(0, len(turns) - TURNS_WITH_TOKENS)
    light = TokenOpenness()
    replace = msgspec.structs.replace
    return tuple(
        replace(
            turn,
            answer=replace(turn.answer, tokens=light) if number < early else turn.answer,
            others=tuple(replace(other, tokens=light) for other in turn.others),
        )
        for number, turn in enumerate(turns)
    )


def _markdown(saved: _Saved) -> str:
    """Readable, and exact: each part stands under a comment that holds what text cannot."""
    head = msgspec.structs.replace(saved, turns=())
    parts = [f"{_mark('conversation', head)}\n# Conversation\n"]
    for turn in saved.turns:
        parts.append(f"{_mark('question', None)}\n## Question\n\n{_escape(turn.question)}\n")
        for other in turn.others:
            parts.append(_answer_part("other", "Another reply", other))
        parts.append(_answer_part("answer", "Reply", turn.answer))
    return "\n".join(parts) + "\n"


def _answer_part(kind: str, title: str, answer: Answer) -> str:
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in answer.routing.weights.items())
    routing = f"*{answer.routing.mode}: {weights}*" if weights else f"*{answer.routing.mode}*"
    mark = _mark(kind, msgspec.structs.replace(answer, text="", tokens=TokenOpenness()))
    return f"{mark}\n### {title}\n{routing}\n\n{_escape(answer.text)}\n"


def _mark(kind: str, value: msgspec.Struct | None) -> str:
    if value is None:
        return f"{_MARK}{kind} -->"
    # Two dashes would end the comment; inside a JSON string the second may as well be an escape.
    told = msgspec.json.encode(value).decode().replace("--", "-\\u002d")
    return f"{_MARK}{kind} {told} -->"


def _escape(text: str) -> str:
    return _ESCAPED.sub(r"\\\1", text)


def _from_markdown(text: str) -> _Saved:
    head: _Saved | None = None
    turns: list[Turn] = []
    question: str | None = None
    others: list[Answer] = []
    for kind, told, body in _parts(text):
        if kind == "conversation":
            head = msgspec.json.decode(told, type=_Saved)
        elif kind == "question":
            question, others = body.partition("## Question\n\n")[2], []
        elif kind in ("answer", "other") and question is not None:
            said = body.partition("\n\n")[2]
            answer = msgspec.structs.replace(msgspec.json.decode(told, type=Answer), text=said)
            if kind == "other":
                others.append(answer)
            else:
                turns.append(Turn(question=question, answer=answer, others=tuple(others)))
                question = None
        else:
            raise msgspec.DecodeError(f"`{kind}` is out of place")
    if head is None:
        raise msgspec.DecodeError("it does not begin with a conversation's comment")
    return msgspec.structs.replace(head, turns=tuple(turns))


def _parts(text: str) -> list[tuple[str, str, str]]:
    """Kind, JSON and body of every part; bodies are unescaped, without the blank line that ends them."""
    found = []
    pieces = re.split(r"^<!-- dlm: (\w+) ?(.*) -->\n", text, flags=re.MULTILINE)
    for kind, told, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        found.append((kind, told, _UNESCAPED.sub(r"\1", body.removesuffix("\n\n"))))
    return found


def _write_new(path: Path, text: str) -> None:
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already", "choose another name")
    if not path.parent.is_dir():
        raise DlmError(f"{path} cannot be written: {path.parent} is no folder")
    try:
        with atomic.new_file(path) as write:
            write(text.encode("utf-8"))
    except ValueError as error:  # half of a surrogate pair, or a NUL in the name
        raise DlmError(f"{path} cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
