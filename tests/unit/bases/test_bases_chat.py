"""Templates of several families, on a small tokenizer: what is rendered, and which tokens carry loss."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from dlm_core.bases.chat import Chat
from dlm_core.errors import BaseModelError
from dlm_core.requests import Message

MakeTokenizer = Callable[..., Any]

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nDefault.<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ m['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA3 = (
    "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
# Puts a space before the answer that is not part of the prompt, and drops the system turn without a word.
SPACED = (
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] }}</s>{% endif %}{% endfor %}"
)
# Shows an empty reasoning block before the last answer, in the prompt only when thinking is off.
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
    "{% endif %}"
)
DATED = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y %H%M%S') %}{% endif %}"
    "Today: {{ date_string }}\n" + CHATML
)
NO_END = (
    "{% for m in messages %}## {{ m['role'] }}\n{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}## assistant\n{% endif %}"
)

TEMPLATES = {
    "chatml": (CHATML, "<|im_end|>"),
    "gemma": (GEMMA, "<end_of_turn>"),
    "llama3": (LLAMA3, "<|eot_id|>"),
    "spaced": (SPACED, "</s>"),
    "thinking": (THINKING, "<|im_end|>"),
    "dated": (DATED, "<|im_end|>"),
    "no end": (NO_END, "</s>"),
    "none": (None, "</s>"),
}
ANSWER = "Restart the ingest service.\n\n    then watch\n"


@pytest.fixture(params=TEMPLATES)
def family(request: pytest.FixtureRequest, make_tokenizer: MakeTokenizer) -> tuple[Chat, str]:
    """A chat of one template family, and the token that ends its turns."""
    template, end = TEMPLATES[request.param]
    return Chat(make_tokenizer(template)), end


def split(chat: Chat, question: str, answer: str, system: str | None = None) -> tuple[list[int], str]:
    """A row's ids without loss, and the text of those with loss."""
    ids, loss = chat.encode_row(question, answer, system)
    assert len(ids) == len(loss)
    first = loss.index(True)
    assert all(loss[first:]), "loss is one stretch to the end of the row"
    return ids[:first], chat.tokenizer.decode(ids[first:])


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_loss_covers_exactly_the_answer_and_its_end_token(
    family: tuple[Chat, str], system: str | None
) -> None:
    chat, end = family
    _, learned = split(chat, "What broke?", ANSWER, system)
    assert learned.removeprefix(chat.turn_shape.lead) == ANSWER + end


@pytest.mark.parametrize("system", [None, "Be brief."])
def test_a_row_begins_with_the_ids_that_inference_will_prompt_with(
    family: tuple[Chat, str], system: str | None
) -> None:
    chat, _ = family
    head = [Message("system", system)] if system else []
    prompt, _ = split(chat, "What broke?", ANSWER, system)
    assert prompt == chat.encode([*head, Message("user", "What broke?")], add_generation_prompt=True)


def test_the_end_token_is_the_one_that_ends_turns(family: tuple[Chat, str]) -> None:
    chat, end = family
    assert chat.turn_shape.end_id == chat.tokenizer.convert_tokens_to_ids(end)


def test_a_system_text_always_reaches_the_prompt(family: tuple[Chat, str]) -> None:
    chat, _ = family
    messages = [
        Message("system", "Be brief."),
        Message("user", "Why?"),
        Message("assistant", "So."),
        Message("user", "?"),
    ]
    assert chat.render(messages, add_generation_prompt=True).count("Be brief.") == 1


def test_a_template_without_system_role_gets_the_text_in_the_first_user_turn(
    make_tokenizer: MakeTokenizer,
) -> None:
    chat = Chat(make_tokenizer(GEMMA))
    rendered = chat.render(
        [Message("system", "Be brief."), Message("user", "Why?")], add_generation_prompt=True
    )
    assert rendered == "<s><start_of_turn>user\nBe brief.\n\nWhy?<end_of_turn>\n<start_of_turn>model\n"


def test_without_a_system_text_the_templates_own_default_stays(make_tokenizer: MakeTokenizer) -> None:
    chat = Chat(make_tokenizer(CHATML))
    assert "Default." in chat.render([Message("user", "Why?")], add_generation_prompt=True)
    assert "Default." not in chat.render(
        [Message("system", "Mine."), Message("user", "Why?")], add_generation_prompt=True
    )


def test_an_answer_that_looks_like_the_question_is_still_told_apart(family: tuple[Chat, str]) -> None:
    chat, end = family
    _, learned = split(chat, "fence", "fence")
    assert learned.removeprefix(chat.turn_shape.lead) == "fence" + end


def test_a_prompt_does_not_change_with_the_day(make_tokenizer: MakeTokenizer) -> None:
    chat = Chat(make_tokenizer(DATED))
    assert chat.render([Message("user", "Why?")], True).startswith("Today: 26 Jul 2024\n")


def test_reasoning_is_closed_in_the_prompt_and_carries_no_loss(make_tokenizer: MakeTokenizer) -> None:
    chat = Chat(make_tokenizer(THINKING))
    prompt, learned = split(chat, "Why?", "So.")
    assert chat.tokenizer.decode(prompt).endswith("<think>\n\n</think>\n\n")
    assert learned == "So.<|im_end|>"


def test_the_plain_fallback_reads_as_documented(make_tokenizer: MakeTokenizer) -> None:
    chat = Chat(make_tokenizer(None))
    messages = [Message("system", "S"), Message("user", "a"), Message("assistant", "b"), Message("user", "c")]
    assert chat.render(messages, True) == "S\n\nUser: a\nAssistant:\nb</s>\n\nUser: c\nAssistant:\n"
    _, learned = split(chat, "a", "b")
    assert learned == "b</s>"


def test_a_history_turn_of_the_fallback_is_the_text_that_was_trained(make_tokenizer: MakeTokenizer) -> None:
    chat = Chat(make_tokenizer(None))
    ids, _ = chat.encode_row("a", "b", None)
    later = chat.render([Message("user", "a"), Message("assistant", "b"), Message("user", "c")], True)
    assert later.startswith(chat.tokenizer.decode(ids))


def test_plain_text_begins_as_the_tokenizer_begins_it_and_has_no_end_token(
    make_tokenizer: MakeTokenizer,
) -> None:
    with_bos, without = Chat(make_tokenizer(None, adds_bos=True)), Chat(make_tokenizer(None))
    assert with_bos.tokenizer.decode(with_bos.encode_text("ingest")) == "<s>ingest"
    assert without.tokenizer.decode(without.encode_text("ingest")) == "ingest"
    assert with_bos.encode([Message("user", "x")], True).count(with_bos.tokenizer.bos_token_id) == 1


def test_a_tokenizer_without_end_token_still_gives_rows(make_tokenizer: MakeTokenizer) -> None:
    chat = Chat(make_tokenizer(None, eos_token=None))
    _, learned = split(chat, "a", "b")
    assert (learned, chat.turn_shape.end_id) == ("b", None)


def test_a_conversation_that_the_template_refuses_is_an_error_for_a_person(
    make_tokenizer: MakeTokenizer,
) -> None:
    chat = Chat(make_tokenizer(GEMMA))
    with pytest.raises(BaseModelError, match="roles must alternate"):
        chat.render([Message("assistant", "first")], add_generation_prompt=True)


def test_where_the_tokenizer_would_join_prompt_and_answer_the_prompt_keeps_its_ids() -> None:
    chat = Chat(JoiningTokenizer())
    prompt = chat.encode([Message("user", "q")], add_generation_prompt=True)
    ids, loss = chat.encode_row("q", "answer", None)
    assert ids[: len(prompt)] == prompt
    assert loss == [False] * len(prompt) + [True] * (len(ids) - len(prompt))


class JoiningTokenizer:
    """Whole words are tokens, so that ":" and what follows it become one."""

    chat_template = "{# any #}"
    eos_token, eos_token_id, bos_token, bos_token_id = "</s>", 0, None, None
    unk_token_id = None
    all_special_tokens = ("</s>",)
    added_tokens_decoder: Mapping[int, Any] = MappingProxyType({})

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        words = text.replace("</s>", " </s>").split()
        return {"input_ids": [0 if w == "</s>" else 1 + sum(w.encode()) for w in words]}

    def decode(self, ids: list[int], **settings: bool) -> str:
        return "".join(chr(i - 1) if i else "</s>" for i in ids)

    def convert_tokens_to_ids(self, token: str) -> int:
        return 0

    def apply_chat_template(self, messages: list[dict[str, str]], **settings: Any) -> str:
        turns = "".join(
            f"U:{m['content']} " if m["role"] == "user" else f"A:{m['content']}</s>" for m in messages
        )
        return turns + ("A:" if settings["add_generation_prompt"] else "")
