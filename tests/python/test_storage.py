"""fairopt.save and fairopt.load: the same bits come back, and nothing is lost when something goes wrong."""

from __future__ import annotations

import dataclasses
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import gpt2, llama, logits, xlm_roberta
from torch import nn

import fairopt
from fairopt.compress import weight_files
from fairopt.compress.record import FileRecord, Record
from fairopt.errors import InputError


@pytest.fixture(scope="module")
def compressed() -> nn.Module:
    return fairopt.compress(llama(), "nf4:block=32")


@pytest.fixture
def saved(compressed: nn.Module, tmp_path: Path) -> Path:
    fairopt.save(compressed, tmp_path / "model")
    return tmp_path / "model"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("make", "recipe"),
    [
        (llama, "nf4:block=32"),
        (llama, "int4:g=32,asym;*.0.*=magnitude:0.5+int8:g=32"),
        (llama, "int8:g=32;lm_head=int8:g=64"),
        (llama, "magnitude:2:4"),
        (lambda: llama(tied=False), "fp4:block=32"),
        (lambda: llama(dtype=torch.bfloat16), "nf4:block=32"),
        (gpt2, "int4:g=32"),
        (gpt2, "magnitude:0.5"),
        (xlm_roberta, "nf4:block=32"),
    ],
)
def test_round_trip_gives_the_same_bits(make: Callable[[], nn.Module], recipe: str, tmp_path: Path) -> None:
    model = fairopt.compress(make(), recipe, seed=3)
    record = fairopt.save(model, tmp_path / "model")
    loaded = fairopt.load(tmp_path / "model")
    assert torch.equal(logits(model), logits(loaded))
    assert fairopt.record(loaded) == record
    assert dataclasses.replace(record, files={}) == fairopt.record(model)
    assert record.file_bytes == (tmp_path / "model" / "model.safetensors").stat().st_size
    # The file is the tensors, eight bytes and a header: what the record calls bytes is what lies on disk.
    assert record.bytes < record.file_bytes < record.bytes + 20_000
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_others_may_read_what_the_umask_lets_them(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    assert saved.stat().st_mode == (tmp_path / "folder").stat().st_mode
    assert {file.stat().st_mode for file in saved.iterdir()} == {(tmp_path / "file").stat().st_mode}


def test_a_loaded_model_can_be_saved_again_to_the_same_files(saved: Path, tmp_path: Path) -> None:
    fairopt.save(fairopt.load(saved), tmp_path / "again")
    assert contents(saved) == contents(tmp_path / "again")


def test_the_folder_is_a_hugging_face_folder(models_dir: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    source = models_dir / "TinyStories-656K"
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = fairopt.compress(AutoModelForCausalLM.from_pretrained(source), "nf4")
    fairopt.save(model, tmp_path / "model", tokenizer)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["quantization_config"]["quant_method"] == "fairopt"
    assert config["quantization_config"]["recipe"] == "nf4"
    assert config["quantization_config"]["layers"]["model.layers.0.mlp.up_proj"] == {"format": "nf4", "block": 64}
    again = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert again("Once upon a time").input_ids == tokenizer("Once upon a time").input_ids
    assert GenerationConfig.from_pretrained(tmp_path / "model").eos_token_id == model.generation_config.eos_token_id
    assert torch.equal(logits(model), logits(fairopt.load(tmp_path / "model")))


def test_tokenizer_files_of_a_folder_are_copied_byte_for_byte(
    compressed: nn.Module, models_dir: Path, tmp_path: Path
) -> None:
    source = models_dir / "TinyStories-656K"
    fairopt.save(compressed, tmp_path / "model", source)
    copied = contents(tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        assert copied[name] == (source / name).read_bytes()


def test_a_pruned_model_is_read_by_transformers_itself(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = fairopt.compress(llama(), "magnitude:0.5")
    fairopt.save(model, tmp_path / "model")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()), logits(model))


def test_a_model_saved_before_is_replaced_whole(saved: Path) -> None:
    other = fairopt.compress(llama(), "int8:g=32")
    fairopt.save(other, saved)
    assert fairopt.record(fairopt.load(saved)).recipe == "int8:g=32"
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_folders_that_hold_other_things_are_refused_and_kept(
    compressed: nn.Module, saved: Path, tmp_path: Path
) -> None:
    llama().save_pretrained(tmp_path / "base")
    fairopt.save(compressed, tmp_path / "with_tokenizer")
    (tmp_path / "with_tokenizer" / "tokenizer.json").write_text("{}")
    (saved / "notes.txt").write_text("mine")
    for name, holds in {"base": "another model", "with_tokenizer": "tokenizer.json", "model": "notes.txt"}.items():
        folder = tmp_path / name
        before = contents(folder)
        with pytest.raises(InputError, match=f"folder must be new, empty or written by fairopt.save, .* with {holds}"):
            fairopt.save(compressed, folder)
        assert contents(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "model", "with_tokenizer"]


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let every write past ``size`` bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_and_the_old_model_stays(compressed: nn.Module, saved: Path) -> None:
    before = contents(saved)
    with small_disk(10_000), pytest.raises(InputError, match=r"save: '.*model' must have room and be writable, got .*"):
        fairopt.save(compressed, saved)
    assert contents(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_an_unwritable_place_is_an_error(compressed: nn.Module, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "model", Path("/proc/fairopt/model")):
        with pytest.raises(InputError, match="save: folder must be writable, got "):
            fairopt.save(compressed, place)
    with pytest.raises(InputError, match=r"save: folder must be writable, got '.*file' \(Not a directory\)"):
        fairopt.save(compressed, tmp_path / "file")


def test_an_interrupt_leaves_nothing_and_the_old_model_stays(
    compressed: nn.Module, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(file: Path) -> str:
        raise KeyboardInterrupt

    before = contents(saved)
    monkeypatch.setattr(weight_files, "sha256", interrupt)  # the weights are written by then
    with pytest.raises(KeyboardInterrupt):
        fairopt.save(compressed, saved)
    assert contents(saved) == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_what_cannot_be_saved_is_named(compressed: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="save: model must be a transformers model, got QuantizedLinear"):
        fairopt.save(fairopt.compress(nn.Linear(64, 8), "nf4"), tmp_path / "model")
    with pytest.raises(InputError, match=r"model must come from fairopt.compress .*, got LlamaForCausalLM"):
        fairopt.save(llama(), tmp_path / "model")
    with pytest.raises(InputError, match=r"save: tokenizer must be a folder with tokenizer files, got '.*nowhere'"):
        fairopt.save(compressed, tmp_path / "model", tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_a_link_is_followed(compressed: nn.Module, saved: Path) -> None:
    link = saved.parent / "link"
    link.symlink_to(saved)
    fairopt.save(fairopt.compress(llama(), "int8:g=32"), link)
    assert link.is_symlink()
    assert fairopt.record(fairopt.load(saved)).recipe == "int8:g=32"
    assert sorted(path.name for path in saved.parent.iterdir()) == ["link", "model"]


def adapted(model: nn.Module) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(target_modules=["q_proj"]))


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda model: torch.compile(model, backend="eager"), "got OptimizedModule around it .give its '_orig_mod'"),
        (adapted, "got PeftModel around it"),
        (lambda model: adapted(model) and model, "got '.*q_proj' with an adapter"),
        (lambda model: fairopt.nn.masked(model.model.layers[0].mlp.up_proj) and model, "got '.*up_proj' with a mask"),
    ],
)
@pytest.mark.parametrize("write", [fairopt.save, lambda model, folder: fairopt.export(model, folder, "dense")])
def test_what_no_loader_would_find_is_not_written(
    wrap: Callable[[nn.Module], nn.Module], message: str, write: Callable[..., object], tmp_path: Path
) -> None:
    model = wrap(fairopt.compress(llama(), "magnitude:0.5"))
    with pytest.raises(InputError, match=message):
        write(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_zeros_and_bits_are_those_of_now(tmp_path: Path) -> None:
    model = fairopt.compress(llama(), "magnitude:0.5;*.down_proj=int8:g=32").bfloat16()
    name, other = "model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj"
    with torch.no_grad():
        model.get_submodule(name).weight.add_(1)
    before, saved = fairopt.record(model), fairopt.save(model, tmp_path / "model")
    assert before.layers[name].sparsity == 0.5
    assert (saved.layers[name].sparsity, saved.layers[name].kept) == (0, 0.5)
    assert (saved.layers[name].bits_per_weight, saved.layers[other].bits_per_weight) == (16, 9)
    assert saved.sparsity < before.sparsity
    assert fairopt.record(fairopt.load(tmp_path / "model")).layers == saved.layers


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors and record the new file honestly, so that only the contents are wrong."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    record = Record.from_json((folder / "fairopt.json").read_text())
    file = folder / "model.safetensors"
    honest = FileRecord(file.stat().st_size, weight_files.sha256(file))
    record = dataclasses.replace(record, files={file.name: honest})
    (folder / "fairopt.json").write_text(record.to_json())


def truncate(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-100] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, r"model.safetensors' must have its \d+ bytes, got \d+: truncated or replaced"),
        (flip_a_bit, r"model.safetensors' must have sha256 [0-9a-f]{64}, got other contents: it is corrupt"),
        (lambda f: (f / "model.safetensors").unlink(), r"model.safetensors' must be there, got no such file"),
        (lambda f: (f / "fairopt.json").unlink(), r"folder must hold a model saved by fairopt.save"),
        (lambda f: (f / "fairopt.json").write_text("{"), r"record: text must be the JSON of a Record"),
        (lambda f: (f / "config.json").unlink(), r"config.json' must be a model configuration, got "),
        (lambda f: (f / "config.json").write_text("{"), r"config.json' must be a model configuration, got "),
        (edit("config.json", "LlamaForCausalLM", "Mystery"), r"one of transformers' own, got 'Mystery'"),
        (edit("config.json", "LlamaForCausalLM", "pipeline"), r"one of transformers' own, got 'pipeline'"),
        (edit("config.json", '"fairopt"', '"awq"'), r"must have quant_method 'fairopt' version 1, got 'awq' version 1"),
        (
            edit("config.json", '"version": 1', '"version": 2'),
            r"must have quant_method .* 1, got .* version 2",
        ),
        (
            edit("config.json", '"recipe"', '"magic"'),
            r"must have the keys .*, got layers, magic, ",
        ),
        (
            edit("config.json", '"block"', '"blocks"'),
            r"layer '.*' in '.*config.json' must have options that its class knows: .*'blocks'",
        ),
        (edit("config.json", '"nf4"', '"nf5"'), r"must have options that its class knows: .* got 'nf5'"),
        (edit("fairopt.json", '"model.safetensors"', '"weights"'), r"weights' must be there, got no such file"),
        (edit("config.json", "layers.0.mlp.up", "layers.0.mlp.pu"), r"layer must be a linear one .*mlp.pu_proj'"),
        (lambda f: rewrite(f, lambda t: t.pop("model.norm.weight")), r"1 missing and 0 others \(model.norm.weight"),
        (lambda f: rewrite(f, lambda t: t.update(x=torch.zeros(1))), r"0 missing and 1 others \(x"),
        (
            lambda f: rewrite(f, lambda t: t.update({"model.norm.weight": torch.zeros(3)})),
            r"tensor 'model.norm.weight' must have shape \[64\], got \[3\]",
        ),
    ],
)
def test_damage_is_named_in_one_line(damage: Callable[[Path], object], message: str, saved: Path) -> None:
    damage(saved)
    with pytest.raises(InputError, match=message) as error:
        fairopt.load(saved)
    assert "\n" not in str(error.value)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must hold a model saved by fairopt.save \(with fairopt.json\), got "):
        fairopt.load(tmp_path / "nowhere")
