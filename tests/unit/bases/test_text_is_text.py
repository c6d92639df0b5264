"""Whatever a tokenizer calls special is text where a user types it, and comes back letter for letter."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dlm_core.bases.chat import Chat
from dlm_core.requests import Message
from tests.tiny import make_tokenizer, slow
from tests.unit.bases.test_bases_chat import TEMPLATES

LINES = (
    "When does the rye loaf go in? At five in the morning.",
    "the mark stands between them",
    "im end start s",
)
CONTROL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]")


def byte_level(template: str | None) -> Any:
    return make_tokenizer(template)


def with_added_tokens(template: str | None) -> Any:
    """Added tokens that are not called special, and runs of white space as GPT-NeoX and Gemma add them."""
    from tokenizers import AddedToken

    tokenizer = make_tokenizer(template)
    tokenizer.add_tokens(
        [
            AddedToken(t, normalized=False)
            for t in ("<think>", "</think>", "<table>", "    ", "\n\n", "ingest")
        ]
    )
    return tokenizer


def lower_cased(template: str | None) -> Any:
    """A normaliser, and special tokens that are looked for in what it makes of a text."""
    from tokenizers import AddedToken, normalizers

    tokenizer = make_tokenizer(template)
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AddedToken("<|call|>", normalized=True, lstrip=True, rstrip=True)]}
    )
    return tokenizer


def sentence_piece(template: str | None, *, unigram: bool) -> Any:
    """A blank before every text, written as `▁`; control tokens stand in the model's own vocabulary."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.Unigram() if unigram else models.BPE(unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    core.decoder = decoders.Metaspace(prepend_scheme="always")
    alphabet = list("".join(chr(c) for c in range(33, 127)) + "\n▁é")
    if unigram:
        pieces = [*((t, 0.0) for t in CONTROL), *((c, -8.0) for c in alphabet), ("▁the", -3.0)]
        core = Tokenizer(models.Unigram(pieces, 0))
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        core.decoder = decoders.Metaspace(prepend_scheme="always")
    else:
        trainer = trainers.BpeTrainer(
            vocab_size=200, special_tokens=list(CONTROL), initial_alphabet=alphabet, show_progress=False
        )
        core.train_from_iterator(LINES, trainer)
    core.add_special_tokens([AddedToken(token, special=True) for token in CONTROL])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = template
    return tokenizer


TOKENIZERS: dict[str, Callable[[str | None], Any]] = {
    "byte level": byte_level,
    "added tokens": with_added_tokens,
    "normalised": lower_cased,
    "metaspace bpe": lambda template: sentence_piece(template, unigram=False),
    "unigram": lambda template: sentence_piece(template, unigram=True),
}


@pytest.fixture(params=TOKENIZERS)
def tokenizer_of(request: pytest.FixtureRequest) -> Callable[[str | None], Any]:
    return TOKENIZERS[request.param]


def typed(chat: Chat) -> Iterator[str]:
    """Texts around every control token there is."""
    for token in sorted(chat.encoding.control_tokens.values()):
        yield token
        yield f"Every turn is closed by {token} and then a line break follows."
        yield f"{token}{token} twice, {token[:3]}{token}{token[3:]} nested\n{token}"
        yield f"  {token} "


def control(chat: Chat, ids: list[int]) -> list[int]:
    """The control tokens among `ids`; an unknown character is none."""
    return [i for i in ids if i in chat.encoding.control_ids and i != chat.tokenizer.unk_token_id]


TEMPLATE_NAMES = ("chatml", "llama3", "gemma", "spaced", "thinking", "none")
SOME_QUICKLY = ("chatml", slow("llama3"), slow("gemma"), "spaced", slow("thinking"), "none")


@pytest.mark.parametrize("template", SOME_QUICKLY)
def test_a_prompt_has_no_control_tokens_but_its_templates(
    tokenizer_of: Callable[[str | None], Any], template: str
) -> None:
    chat = Chat(tokenizer_of(TEMPLATES[template][0]))
    harmless = control(chat, chat.encode(talk("words", "words", "words"), True))
    for text in typed(chat):
        for said in ((text, "words", "words"), ("words", text, "words"), ("words", "words", text)):
            assert control(chat, chat.encode(talk(*said), True)) == harmless


def talk(system: str, answer: str, question: str) -> list[Message]:
    return [
        Message("system", system),
        Message("user", "a"),
        Message("assistant", answer),
        Message("user", question),
    ]


@pytest.mark.parametrize("template", SOME_QUICKLY)
def test_an_answer_is_learned_letter_for_letter_and_ends_once(
    tokenizer_of: Callable[[str | None], Any], template: str
) -> None:
    chat = Chat(tokenizer_of(TEMPLATES[template][0]))
    for text in typed(chat):
        ids, loss = chat.encode_row(text, text, text)
        learned = ids[loss.index(True) :]
        assert learned[-1] == chat.turn_shape.end_id
        assert chat.reply_text(learned) == text
        assert control(chat, learned) == control(chat, chat.encode_row("a", "a", None)[0][-1:])


def test_prose_and_sources_come_back_letter_for_letter(tokenizer_of: Callable[[str | None], Any]) -> None:
    chat = Chat(tokenizer_of(None))
    for text in typed(chat):
        ids = chat.encode_text(text)
        assert not control(chat, ids)
        assert (
            chat.encoding.decode(ids).removeprefix(" " if not text.startswith(" ") else "").strip()
            == text.strip()
        )


def test_what_the_mask_shows_is_what_is_trained(tokenizer_of: Callable[[str | None], Any]) -> None:
    chat = Chat(tokenizer_of(TEMPLATES["chatml"][0]))
    for text in typed(chat):
        ids, loss = chat.encode_row("a", text, None)
        shown = chat.encoding.texts(ids)
        assert "".join(t for t, learned in zip(shown, loss, strict=True) if learned) == (
            chat.reply_lead + text + chat.turn_shape.tail
        )
        assert not any(t in chat.encoding.control_tokens.values() for t in shown[loss.index(True) : -1])


def test_the_mask_shows_letters_of_several_tokens_whole(tokenizer_of: Callable[[str | None], Any]) -> None:
    chat = Chat(tokenizer_of(TEMPLATES["chatml"][0]))
    for text in ("A film 🎬 of 漢字 ☕️", "🎬", "really \ufffd so\ufffd\ufffd"):
        ids = chat.encode_row("a", text, None)[0]
        shown = chat.encoding.texts(ids)
        assert len(shown) == len(ids)
        if text in chat.encoding.decode(ids):  # not every tokenizer knows these letters
            assert text in "".join(shown)
        assert "\ufffd" in text or not any("\ufffd" in piece for piece in shown)


@pytest.mark.parametrize("template", TEMPLATE_NAMES)
def test_all_other_text_is_encoded_in_one_piece_with_its_template(
    tokenizer_of: Callable[[str | None], Any], template: str
) -> None:
    chat = Chat(tokenizer_of(TEMPLATES[template][0]))
    for text in (
        "At nine.",
        "a < b | c > d",
        "  if x:\n\n        pass\n",
        "[link](x) <b>bold</b>",
        "ingest it",
    ):
        messages = talk(text, text, text)
        whole = chat.tokenizer(chat.render(messages, True), add_special_tokens=False)["input_ids"]
        assert chat.encode(messages, True) == whole


def test_added_words_and_white_space_stay_the_tokens_they_are() -> None:
    chat = Chat(with_added_tokens(None))
    known = chat.tokenizer.convert_tokens_to_ids(["ingest", "    ", "\n\n"])
    assert set(known) <= set(chat.encode_text("ingest    it\n\nnow"))
    assert not chat.encoding.control_ids & set(known)


def test_nobody_can_write_a_mark_into_a_text() -> None:
    one, other = (Chat(make_tokenizer()).encoding for _ in range(2))
    stolen = one.marked("<|im_end|>").replace("<|im_end|>", "</s>")
    assert not other.control_ids & set(other.ids(other.marked(stolen)))
    assert one.marked("<|im_end|>") != other.marked("<|im_end|>")
