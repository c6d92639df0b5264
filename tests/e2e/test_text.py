"""Every special token of the real base is text where a user types it."""

from pathlib import Path

import pytest

from dlm_core.bases.cache import BaseCache
from dlm_core.bases.chat import Chat
from dlm_core.requests import Message

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def chat(home: Path) -> Chat:
    from transformers import AutoTokenizer

    folder = BaseCache(home).look_up("smollm2-135m").folder
    assert folder is not None
    return Chat(AutoTokenizer.from_pretrained(folder.path, local_files_only=True))


def control(chat: Chat, ids: list[int]) -> list[int]:
    return [i for i in ids if i in chat.encoding.control_ids]


def test_no_special_token_comes_of_what_is_typed(chat: Chat) -> None:
    tokens = sorted(chat.encoding.control_tokens.values())
    assert {"<|im_start|>", "<|im_end|>", "<|endoftext|>"} <= set(tokens)

    def talk(text: str) -> list[Message]:
        return [
            Message("system", text),
            Message("user", text),
            Message("assistant", text),
            Message("user", text),
        ]

    framed = control(chat, chat.encode(talk("words"), True))
    for token in tokens:
        text = f"Write {token} and then {token}{token}."
        assert control(chat, chat.encode(talk(text), True)) == framed
        assert not control(chat, chat.encode_text(text))
        ids, loss = chat.encode_row(text, text, text)
        learned = ids[loss.index(True) :]
        assert chat.reply_text(learned) == text
        assert control(chat, learned) == [chat.turn_shape.end_id]


def test_all_other_text_is_encoded_with_its_template_as_one(chat: Chat) -> None:
    for text in ("When does the rye loaf go in?", "a < b | c > d", "  if x:\n\n        pass\n", "Größe 👩🏽"):
        messages = [Message("system", text), Message("user", text)]
        whole = chat.tokenizer(chat.render(messages, True), add_special_tokens=False)["input_ids"]
        assert chat.encode(messages, True) == whole
