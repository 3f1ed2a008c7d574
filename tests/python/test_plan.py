"""A recipe resolved against a model: which layers it reaches, and what stops it before anything is computed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairopt.compress.plan import plan
from fairopt.compress.recipe_text import parse
from fairopt.errors import InputError


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(64, 96)
        self.down = nn.Linear(96, 64)


class Net(nn.Module):
    """Embedding tied to the head, two blocks, a projection whose K is 40."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 64)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.narrow = nn.Linear(40, 8)
        self.head = nn.Linear(64, 10, bias=False)
        self.head.weight = self.embed.weight


BLOCKS = ["blocks.0.up", "blocks.0.down", "blocks.1.up", "blocks.1.down"]


def planned(recipe: str, model: nn.Module | None = None) -> dict[str, str]:
    return {name: str(chain) for name, chain in plan(model or Net(), parse(recipe)).items()}


def test_every_linear_layer_but_the_tied_head() -> None:
    assert list(planned("magnitude:0.5")) == [*BLOCKS, "narrow"]


def test_keep_beats_overrides_and_the_last_override_wins() -> None:
    recipe = "nf4:block=32,pad;blocks.*=int8:g=32;*.down=int4:g=32;keep=*.0.*,narrow"
    assert planned(recipe) == {"blocks.1.up": "int8:g=32", "blocks.1.down": "int4:g=32"}


def test_without_a_first_chain_only_overridden_layers_are_compressed() -> None:
    assert planned("*.up=nf4") == {"blocks.0.up": "nf4", "blocks.1.up": "nf4"}


def test_a_tied_layer_is_reached_by_its_full_name_only() -> None:
    assert "head" in planned("magnitude:0.5;head=nf4")
    assert "head" not in planned("magnitude:0.5;*=nf4:pad")
    with pytest.raises(InputError, match=r"override must match a layer, got 'hea\*=nf4' \(write 'head' in full\)"):
        planned("magnitude:0.5;hea*=nf4")


def test_the_output_head_of_a_language_model_stays_dense_even_when_not_tied() -> None:
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    assert "lm_head" not in planned("int8:g=32", model)
    assert planned("lm_head=int8:g=32", model) == {"lm_head": "int8:g=32"}


def test_subclasses_of_linear_are_left_alone() -> None:
    attention = nn.MultiheadAttention(32, 2)  # reads out_proj.weight itself
    model = nn.ModuleDict({"attention": attention, "linear": nn.Linear(32, 8)})
    assert list(planned("nf4:block=32", model)) == ["linear"]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("nf4;keep=lm_head", "keep must match a layer, got 'lm_head'; did you mean head?"),
        ("nf4;*.gate=int8", "override must match a layer, got '*.gate=int8'; the model has embed, blocks.0.up, "
                            "blocks.0.down and 4 more"),
        ("nf4;keep=*", "model must have a linear layer that 'nf4;keep=*' applies to, got blocks.0.up, blocks.0.down, "
                       "blocks.1.up and 3 more (the output head, embeddings and tied layers stay dense unless "
                       "named in full)"),
        ("nf4:block=32;keep=blocks.*",
         "block must divide K = 40 of 'narrow', got 32 (choose another, or allow a short last block with 'pad')"),
        ("magnitude:3:16;keep=blocks.*",
         "m must divide K = 40 of 'narrow', got 3:16 (keep=narrow leaves it dense)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_model_is_named(recipe: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        planned(recipe)
    assert str(error.value) == f"compress: {message}"


def test_a_model_without_linear_layers_is_refused() -> None:
    with pytest.raises(InputError, match=r"must have a linear layer .* got none"):
        planned("nf4", nn.Embedding(4, 4))


def test_pad_opts_in_to_a_short_last_block() -> None:
    assert planned("nf4:block=32,pad")["narrow"] == "nf4:block=32,pad"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_counted_and_named(bad: float) -> None:
    model = Net()
    with torch.no_grad():
        model.blocks[1].down.weight[3, 5:8] = bad
    with pytest.raises(InputError) as error:
        planned("int8:g=32,pad", model)
    assert str(error.value) == (
        "compress: weights must be finite, got 3 NaN or infinite values in 'blocks.1.down.weight'"
    )


def test_kept_layers_may_hold_anything() -> None:
    model = Net()
    with torch.no_grad():
        model.narrow.weight.fill_(float("nan"))
    assert "narrow" not in planned("int8:g=32;keep=narrow", model)


def test_double_precision_is_refused() -> None:
    with pytest.raises(InputError, match=r"must be float32, float16 or bfloat16, got torch.float64 in 'weight'"):
        planned("nf4", nn.Linear(64, 8, dtype=torch.float64))
