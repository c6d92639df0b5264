"""Text to token ids and back: the one place that calls a base's tokenizer.

A chat template's own control tokens (`<|im_end|>`, `[INST]`, …) are parsed; the same characters in a user's
text never are. `marked` encloses a user's text in which the tokenizer would read a control token, the
template is rendered around it, and `ids` encodes what stands between the marks without any added token:

    "<|im_start|>user\\n" · MARK "What is <|im_end|>?" MARK · "<|im_end|>\\n"

Text without such characters is not marked, so it is encoded together with the template, as it always was.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from dlm_core.errors import BaseModelError
from dlm_core.safetext import visible_line

_WORDS = re.compile(r"[\w\s]*")  # added vocabulary, not control tokens: words, and runs of white space
_NO_LETTER = "\ufffd"  # what a part of a letter decodes to
_LETTER_TOKENS = 4  # a letter has at most four bytes
_BEFORE = "\n"  # put before a piece, since some tokenizers put a blank before every text


class TextEncoding:
    """A tokenizer of transformers, with user's text kept apart from control tokens.

    `control_ids` are the ids that mean something to the base beyond their characters: tokens that the
    tokenizer calls special or has added, save plain words, white space and single characters.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        nonce = secrets.token_hex(12)  # nobody can write a mark into a text
        self._open, self._close = f"\ue000{nonce}\ue001", f"\ue001{nonce}\ue000"
        added = {int(i): t for i, t in tokenizer.added_tokens_decoder.items()}
        texts = {i: str(t.content) for i, t in added.items()}
        special = {i for i, t in added.items() if t.special}
        for text in tokenizer.all_special_tokens:
            texts[number := int(tokenizer.convert_tokens_to_ids(text))] = str(text)
            special.add(number)
        self.control_tokens = {
            i: text
            for i, text in texts.items()
            if len(text.strip()) > 1 and (i in special or not _WORDS.fullmatch(text))
        }
        self.control_ids = frozenset(self.control_tokens)
        self._unsaid = self.control_ids & special

    def marked(self, text: str) -> str:
        """`text`, in marks if the tokenizer would read control tokens in it; blanks at its ends stay out."""
        if not self._reads_control(text):
            return text
        bare = text.strip()
        at = text.index(bare)
        return text[:at] + self._open + bare + self._close + text[at + len(bare) :]

    def unmarked(self, text: str) -> str:
        """`text` without marks."""
        return text.replace(self._open, "").replace(self._close, "")

    def ids(self, rendered: str) -> list[int]:
        """Token ids: control tokens are parsed outside marks, and nowhere inside."""
        if self._open not in rendered:
            return self._parsed(rendered)
        found: list[int] = []
        for number, piece in enumerate(self._pieces.split(rendered)):
            encode = self._literal if number % 2 else self._parsed
            if piece := self.unmarked(piece):
                found += self._after(encode, piece) if found else encode(piece)
        return found

    def after(self, rendered: str) -> list[int]:
        """Token ids of a text that goes on after another one."""
        return self.ids(rendered) if self._open in rendered else self._after(self._parsed, rendered)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` as it goes on after other text, letter for letter, without special tokens."""
        shown = [i for i in ids if i not in self._unsaid]
        return self._within(shown) if shown else ""

    def texts(self, ids: Sequence[int]) -> list[str]:
        """The text of each token as it stands within a text; special tokens are shown. A letter of several
        tokens stands at the last of them.
        """
        found: list[str] = []
        begun: list[int] = []
        for place, token in enumerate(ids, 1):
            begun.append(token)
            text = self._within(begun)
            if text.endswith(_NO_LETTER) and len(begun) < _LETTER_TOKENS and place < len(ids):
                found.append("")
            else:
                found.append(text)
                begun.clear()
        return found

    @cached_property
    def _pieces(self) -> re.Pattern[str]:
        return re.compile(f"{self._open}(.*?){self._close}", re.DOTALL)

    @cached_property
    def _control_texts(self) -> re.Pattern[str]:
        longest_first = sorted(self.control_tokens.values(), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @cached_property
    def _without_added(self) -> Any:
        """The fast tokenizer without added tokens: normaliser, cutting and model. None for a slow one."""
        import json

        from tokenizers import Tokenizer

        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        if backend is None:
            return None
        content = json.loads(backend.to_str()) | {
            "added_tokens": [], "post_processor": None, "truncation": None, "padding": None
        }  # fmt: skip
        return Tokenizer.from_str(json.dumps(content))

    @cached_property
    def _head(self) -> list[int]:
        return self._parsed("a")

    @cached_property
    def _head_text(self) -> str:
        return self._text(self._head)

    @cached_property
    def _blank_before(self) -> bool:
        """Return True if the tokenizer puts a blank before every text."""
        return self._text([*self._head, *self._head]) != "aa"

    def _reads_control(self, text: str) -> bool:
        return bool(self._control_texts.search(text)) or self._has_control(self._parsed(text), text)

    def _has_control(self, ids: Sequence[int], text: str) -> bool:
        """Return True if `text` has ids of control tokens; the unknown token may stand for characters."""
        unknown = self.tokenizer.unk_token_id
        as_characters = self.control_tokens.get(unknown, "") not in text
        return any(i in self.control_ids and not (i == unknown and as_characters) for i in ids)

    def _parsed(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _literal(self, text: str) -> list[int]:
        """`text` as characters. A control token that the vocabulary itself makes of them is cut in two."""
        plain = self._without_added
        ids = list(plain.encode(text, add_special_tokens=False).ids) if plain else self._parsed(text)
        if not self._has_control(ids, text):
            return ids
        found = self._control_texts.search(text)
        if found is None or len(text) < 2:
            raise BaseModelError(
                f"this base's tokenizer makes a control token of {visible_line(text)[:60]} in any case",
                "word it otherwise, or choose another base",
            )
        cut = found.start() + 1
        return self._literal(text[:cut]) + self._after(self._literal, text[cut:])

    def _after(self, encode: Callable[[str], list[int]], text: str) -> list[int]:
        """The ids of `text` where other text stands before it."""
        if self._blank_before:
            before, both = encode(_BEFORE), encode(_BEFORE + text)
            if both[: len(before)] == before:
                return both[len(before) :]
        return encode(text)

    def _within(self, ids: Sequence[int]) -> str:
        """Decoders drop a blank that begins a text, so the text is read after another one."""
        text = self._text([*self._head, *ids])
        return text[len(self._head_text) :] if text.startswith(self._head_text) else self._text(ids)

    def _text(self, ids: Sequence[int]) -> str:
        return str(
            self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )
