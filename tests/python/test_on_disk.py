"""Compressing a folder into a folder: the same bits as in memory, one weight at a time, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import gpt2, llama, logits, xlm_roberta
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

import fairopt
import fairopt.hf
from fairopt.compress import on_disk, weight_files
from fairopt.errors import InputError

MODELS: dict[str, Callable[[], nn.Module]] = {
    "llama": llama,
    "untied": lambda: llama(tied=False),
    "bfloat16": lambda: llama(dtype=torch.bfloat16),
    "gpt2": gpt2,
    "xlm-roberta": xlm_roberta,
}
RECIPES = ["nf4:block=32", "magnitude:0.5", "int8:g=32;*.0.*=magnitude:0.5+int4:g=32,asym"]


def dense(model: nn.Module, folder: Path, shard: str = "60KB") -> Path:
    model.save_pretrained(folder, max_shard_size=shard)
    return folder


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def same(folder: Path, other: Path) -> bool:
    found, expected = tensors(folder), tensors(other)
    return found.keys() == expected.keys() and all(
        value.dtype == expected[name].dtype and torch.equal(value, expected[name]) for name, value in found.items()
    )


def in_memory(source: Path, recipe: str, out: Path) -> fairopt.Record:
    masked = "MaskedLM" in (source / "config.json").read_text()
    auto = AutoModelForMaskedLM if masked else AutoModelForCausalLM
    return fairopt.save(fairopt.compress(auto.from_pretrained(source), recipe, seed=3), out)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", MODELS)
def test_the_result_is_that_of_memory(name: str, recipe: str, tmp_path: Path) -> None:
    source = dense(MODELS[name](), tmp_path / "dense")
    expected = in_memory(source, recipe, tmp_path / "memory")
    record = fairopt.compress_folder(source, tmp_path / "disk", recipe, seed=3)
    assert len(record.files) == len(list(source.glob("*.safetensors"))) > 2
    assert dataclasses.replace(record, files={}) == dataclasses.replace(expected, files={})
    assert same(tmp_path / "disk", tmp_path / "memory")
    for file in ("config.json", "generation_config.json"):
        if (tmp_path / "memory" / file).exists():
            assert (tmp_path / "disk" / file).read_text() == (tmp_path / "memory" / file).read_text()
    loaded, kept = fairopt.load(tmp_path / "disk"), fairopt.load(tmp_path / "memory")
    assert torch.equal(logits(loaded), logits(kept))
    auto = AutoModelForMaskedLM if name == "xlm-roberta" else AutoModelForCausalLM
    assert torch.equal(logits(fairopt.hf.from_pretrained(tmp_path / "disk", auto_class=auto)), logits(kept))
    fairopt.save(loaded, tmp_path / "disk")  # shards are ours to replace
    assert [file.name for file in (tmp_path / "disk").glob("model*")] == ["model.safetensors"]


def test_one_file_becomes_the_file_of_memory(tmp_path: Path) -> None:
    source = dense(llama(), tmp_path / "dense", "1GB")
    in_memory(source, "nf4:block=32", tmp_path / "memory")
    fairopt.compress_folder(source, tmp_path / "disk", "nf4:block=32", seed=3)
    assert {file.name: file.read_bytes() for file in (tmp_path / "disk").iterdir()} == {
        file.name: file.read_bytes() for file in (tmp_path / "memory").iterdir()
    }


@pytest.mark.parametrize("recipe", ["nf4:block=32;lm_head=int8:g=32", "nf4:block=32+kv4:group=16,residual=16", "kv8"])
def test_untied_heads_and_caches_too(recipe: str, tmp_path: Path) -> None:
    source = dense(llama(), tmp_path / "dense")
    expected = in_memory(source, recipe, tmp_path / "memory")
    record = fairopt.compress_folder(source, tmp_path / "disk", recipe, seed=3)
    assert dataclasses.replace(record, files={}) == dataclasses.replace(expected, files={})
    assert same(tmp_path / "disk", tmp_path / "memory")
    assert (tmp_path / "disk" / "config.json").read_text() == (tmp_path / "memory" / "config.json").read_text()
    assert torch.equal(logits(fairopt.load(tmp_path / "disk")), logits(fairopt.load(tmp_path / "memory")))


def test_old_names_of_tensors_are_understood(tmp_path: Path) -> None:
    source = dense(gpt2(), tmp_path / "dense", "1GB")
    expected = in_memory(source, "nf4:block=32", tmp_path / "memory")
    old = {name.removeprefix("transformer."): value for name, value in tensors(source).items()}
    old["h.0.attn.bias"] = torch.ones(1, 1, 32, 32).tril()  # the causal mask, which GPT-2 once stored
    save_file(old, source / "model.safetensors", metadata={"format": "pt"})
    record = fairopt.compress_folder(source, tmp_path / "disk", "nf4:block=32", seed=3)
    assert record == expected


def test_tokenizers_are_copied(models_dir: Path, tmp_path: Path) -> None:
    source = models_dir / "TinyStories-656K"
    fairopt.compress_folder(source, tmp_path / "disk", "nf4")
    assert (tmp_path / "disk" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_one_dense_weight_is_alive_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dense(llama(), tmp_path / "dense", "1GB")
    weights: list[weakref.ref[torch.Tensor]] = []
    alive_before = []
    read = weight_files.read_tensor

    def counting(file: Path, name: str) -> torch.Tensor:
        alive_before.append(sum(weight() is not None for weight in weights))
        tensor = read(file, name)
        if "proj" in name:  # what is not compressed waits for its shard to be written
            weights.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(weight_files, "read_tensor", counting)
    fairopt.compress_folder(source, tmp_path / "disk", "int8:g=32")
    assert len(weights) == 14
    assert set(alive_before) == {0}


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the last shard."""
    file = sorted(folder.glob("*.safetensors"))[-1]
    found = load_file(file)
    change(found)
    save_file(found, file, metadata={"format": "pt"})


def truncate(folder: Path) -> None:
    file = sorted(folder.glob("*.safetensors"))[-1]
    file.write_bytes(file.read_bytes()[:-10])


NORM = "model.norm.weight"


def name_outside(folder: Path, name: str) -> None:
    index = json.loads((folder / weight_files.INDEX).read_text())
    index["weight_map"][next(iter(index["weight_map"]))] = name
    (folder / weight_files.INDEX).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: rewrite(f, lambda t: t.pop(NORM)), f"must hold every tensor of the model, got none for '{NORM}'"),
        (
            lambda f: rewrite(f, lambda t: t.update({NORM: torch.ones(3)})),
            r"norm.weight' must have shape \[64\]",
        ),
        (lambda f: rewrite(f, lambda t: t.update(x=torch.ones(3))), "must be one of LlamaForCausalLM, got 'x' in "),
        (
            lambda f: rewrite(f, lambda t: t.update({"lm_head.weight": torch.ones(64, 64)})),
            "tied tensor must be stored once, got 'lm_head.weight' too",
        ),
        (
            lambda f: rewrite(f, lambda t: [v.view(-1)[0].fill_(torch.nan) for n, v in t.items() if "proj" in n]),
            "weights must be finite, got 1 NaN or infinite values in 'model.layers.1.",
        ),
        (truncate, "must be a safetensors file, got "),
        (lambda f: sorted(f.glob("*.safetensors"))[0].unlink(), "must be there, got no such file"),
        (lambda f: (f / weight_files.INDEX).write_text("[]"), "must be an index of shards, got "),
        (
            lambda f: name_outside(f, "../x.safetensors"),
            r"must name files of its own folder, got '\.\./x\.safetensors'",
        ),
        (lambda f: name_outside(f, "/etc/hosts"), "must name files of its own folder, got '/etc/hosts'"),
        (lambda f: (f / "config.json").unlink(), "config.json' must be a model configuration, got "),
    ],
)
def test_damage_is_named_and_nothing_is_left(damage: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    source = dense(llama(), tmp_path / "dense")
    damage(source)
    with pytest.raises(InputError, match=message) as error:
        fairopt.compress_folder(source, tmp_path / "disk", "nf4:block=32")
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["dense"]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("gptq:int4,g=32", "must need no calibration .*, got 'gptq:int4,g=32'"),
        ("nf4:block=80", "block must divide K = 64 of 'model.layers.0.self_attn.q_proj', got 80"),
    ],
)
def test_recipes_that_do_not_fit_are_refused_before_reading(
    recipe: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = dense(llama(), tmp_path / "dense")
    monkeypatch.delattr(weight_files, "read_tensor")
    with pytest.raises(InputError, match=message):
        fairopt.compress_folder(source, tmp_path / "disk", recipe)
    assert not (tmp_path / "disk").exists()


def test_an_interrupt_leaves_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dense(llama(), tmp_path / "dense")
    fairopt.compress_folder(source, tmp_path / "disk", "nf4:block=32")
    before = {file.name: file.read_bytes() for file in (tmp_path / "disk").iterdir()}
    calls = []

    def interrupt(*arguments: object) -> weight_files.FileRecord:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(*arguments)

    write = weight_files.write
    monkeypatch.setattr(weight_files, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fairopt.compress_folder(source, tmp_path / "disk", "int8:g=32")
    assert {file.name: file.read_bytes() for file in (tmp_path / "disk").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "disk"]


def test_compressed_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    source = dense(llama(), tmp_path / "dense")
    fairopt.compress_folder(source, tmp_path / "disk", "nf4:block=32")
    with pytest.raises(InputError, match="folder must hold an uncompressed model, got a quantised one in "):
        fairopt.compress_folder(tmp_path / "disk", tmp_path / "twice", "int8:g=32")
    with pytest.raises(InputError, match="folder must be new, empty or written by fairopt"):
        fairopt.compress_folder(source, source, "nf4:block=32")
    shard = sorted((tmp_path / "disk").glob("*.safetensors"))[1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=rf"{shard.name}' must have sha256 .* it is corrupt"):
        fairopt.load(tmp_path / "disk")


def test_the_index_names_every_tensor(tmp_path: Path) -> None:
    source = dense(llama(), tmp_path / "dense")
    record = fairopt.compress_folder(source, tmp_path / "disk", "nf4:block=32")
    index = json.loads((tmp_path / "disk" / weight_files.INDEX).read_text())
    assert index["weight_map"].keys() == tensors(tmp_path / "disk").keys()
    assert set(index["weight_map"].values()) == record.files.keys()
    assert index["metadata"]["total_size"] == record.bytes
    assert on_disk.RECORD in [file.name for file in (tmp_path / "disk").iterdir()]
