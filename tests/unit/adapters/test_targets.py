"""Which layers an adapter sits on, by the names that bases of several families give them."""

import pytest

from dlm_core.adapters.targets import is_attention, resolve_targets, upper_half
from dlm_core.errors import AdapterError

FAMILIES = {
    "llama": ("model.layers.{}.self_attn.q_proj", "model.layers.{}.mlp.down_proj"),
    "opt": ("model.decoder.layers.{}.self_attn.k_proj", "model.decoder.layers.{}.fc1"),
    "gpt2": ("transformer.h.{}.attn.c_attn", "transformer.h.{}.mlp.c_fc"),
    "neox": ("gpt_neox.layers.{}.attention.query_key_value", "gpt_neox.layers.{}.mlp.dense_h_to_4h"),
    "bloom": ("transformer.h.{}.self_attention.dense", "transformer.h.{}.mlp.dense_4h_to_h"),
}


def layers(family: str, blocks: int) -> tuple[str, ...]:
    return tuple(name.format(block) for block in range(blocks) for name in FAMILIES[family])


@pytest.mark.parametrize("family", FAMILIES)
def test_auto_is_the_feed_forward_layers_of_the_upper_half(family: str) -> None:
    feed_forward = FAMILIES[family][1]
    assert resolve_targets(layers(family, 12), "auto") == tuple(feed_forward.format(n) for n in range(6, 12))


def test_auto_takes_all_linear_layers_of_a_base_of_few_blocks() -> None:
    assert resolve_targets(layers("llama", 4), "auto") == layers("llama", 4)


def test_auto_takes_attention_where_there_is_nothing_else() -> None:
    alone = tuple(f"model.layers.{n}.self_attn.q_proj" for n in range(8))
    assert resolve_targets(alone, "auto") == alone[4:]


def test_names_match_endings_and_keep_the_bases_order() -> None:
    every = layers("llama", 2)
    assert resolve_targets(every, ["down_proj", "q_proj"]) == every
    assert resolve_targets(every, ["mlp.down_proj"]) == (every[1], every[3])
    assert resolve_targets(every, ["all-linear"]) == every
    assert [is_attention(name) for name in every] == [True, False, True, False]
    assert upper_half(layers("llama", 8)) == layers("llama", 8)[8:]


def test_a_name_that_no_layer_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(AdapterError, match="no linear layer called `down_prj`") as refused:
        resolve_targets(layers("llama", 2), ["down_prj"])
    assert "did you mean `down_proj`" in refused.value.hint
