"""A Modelfile for Ollama: weights, adapter, template, system prompt, stop tokens and sampling."""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlm_core.bases.chat import Chat
from dlm_core.bases.load import Base
from dlm_core.errors import ExportError
from dlm_core.export import go_template, turns
from dlm_core.export.gguf_tokenizer import begins_with_bos
from dlm_core.export.modelfile import can_hold, quoted
from dlm_core.requests import Message
from dlm_core.safetext import visible_line

_CREATE_SECONDS = 900


@dataclass(frozen=True)
class OllamaTemplate:
    """A template for the Modelfile, None where none renders what the engine renders; `note` says what to
    know.

    `checked` counts the conversations on which it was compared byte for byte.
    """

    text: str | None
    checked: int
    note: str
    says_system: bool = False


def template_for(chat: Chat, system_prompt: str = "") -> OllamaTemplate:
    """The base's chat template for Ollama, compared with the engine on every sample conversation.

    A `system_prompt` that a Modelfile's SYSTEM cannot hold is written into the template (`says_system`).

    Ollama puts the begin token before a prompt by itself where the GGUF says so; there it is left out here.
    """
    bos = str(chat.tokenizer.bos_token) if begins_with_bos(chat.tokenizer) else ""

    def render(messages: Sequence[Message]) -> str:
        return chat.render(messages, add_generation_prompt=True).removeprefix(bos)

    apart = turns.take_apart(render, chat.turn_shape.tail.strip())
    if apart is None:
        return OllamaTemplate(
            None, 0, "the base's chat template follows no pattern that Ollama's can express"
        )
    inline = system_prompt if system_prompt and not can_hold(system_prompt) else ""
    text = go_template.from_turns(apart, inline)

    def same(messages: Sequence[Message]) -> bool:
        own = any(m.role == "system" for m in messages)
        asked = messages if own or not inline else (Message("system", inline), *messages)
        return go_template.render(text, messages) == render(asked)

    if not can_hold(text) or not all(same(sample) for sample in turns.SAMPLES):
        return OllamaTemplate(None, 0, "the base's chat template does more than Ollama's can express")
    trims = not all(same(sample) for sample in turns.UNTRIMMED)
    note = "the base's template strips white space around messages, and Ollama's cannot" if trims else ""
    checked = len(turns.SAMPLES) + (0 if trims else len(turns.UNTRIMMED))
    return OllamaTemplate(text, checked, note, bool(inline))


def modelfile(
    *,
    model: str,
    adapter: str | None,
    template: str | None,
    system: str | None,
    stops: Sequence[str],
    temperature: float,
    top_p: float,
) -> str:
    """The Modelfile's text. File names are relative to it.

    Raises ExportError for a system prompt that would not come out of the file as it went in.
    """
    lines = [f"FROM ./{model}"]
    lines += [f"ADAPTER ./{adapter}"] if adapter else []
    lines += [f"TEMPLATE {quoted(template, 'the chat template')}"] if template is not None else []
    lines += [f"SYSTEM {quoted(system, 'the system prompt')}"] if system else []
    # Ollama's own defaults are a temperature of 0.8 and a penalty on what was said before.
    lines += [
        f"PARAMETER temperature {temperature:g}",
        f"PARAMETER top_p {top_p:g}",
        "PARAMETER top_k 0",
        "PARAMETER repeat_penalty 1",
    ]
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    return "\n".join(lines) + "\n"


def check_system(chat: Chat, system: str | None) -> None:
    """Raise ExportError for a system prompt in which Ollama would read control tokens."""
    if system and chat.encoding.marked(system) != system:
        raise ExportError(
            "the system prompt holds text that Ollama would read as control tokens of the base",
            "word it otherwise, or export with another `--target`",
        )


def stop_texts(base: Base) -> tuple[str, ...]:
    """The tokens that end a reply, as text."""
    texts = [str(base.tokenizer.convert_ids_to_tokens(i)) for i in sorted(base.end_token_ids)]
    return tuple(t for t in texts if t.strip() and not re.search(r'["\\\n]', t))


def create(
    folder: Path,
    stem: str,
    find: Callable[[str], str | None] = shutil.which,
    run: Callable[..., "subprocess.CompletedProcess[str]"] = subprocess.run,
) -> tuple[str | None, str]:
    """Hand the folder to `ollama create`: the model's name (None where there is no ollama, or it refused),
    and a
    sentence about it. No shell is involved.
    """
    program = find("ollama")
    if program is None:
        return None, "ollama is not installed here; in this folder, run `ollama create NAME -f Modelfile`"
    name = "dlm-" + (re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "model")
    command = [program, "create", name, "-f", "Modelfile"]
    try:
        done = run(command, cwd=folder, capture_output=True, text=True, timeout=_CREATE_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"`ollama create` did not run: {visible_line(str(error))[:200]}"
    if done.returncode != 0:
        last = ([line for line in done.stderr.splitlines() if line.strip()] or ["no message"])[-1]
        return None, f"`ollama create` refused: {visible_line(last)[:200]}"
    return name, f"`ollama run {name}` talks to it"
