"""A base folder to a frozen model in memory, with its tokenizer and what a reply needs to know about both."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dlm_core.bases.chat import Chat
from dlm_core.bases.folder import BaseFolder
from dlm_core.bases.placement import Placement
from dlm_core.bases.soundness import check_chat, check_rows, check_tensors
from dlm_core.errors import BaseModelError, DlmError
from dlm_core.events import BaseProgress
from dlm_core.safetext import visible_line
from dlm_core.surroundings import paused_collector

_UNKNOWN_CONTEXT = 2048
_NO_LIMIT = 10_000_000


@dataclass
class BaseOutline:
    """What is known of a base without its weights. `context_length` counts tokens."""

    tokenizer: Any = field(repr=False)
    name: str
    fingerprint: str
    placement: Placement
    context_length: int

    @cached_property
    def chat(self) -> Chat:
        """The tokenizer with its template."""
        return Chat(self.tokenizer)


@dataclass
class Base(BaseOutline):
    """A frozen causal LM: eval mode, no gradients, SDPA attention where the architecture has it.

    `end_token_ids` end a reply; `load_s` is what loading took.
    """

    model: Any = field(repr=False)
    end_token_ids: frozenset[int]
    load_s: float


def outline_base(folder: BaseFolder, placement: Placement) -> BaseOutline:
    """Read the tokenizer and the settings of the base in `folder`, and none of its weights.

    Raises BaseModelError if transformers reads neither from there, or they do not fit each other.
    """
    with paused_collector(), quiet_transformers(), _translated(folder):
        from transformers import AutoConfig

        tokenizer = _tokenizer(folder)
        config = AutoConfig.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    _give_pad_token(tokenizer)
    length = _context_length(config, tokenizer)
    outline = BaseOutline(tokenizer, folder.name, folder.fingerprint, placement, length)
    rows = getattr(config.get_text_config(), "vocab_size", None)
    if isinstance(rows, int):
        check_rows(folder.name, tokenizer, rows)
    check_chat(folder.name, outline.chat)
    return outline


def load_base(folder: BaseFolder, placement: Placement, report: Callable[[BaseProgress], None]) -> Base:
    """Load model and tokenizer from `folder` onto `placement`; no network, no foreign code, no pickle.

    Raises BaseModelError if the folder is not a causal LM that transformers loads, does not fit into memory,
    or lacks what a base needs to work (`bases/soundness.py`).
    """
    began = time.perf_counter()
    with paused_collector(), quiet_transformers(), _translated(folder):
        tokenizer = _tokenizer(folder)
        model, missing = _model(folder, placement)
        embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
    check_tensors(folder.name, missing)
    check_rows(folder.name, tokenizer, min(e.weight.shape[0] for e in embeddings if e is not None))
    _give_pad_token(tokenizer)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.eval().requires_grad_(False)
    chat = Chat(tokenizer)
    check_chat(folder.name, chat)
    base = Base(
        model=model,
        tokenizer=tokenizer,
        name=folder.name,
        fingerprint=folder.fingerprint,
        placement=placement,
        context_length=_context_length(model.config, tokenizer),
        end_token_ids=_end_tokens(model, tokenizer, chat),
        load_s=time.perf_counter() - began,
    )
    detail = f"{placement.device}, {placement.dtype_name}, {base.load_s:.1f} s"
    report(BaseProgress(base=folder.name, source=folder.source, outcome="loaded", detail=detail))
    return base


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keeps transformers' bars and warnings off the terminal, and gives it back its settings."""
    from transformers.utils import logging as chatter

    logging: Any = chatter
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _tokenizer(folder: BaseFolder) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)


def _model(folder: BaseFolder, placement: Placement) -> tuple[Any, set[str]]:
    """The model, and the names of the weights that its files lack."""
    from transformers import AutoModelForCausalLM

    settings: dict[str, Any] = {
        "dtype": placement.weights_dtype,
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
        "output_loading_info": True,
    }
    if placement.device != "cpu":
        settings["device_map"] = {"": placement.device}
    load = AutoModelForCausalLM.from_pretrained
    try:
        model, told = load(folder.path, attn_implementation="sdpa", **settings)
    except ValueError as error:
        if "scaled_dot_product_attention" not in str(error):
            raise
        model, told = load(folder.path, attn_implementation="eager", **settings)
    return model, {str(name) for name in told["missing_keys"]}


def _give_pad_token(tokenizer: Any) -> None:
    """Pad with the end token where there is no pad token; the embeddings keep their size."""
    if tokenizer.pad_token_id is None:
        stand_in = tokenizer.eos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
        tokenizer.pad_token = stand_in


def _context_length(whole: Any, tokenizer: Any) -> int:
    config = whole.get_text_config()
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length"):
        length = getattr(config, key, None)
        if isinstance(length, int) and length > 0:
            return length
    limit = tokenizer.model_max_length
    return int(limit) if 0 < limit < _NO_LIMIT else _UNKNOWN_CONTEXT


def _end_tokens(model: Any, tokenizer: Any, chat: Chat) -> frozenset[int]:
    generation = getattr(model, "generation_config", None)
    candidates: list[Any] = [
        tokenizer.eos_token_id,
        chat.turn_shape.end_id,
        model.config.get_text_config().eos_token_id,
    ]
    candidates.append(getattr(generation, "eos_token_id", None))
    found: set[int] = set()
    for candidate in candidates:
        found.update(
            candidate if isinstance(candidate, list | tuple) else [candidate] if candidate is not None else []
        )
    return frozenset(found)


@contextlib.contextmanager
def _translated(folder: BaseFolder) -> Iterator[None]:
    """What transformers, safetensors and torch raise for a bad folder, as BaseModelError."""
    try:
        yield
    except DlmError:
        raise
    except MemoryError as error:
        raise BaseModelError(f"{folder.name} does not fit into memory", "choose a smaller base") from error
    except RuntimeError as error:
        if "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower():
            raise BaseModelError(
                f"{folder.name} does not fit into memory", "choose a smaller base, or set DLM_DEVICE=cpu"
            ) from error
        raise _unusable(folder, error) from error
    except Exception as error:  # tokenizers and safetensors raise classes of their own, and plain Exception
        raise _unusable(folder, error) from error


def _unusable(folder: BaseFolder, error: BaseException) -> BaseModelError:
    text = " ".join(str(error).split()) or type(error).__name__
    hint = "a base is a causal language model that this version of transformers knows, in safetensors"
    where = visible_line(str(folder.path))
    if "trust_remote_code" in text:
        hint = (
            "it wants to run its own code, which dlm never does; choose an architecture that transformers has"
        )
    elif folder.source != "path":
        hint = f"`dlm base pull {folder.name}` checks its files and fetches it again if they are damaged"
    return BaseModelError(f"{folder.name} cannot be loaded from {where}: {visible_line(text)[:300]}", hint)
