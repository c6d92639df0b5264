"""A fast tokenizer of transformers in the terms of GGUF: tokens, their types, merges or scores, and how
text is cut before it is merged.

Two kinds are written: byte-level BPE (`gpt2` in GGUF), and BPE over characters with bytes to fall back on, as
SentencePiece has it (`llama` in GGUF; Gemma). Anything else is refused: a tokenizer that only nearly fits
gives other tokens than the base was trained on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gguf

from dlm_core.errors import ExportError

_SPACE = "▁"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = (
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CUTS = {_WORDS % "": "qwen2", _WORDS % "{1,3}": "llama-bpe"}
_NORMAL, _UNKNOWN = gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN


@dataclass(frozen=True)
class Vocabulary:
    """What GGUF says about a tokenizer. `pre` is how text is cut (byte-level only); `scores` go with `llama`.

    `tokens` has one entry for each row of the base's embedding. `space_prefix`: text begins with a space.
    """

    model: str
    pre: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    space_prefix: bool = False


def read(tokenizer: Any, size: int) -> Vocabulary:
    """The vocabulary of a tokenizer for a base with `size` embeddings.

    Raises ExportError for a kind of tokenizer that GGUF cannot hold; the message names what it is.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise _refused(f"it is a {type(tokenizer).__name__} without a fast tokenizer")
    content = json.loads(backend.to_str())
    model = content["model"]
    if model["type"] != "BPE":
        raise _refused(f"it is of type {model['type']}")
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ", 1)) for m in model["merges"]]
    if not merges:
        raise _refused("it has no merges")
    tokens, types = _tokens(model, content.get("added_tokens") or (), size)
    cut, normalizer = content.get("pre_tokenizer"), content.get("normalizer")
    if _is_byte_level(cut):
        if _kind(normalizer) not in (None, "NFC"):
            raise _refused(f"it normalises text by {_kind(normalizer)}")
        return Vocabulary("gpt2", _pre(cut), tokens, types, merges=tuple(f"{a} {b}" for a, b in merges))
    if model.get("byte_fallback"):
        prefix = _space_prefix(normalizer, cut)
        return Vocabulary(
            "llama", "default", tokens, types, scores=_scores(tokens, merges), space_prefix=prefix
        )
    raise _refused(f"it cuts text by {_kind(cut) or 'nothing'} and knows no bytes")


def write(writer: Any, vocabulary: Vocabulary, tokenizer: Any, turn_end: int | None) -> None:
    """Put it all into a GGUF header; `turn_end` is the token that ends a turn of the chat template."""
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    if vocabulary.merges:
        writer.add_token_merges(list(vocabulary.merges))
    if vocabulary.scores:
        writer.add_token_scores(list(vocabulary.scores))
        writer.add_add_space_prefix(vocabulary.space_prefix)
    for token, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.unk_token_id, writer.add_unk_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if token is not None:
            add(token)
    if turn_end is not None and turn_end != tokenizer.eos_token_id:
        writer.add_eot_token_id(turn_end)
    writer.add_add_bos_token(begins_with_bos(tokenizer))
    writer.add_add_eos_token(False)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def begins_with_bos(tokenizer: Any) -> bool:
    """Whether the tokenizer puts its begin token before plain text by itself."""
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer("a", add_special_tokens=True)["input_ids"][:1] == [bos]


def _tokens(
    model: Mapping[str, Any], added: Sequence[Mapping[str, Any]], size: int
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Text and type of every id from 0 to `size`; ids that no token has are padding."""
    texts = {int(i): str(text) for text, i in model["vocab"].items()}
    special = {int(t["id"]): bool(t["special"]) for t in added}
    texts |= {int(t["id"]): str(t["content"]) for t in added}
    if texts and max(texts) >= size:
        raise _refused(f"it has {max(texts) + 1} tokens and the base {size} embeddings")
    unknown = model.get("unk_token") if model.get("byte_fallback") else None

    def kind(token: int, text: str) -> int:
        if text == unknown:
            return int(_UNKNOWN)
        if token in special:
            return int(gguf.TokenType.CONTROL if special[token] else gguf.TokenType.USER_DEFINED)
        is_byte = model.get("byte_fallback") and len(text) == 6 and text.startswith("<0x")
        return int(gguf.TokenType.BYTE if is_byte else _NORMAL)

    tokens = tuple(texts.get(i, f"[PAD{i}]") for i in range(size))
    types = tuple(kind(i, texts[i]) if i in texts else int(gguf.TokenType.UNUSED) for i in range(size))
    return tokens, types


def _scores(tokens: Sequence[str], merges: Sequence[tuple[str, ...]]) -> tuple[float, ...]:
    """SentencePiece joins the pair whose piece scores highest; here, the one whose merge comes first."""
    ranks: dict[str, int] = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    last = len(merges)
    return tuple(-float(ranks.get(token, last)) for token in tokens)


def _kind(part: Mapping[str, Any] | None) -> str | None:
    if part is None:
        return None
    if part["type"] == "Sequence":
        inner = part.get("pretokenizers") or part.get("normalizers") or ()
        return " + ".join(str(p["type"]) for p in inner)
    return str(part["type"])


def _is_byte_level(cut: Mapping[str, Any] | None) -> bool:
    return _kind(cut) is not None and str(_kind(cut)).endswith("ByteLevel")


def _pre(cut: Mapping[str, Any] | None) -> str:
    """GGUF's name for how text is cut before merging."""
    assert cut is not None
    parts = list(cut["pretokenizers"]) if cut["type"] == "Sequence" else [cut]
    *before, bytes_ = parts
    if bytes_.get("add_prefix_space"):
        raise _refused("it begins text with a space")
    if not before and bytes_.get("use_regex", True):
        return "gpt-2"
    if len(before) == 1 and before[0]["type"] == "Digits" and before[0].get("individual_digits"):
        if bytes_.get("use_regex", True):
            return "smollm"
    elif len(before) == 1 and before[0]["type"] == "Split" and not bytes_.get("use_regex", True):
        pattern = before[0]["pattern"].get("Regex")
        if before[0].get("behavior") == "Isolated" and pattern in _CUTS:
            return _CUTS[pattern]
    raise _refused(f"it cuts text by {_kind(cut)} in a way that has no name there")


def _space_prefix(normalizer: Mapping[str, Any] | None, cut: Mapping[str, Any] | None) -> bool:
    """Whether text gets a space put before it; refuses whatever is not spaces made visible."""
    steps = [] if normalizer is None else list(normalizer.get("normalizers") or [normalizer])
    prepends = [s for s in steps if s["type"] == "Prepend" and s.get("prepend") == _SPACE]
    replaces = [
        s
        for s in steps
        if s["type"] == "Replace" and s["pattern"].get("String") == " " and s.get("content") == _SPACE
    ]
    if len(prepends) + len(replaces) != len(steps):
        raise _refused(f"it normalises text by {_kind(normalizer)}")
    if cut is not None and cut["type"] == "Metaspace":
        return bool(cut.get("prepend_scheme", "always") != "never")
    # Gemma splits at spaces after it has replaced every one of them, which cuts nothing.
    if not replaces or (cut is not None and (cut["type"], cut.get("pattern")) != ("Split", {"String": " "})):
        raise _refused(f"it cuts text by {_kind(cut)}")
    return bool(prepends)


def _refused(why: str) -> ExportError:
    return ExportError(
        f"this base's tokenizer cannot be written as GGUF: {why}",
        "`--target hf` and `--target peft` take any base",
    )
