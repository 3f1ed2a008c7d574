"""Models load whole or not at all, and their hashes say what they compute."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from masked_models import bert, bytes_, roberta, words
from random_models import gpt2, llama, save, tokenizer
from tokenizers import processors

from fairopt.errors import InputError
from fairopt.models.loading import hash_tokenizer, hash_weights, identified, load_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(llama(), tmp_path / "model")


def test_loads_what_was_saved(folder: Path) -> None:
    loaded = load_model(folder)
    assert loaded.name == str(folder)
    assert loaded.model.dtype == torch.float32
    assert not loaded.model.training
    assert loaded.weights_hash == hash_weights(llama()) == load_model(str(folder)).weights_hash
    assert loaded.tokenizer_hash == hash_tokenizer(tokenizer())


def test_dtype(folder: Path) -> None:
    assert load_model(folder, dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(InputError, match="dtype must be one of auto, float32, bfloat16, float16, got 'int4'"):
        load_model(folder, dtype="int4")  # type: ignore[arg-type]


def test_hash_sees_weights_buffers_and_architecture() -> None:
    model = llama()
    assert hash_weights(model) == hash_weights(copy.deepcopy(model))
    other_weight, other_buffer, other_config = (copy.deepcopy(model) for _ in range(3))
    with torch.no_grad():
        other_weight.model.layers[1].mlp.up_proj.weight[3, 4] += 1e-7
    other_buffer.model.rotary_emb.inv_freq *= 1.5  # not in the state dict
    other_config.config.rms_norm_eps = 1e-3
    hashes = {hash_weights(m) for m in (model, other_weight, other_buffer, other_config, llama(1), gpt2())}
    assert len(hashes) == 6


def test_tokenizer_hash_ignores_what_calls_leave_behind() -> None:
    one, other = tokenizer(), tokenizer()
    other(["a", "abc"], padding=False, truncation=True, max_length=2)
    assert hash_tokenizer(one) == hash_tokenizer(other)
    assert hash_tokenizer(one) != hash_tokenizer(tokenizer(None))


def test_missing_folder(tmp_path: Path) -> None:
    for name in (tmp_path / "none", str(tmp_path / "none"), "./none", "a/b/c"):
        with pytest.raises(InputError, match="name_or_path must be an existing model folder, got"):
            load_model(name)


def test_no_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder must hold config\.json"):
        load_model(tmp_path)


def test_missing_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder must hold a tokenizer"):
        load_model(save(llama(), tmp_path, with_tokenizer=False))


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_weights(folder: Path, keep: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"weights must be a whole safetensors file, got .*model\.safetensors"):
        load_model(folder)


def test_pickled_weights_are_never_loaded(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"weights as \*\.safetensors, got none"):
        load_model(folder)
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"got pickled weights \(pytorch_model\.bin\), which are never loaded"):
        load_model(folder)


def test_missing_tensor_is_not_filled_with_random_numbers(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"every tensor of the architecture, got none that fits .*up_proj"):
        load_model(folder)
    assert capfd.readouterr() == ("", "")


def test_model_in_memory_is_left_as_it_is() -> None:
    model = llama().train()
    assert identified(model, tokenizer(), "mine").model is model
    assert model.training


def test_hub_name_without_a_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="must be a loadable model, got 'owner/no-such-model'") as caught:
        load_model("owner/no-such-model")
    assert "\n" not in str(caught.value)


# ---- masked language models ----


def test_a_masked_model_is_loaded_as_one(tmp_path: Path) -> None:
    for name, model, tok in (("bert", bert(), words()), ("roberta", roberta(), bytes_())):
        model.save_pretrained(tmp_path / name)
        tok.save_pretrained(tmp_path / name)
        loaded = load_model(tmp_path / name)
        assert (loaded.kind, type(loaded.model)) == ("masked", type(model))
        assert loaded.weights_hash == identified(model, tok, name).weights_hash
        assert loaded.tokenizer_hash == hash_tokenizer(tok)
    assert identified(gpt2(), tokenizer(), "gpt2").kind == "causal"


def test_special_tokens_of_a_masked_model_are_part_of_its_hash() -> None:
    tok = words()
    before = hash_tokenizer(tok)
    tok.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", 2)]
    )
    assert hash_tokenizer(tok) != before


def test_a_masked_model_without_a_mask_token_is_refused(tmp_path: Path) -> None:
    save(bert(), tmp_path)
    with pytest.raises(InputError, match="load_model: model must have a mask token, got none in the tokenizer of"):
        load_model(tmp_path)
