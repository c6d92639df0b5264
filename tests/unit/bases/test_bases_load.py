"""Loading: any causal LM in a folder becomes a frozen base, and a bad folder a sentence."""

import gc
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dlm_core.bases.folder import BaseFolder
from dlm_core.bases.load import Base, load_base, outline_base
from dlm_core.bases.placement import choose_placement
from dlm_core.errors import BaseModelError
from dlm_core.events import BaseProgress
from dlm_core.surroundings import paused_collector

MakeFolder = Callable[..., Path]
CPU = choose_placement(device="cpu")


def load(folder: Path, report: Callable[[BaseProgress], None] = lambda event: None) -> Base:
    return load_base(BaseFolder("tiny", folder, "path", "f" * 64), CPU, report)


@pytest.mark.parametrize("was_on", [True, False])
def test_the_garbage_collector_is_left_as_it_was_even_where_loading_fails(was_on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_on else gc.disable)()
        with pytest.raises(KeyError), paused_collector():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == was_on
    finally:
        (gc.enable if before else gc.disable)()


def test_what_was_built_under_a_paused_collector_is_not_looked_at_again() -> None:
    gc.unfreeze()
    try:
        with paused_collector():
            with paused_collector():
                built = [[] for _ in range(100)]
            assert gc.get_freeze_count() == 0, "the outer one is not over yet"
        assert gc.get_freeze_count() > len(built)
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("tied", [True, False])
def test_a_loaded_base_is_frozen_and_computes(make_base_folder: MakeFolder, tied: bool) -> None:
    base = load(make_base_folder(tied=tied))
    assert not base.model.training
    assert not any(p.requires_grad for p in base.model.parameters())
    assert base.model.config._attn_implementation == "sdpa"
    assert (base.model.lm_head.weight is base.model.model.embed_tokens.weight) == tied
    assert base.model(torch.tensor([base.chat.encode_text("fence")])).logits.isfinite().all()


def test_a_base_knows_its_context_its_name_and_what_loading_took(make_base_folder: MakeFolder) -> None:
    events: list[BaseProgress] = []
    base = load(make_base_folder(), events.append)
    assert (base.name, base.fingerprint, base.context_length) == ("tiny", "f" * 64, 256)
    assert base.load_s > 0
    assert [(e.outcome, e.source) for e in events] == [("loaded", "path")]


def test_without_a_pad_token_the_end_token_pads_and_embeddings_keep_their_size(
    make_base_folder: MakeFolder,
) -> None:
    base = load(make_base_folder())
    assert base.tokenizer.pad_token_id == base.tokenizer.eos_token_id
    assert base.model.get_input_embeddings().weight.shape[0] == 400


def test_a_pad_token_of_its_own_is_kept(make_base_folder: MakeFolder) -> None:
    assert load(make_base_folder(pad_token="<unk>")).tokenizer.pad_token == "<unk>"


def test_a_reply_ends_at_the_end_of_text_or_of_the_turn(make_base_folder: MakeFolder) -> None:
    template = "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}"
    folder = make_base_folder(template=template)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**settings, "eos_token_id": [2, 7]}))
    base = load(folder)
    assert base.end_token_ids == {2, 7, base.tokenizer.convert_tokens_to_ids("<|im_end|>")}


def test_loading_says_nothing_on_the_terminal(
    make_base_folder: MakeFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = make_base_folder()
    capfd.readouterr()
    load(folder)
    assert capfd.readouterr() == ("", "")


def test_no_code_from_the_folder_runs(make_base_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_base_folder()
    ran = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Own: pass\n")
    config = json.loads((folder / "config.json").read_text())
    own = {
        "model_type": "own",
        "auto_map": {"AutoConfig": "modeling_own.Own", "AutoModelForCausalLM": "modeling_own.Own"},
    }
    (folder / "config.json").write_text(json.dumps({**config, **own}))
    with pytest.raises(BaseModelError) as caught:
        load(folder)
    assert not ran.exists()
    assert "tiny cannot be loaded" in caught.value.message


def truncate(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_config(folder: Path) -> None:
    (folder / "config.json").write_text("{\x1b[2J")


def make_encoder(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))


def drop_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


@pytest.mark.parametrize("spoil", [truncate, drop_weights, spoil_config, make_encoder, drop_tokenizer])
@pytest.mark.slow
def test_a_folder_that_is_no_base_is_an_error_for_a_person(
    make_base_folder: MakeFolder, spoil: Callable[[Path], None]
) -> None:
    folder = make_base_folder()
    spoil(folder)
    with pytest.raises(BaseModelError) as caught:
        load(folder)
    assert caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_an_architecture_without_sdpa_attention_loads_with_its_own(
    tmp_path: Path, make_tokenizer: Callable[..., object]
) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    folder = tmp_path / "bloom"
    BloomForCausalLM(BloomConfig(vocab_size=400, hidden_size=16, n_layer=1, n_head=2)).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    base = load(folder)
    assert base.model(torch.tensor([[1, 2]])).logits.isfinite().all()
    assert base.context_length > 0


def change(folder: Path, name: str, **keys: object) -> None:
    settings = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(settings | keys))


def add_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"<|extra_{i}|>" for i in range(120)])
    tokenizer.save_pretrained(folder)


def drop_a_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def fail_in_the_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ 1 // 0 }}{% endfor %}")


def break_the_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content")


def drop_the_question(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages | length }} messages</s>")


def drop_the_end_token(folder: Path) -> None:
    change(folder, "tokenizer_config.json", eos_token=None)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (add_tokens, "tokens without one: `<|extra_"),
        (drop_a_tensor, "`model.layers.1.mlp.up_proj.weight`"),
        (fail_in_the_template, "chat template"),
        (break_the_template, "chat template"),
        (drop_the_question, "leaves the question out"),
        (drop_the_end_token, "no token that ends a reply"),
    ],
)
def test_a_base_that_cannot_work_is_refused_by_name_when_it_is_loaded(
    make_base_folder: MakeFolder, spoil: Callable[[Path], None], said: str
) -> None:
    folder = make_base_folder()
    spoil(folder)
    with pytest.raises(BaseModelError) as caught:
        load(folder)
    assert caught.value.message.startswith("tiny ") and caught.value.hint
    assert said in caught.value.message


@pytest.mark.parametrize("spoil", [add_tokens, fail_in_the_template, drop_the_end_token])
def test_a_plan_without_weights_refuses_it_too(
    make_base_folder: MakeFolder, spoil: Callable[[Path], None]
) -> None:
    folder = make_base_folder()
    spoil(folder)
    with pytest.raises(BaseModelError):
        outline_base(BaseFolder("tiny", folder, "path", "f" * 64), CPU)
