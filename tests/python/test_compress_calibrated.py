"""fairopt.compress with recipes that look at activations: block by block, resumable, on every layout, within memory."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import random_models
import torch
from quantized import normal
from safetensors.torch import load_file
from torch import nn

import fairopt
from fairopt.compress import driver
from fairopt.compress.calibration import Calibration
from fairopt.compress.hessian import Hessian, layer_hessians
from fairopt.compress.recipe_text import parse
from fairopt.compress.solvers.base import BlockCall, BlockTask
from fairopt.errors import InputError
from fairopt.nn import QuantizedLinear

RECIPE = "gptq:int4,g=32"


def ids(sequences: int = 12, length: int = 32, vocabulary: int = 96, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randint(vocabulary, (sequences, length), generator=generator))


def states(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def tiny_stories(models_dir: Path) -> nn.Module:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(models_dir / "TinyStories-656K", local_files_only=True).eval()


def assert_loss_is_that_of_inputs(
    run: nn.Module, name: str, tokens: Calibration, model: nn.Module, small: nn.Module
) -> None:
    """The loss recorded for a layer of ``small`` is that on what enters the layer when ``run`` reads the tokens."""
    seen: list[torch.Tensor] = []
    handle = run.get_submodule(name).register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        run(torch.stack(tokens.sequences))
    handle.remove()
    x = seen[0].reshape(-1, seen[0].shape[-1])
    hessian = 2 / len(x) * x.T @ x
    hessian += 0.01 * hessian.diagonal().mean() * torch.eye(len(hessian))
    error = model.get_submodule(name).weight.detach() - small.get_submodule(name).dense_weight()
    said = fairopt.record(small).layers[name].solver
    assert said is not None
    assert said["tokens"] == tokens.tokens
    assert said["loss"] < said["rtn_loss"]
    # fp32 sums over some hundred tokens in another order, and hidden states that differ in their last bits.
    assert said["loss"] == pytest.approx(float(((error @ hessian) * error).sum()), rel=1e-3)


def layouts() -> Iterator[object]:
    import transformers as t

    sizes = {"vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    wide = {**sizes, "max_position_embeddings": 64, "intermediate_size": 96}
    yield t.LlamaConfig(**wide, num_key_value_heads=2)
    yield t.Qwen2Config(**wide, num_key_value_heads=2)
    yield t.MistralConfig(**wide, num_key_value_heads=2, sliding_window=16)
    yield t.OPTConfig(**sizes, ffn_dim=96, max_position_embeddings=64, word_embed_proj_dim=32)
    yield t.GPT2Config(vocab_size=96, n_positions=64, n_embd=64, n_layer=2, n_head=4)


@pytest.mark.parametrize("config", list(layouts()), ids=lambda config: config.model_type)
def test_every_layout_has_a_smaller_loss_than_rounding_to_nearest(config: object) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).train()
    before, training = states(model), [module.training for module in model.modules()]
    small = fairopt.compress(model, RECIPE, calibration=ids())
    assert same(states(model), before)
    assert [module.training for module in model.modules()] == training
    layers = fairopt.record(small).layers
    assert len(layers) == sum(isinstance(module, QuantizedLinear) for module in small.modules())
    for layer in layers.values():
        assert layer.solver is not None
        assert layer.solver["loss"] < layer.solver["rtn_loss"]
        assert layer.solver["tokens"] == 12 * 32
    assert small.config is not model.config
    assert all(getattr(m, "config", small.config) is small.config for m in small.modules())
    assert {id(p) for p in small.parameters()}.isdisjoint({id(p) for p in model.parameters()})


def test_losses_are_those_of_what_the_compressed_blocks_before_pass_on() -> None:
    """The last layer of the second block, from the compressed model's own forward pass."""
    model, tokens = random_models.llama(hidden=64), Calibration.of(ids(), length=32)
    small = fairopt.compress(model, RECIPE, calibration=tokens)
    name = "model.layers.1.mlp.down_proj"
    # Its input when its own block is still dense: block 0 compressed, block 1 as it was.
    mixed = copy.deepcopy(small)
    mixed.model.layers[1] = copy.deepcopy(model.model.layers[1])
    assert_loss_is_that_of_inputs(mixed, name, tokens, model, small)


def test_16_bit_models_keep_their_types() -> None:
    model = random_models.llama(hidden=64).bfloat16()
    small = fairopt.compress(model, RECIPE + ";keep=*.o_proj", calibration=ids())
    assert {p.dtype for p in small.parameters()} == {torch.bfloat16}
    kept = small.model.layers[0].self_attn.o_proj
    assert torch.equal(kept.weight, model.model.layers[0].self_attn.o_proj.weight)
    assert all(p.requires_grad for p in small.parameters())
    with torch.no_grad():
        assert bool(torch.isfinite(small(ids(2)[0][None]).logits).all())


def test_the_head_is_solved_on_the_last_hidden_states() -> None:
    model = random_models.llama(hidden=64)
    tokens = Calibration.of(ids(), length=32)
    small = fairopt.compress(model, RECIPE + ";lm_head=gptq:int4,g=32", calibration=tokens)
    assert_loss_is_that_of_inputs(small, "lm_head", tokens, model, small)


def test_pruned_weights_stay_zero() -> None:
    small = fairopt.compress(random_models.llama(hidden=64), f"magnitude:2:4+{RECIPE}", calibration=ids())
    assert fairopt.record(small).sparsity >= 0.5


def test_is_deterministic_and_the_record_says_on_what() -> None:
    model, tokens = random_models.llama(hidden=64), Calibration.of(ids(), samples=5, length=20, seed=3)
    made = [fairopt.compress(model, RECIPE, calibration=tokens, seed=7) for _ in range(2)]
    assert same(states(made[0]), states(made[1]))
    stored = fairopt.record(made[0])
    assert stored.calibration == {"tokens": 100, "sequences": 5, "seed": 3, "sha256": tokens.sha256}
    assert type(stored).from_json(stored.to_json()) == stored


def test_saves_and_loads(tmp_path: Path) -> None:
    small = fairopt.compress(random_models.llama(hidden=64), RECIPE, calibration=ids())
    fairopt.save(small, tmp_path / "small")
    loaded = fairopt.load(tmp_path / "small")
    assert same(states(loaded), states(small))
    assert fairopt.record(loaded).calibration == fairopt.record(small).calibration


def test_texts_need_the_tokenizer_and_nothing_else() -> None:
    model, tokenizer = random_models.llama(hidden=64), random_models.tokenizer()
    texts = ["the thin thing in there. " * 40]
    small = fairopt.compress(model, RECIPE, calibration=texts, tokenizer=tokenizer)
    assert fairopt.record(small).calibration["tokens"] == len(tokenizer(texts[0])["input_ids"])
    with pytest.raises(InputError, match="calibration: tokenizer must be given for texts"):
        fairopt.compress(model, RECIPE, calibration=texts)
    with pytest.raises(InputError, match=r"compress: calibration must be given for 'gptq:int4,g=32', .* got None"):
        fairopt.compress(model, RECIPE)
    assert fairopt.record(fairopt.compress(model, "int4:g=32", calibration=[[1] * 9999])).calibration is None


# ---- what calibration did not reach ----


class Expert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(32, 64)
        self.down = nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(self.up(x).relu())


class Block(nn.Module):
    """Tokens whose first value is positive go to the first expert, the others to the second; the third gets none."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList([Expert() for _ in range(3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        for expert, mask in zip(self.experts, (x[..., 0] > 0, x[..., 0] <= 0), strict=False):
            if mask.any():
                y[mask] = y[mask] + expert(x[mask])
        return y


class Mixture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(96, 32)
        self.layers = nn.ModuleList([Block(), Block()])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x)
        return x


def test_layers_that_saw_too_few_tokens_are_named() -> None:
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match=r"4 layers saw fewer calibration tokens than inputs: .*experts\.2\.up \(0\)"):
        small = fairopt.compress(Mixture(), RECIPE, calibration=Calibration.of(ids(), length=32))
    tokens = {name: layer.solver["tokens"] for name, layer in fairopt.record(small).layers.items()}
    assert all(tokens[name] == 0 for name in tokens if ".experts.2." in name)
    assert sum(tokens[f"layers.0.experts.{i}.up"] for i in range(2)) == 12 * 32
    # What no token reached is rounded to nearest.
    torch.manual_seed(0)
    plain = fairopt.compress(Mixture(), "int4:g=32")
    unused = "layers.1.experts.2.down"
    assert torch.equal(small.get_submodule(unused).dense_weight(), plain.get_submodule(unused).dense_weight())


def test_enough_tokens_are_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fairopt.compress(random_models.llama(hidden=64), RECIPE, calibration=ids())


# ---- Hessians ----


class Twins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x) + self.b(x)
        return self.c(y) + (self.a(y) if y[0, 0, 0] > 0 else 0)  # sometimes the first has inputs of its own


@pytest.mark.parametrize("sign", [-100.0, 100.0])
def test_layers_with_the_same_inputs_share_a_sum_and_others_do_not(sign: float) -> None:
    torch.manual_seed(0)
    block = Twins()
    with torch.no_grad():
        block.a.bias.fill_(sign)
    x = torch.randn(2, 5, 8)
    chains = dict.fromkeys("abc", parse("int8").chain)
    task = BlockTask("", block, chains, [BlockCall(x), BlockCall(x + 1)], 0)
    found = layer_hessians(task.observe, dict.fromkeys("abc", torch.float32))
    assert (found["a"] is found["b"]) == (sign < 0)
    inputs = torch.cat([x, x + 1]).reshape(-1, 8)
    expected = 2 / 20 * inputs.T @ inputs
    assert torch.allclose(found["b"].statistics(8).hessian, expected, rtol=1e-5)
    assert found["a"].tokens == (20 if sign < 0 else 40)
    assert found["b"].tokens == 20


def test_float64_sums_keep_what_float32_loses() -> None:
    one = torch.zeros(4096, 1)  # rows that are multiplied together
    one[0] = 1
    sums = {dtype: Hessian(dtype) for dtype in (torch.float32, torch.float64)}
    for dtype, hessian in sums.items():
        hessian.add(4096 * one)
        for share in [1] * 62 + [0]:  # each is half an ulp of 2^24; 2^18 rows in all
            hessian.add(share * one)
        total = hessian.statistics(1).hessian
        assert total is not None
        assert total.item() * hessian.tokens / 2 == 2.0**24 + (62 if dtype == torch.float64 else 0)


@pytest.mark.parametrize("k", [96, 100, 771])
def test_a_hessian_is_symmetric_and_the_same_on_any_number_of_threads(k: int) -> None:
    x, found, threads = normal(4500, k), [], torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        hessian = Hessian()
        for piece in x.split(1000):
            hessian.add(piece)
        found.append(hessian.statistics(k).hessian)
    torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[0].T)
    # Sums of 4096 products in fp32, then of two.
    torch.testing.assert_close(found[0].double(), 2 / 4500 * x.double().T @ x.double(), rtol=0, atol=2.0**-24 * 64)


# ---- resume ----

KILLED = """
import os, signal, sys
import fairopt, random_models, torch
from fairopt.compress import resume
done = resume.FinishedBlocks.save
generator = torch.Generator().manual_seed(0)
ids = list(torch.randint(96, (12, 32), generator=generator))
def save(self, name, tensors, reports):
    done(self, name, tensors, reports)
    os.kill(os.getpid(), signal.SIGKILL)
resume.FinishedBlocks.save = save
fairopt.compress(random_models.llama(hidden=64), sys.argv[2], calibration=ids, resume=sys.argv[1])
"""
RESUMED = ";".join(
    [
        RECIPE,
        "lm_head=gptq:int3,g=32,act_order=dynamic",
        "*.q_proj=gptq:int4,g=32,act_order=dynamic",
        "*.v_proj=magnitude:0.5",
        "*.o_proj=int8:g=32",
    ]
)


def test_killed_and_resumed_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", KILLED, str(tmp_path), RESUMED]
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, timeout=300, check=False)
    assert run.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    model = random_models.llama(hidden=64)
    solved: list[str] = []
    original = driver._solve
    monkeypatch.setattr(driver, "_solve", lambda task, advance: solved.append(task.name) or original(task, advance))
    resumed = fairopt.compress(model, RESUMED, calibration=ids(), resume=tmp_path)
    assert solved == ["model.layers.1", "lm_head"]
    whole = fairopt.compress(model, RESUMED, calibration=ids())
    assert same(states(resumed), states(whole))
    assert fairopt.record(resumed) == fairopt.record(whole)


def test_another_job_does_not_take_the_blocks_of_this_one(tmp_path: Path) -> None:
    model = random_models.llama(hidden=64)
    first = fairopt.compress(model, RECIPE, calibration=ids(), resume=tmp_path)
    for change in ({"calibration": ids(seed=1)}, {"seed": 1}):
        arguments = {"calibration": ids(), **change}
        again = fairopt.compress(model, RECIPE, resume=tmp_path, **arguments)
        assert same(states(again), states(fairopt.compress(model, RECIPE, **arguments)))
    assert len(list(tmp_path.iterdir())) == 3
    assert same(states(first), states(fairopt.compress(model, RECIPE, calibration=ids(), resume=tmp_path)))


def test_refuses_a_broken_block_and_an_unusable_folder(tmp_path: Path) -> None:
    model = random_models.llama(hidden=64)
    fairopt.compress(model, RECIPE, calibration=ids(), resume=tmp_path)
    file = next(tmp_path.rglob("*.safetensors"))
    assert load_file(file)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="must be a finished block, got"):
        fairopt.compress(model, RECIPE, calibration=ids(), resume=tmp_path)
    with pytest.raises(InputError, match="compress: resume must be a folder to write to"):
        fairopt.compress(model, RECIPE, calibration=ids(), resume=file)
    assert not list(tmp_path.rglob("*.draft"))


# ---- what it is for ----


def test_held_out_perplexity_is_below_that_of_rounding_to_nearest(models_dir: Path) -> None:
    """On stories that the model wrote itself: half to calibrate on, half to judge by."""
    model = tiny_stories(models_dir)
    torch.manual_seed(0)
    with torch.no_grad():
        stories = model.generate(torch.full((48, 1), 1), do_sample=True, max_new_tokens=100, pad_token_id=0)

    def perplexity(judged: nn.Module) -> float:
        with torch.no_grad():
            logits = judged(stories[24:]).logits[:, :-1]
        return float(nn.functional.cross_entropy(logits.flatten(0, 1), stories[24:, 1:].flatten()).exp())

    for bits in (3, 4):
        solved = fairopt.compress(model, f"gptq:int{bits},g=32", calibration=list(stories[:24]))
        assert perplexity(solved) < perplexity(fairopt.compress(model, f"int{bits}:g=32"))
