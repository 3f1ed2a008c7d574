"""fairopt.compress.calibration: which tokens are taken, what the choice depends on, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import masked_models
import pyarrow
import pytest
import random_models
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTForImageClassification

import fairopt
from fairopt.compress.calibration import Calibration, read_documents
from fairopt.errors import InputError

IDS = st.lists(st.lists(st.integers(0, 50), max_size=40), min_size=1, max_size=12)


def test_texts_become_packed_sequences_of_the_length() -> None:
    tokenizer = random_models.tokenizer()
    texts = ["the inner thing", "", "another one in there"]
    made = Calibration.of(texts, tokenizer=tokenizer, samples=10, length=8)
    ids = [tokenizer(text)["input_ids"] for text in texts if text]
    assert made.tokens == sum(map(len, ids))
    assert [len(s) for s in made.sequences[:-1]] == [8] * (len(made.sequences) - 1)
    assert sorted(torch.cat(made.sequences).tolist()) == sorted(token for row in ids for token in row)
    assert all(s.dtype == torch.int64 for s in made.sequences)


def test_lists_and_tensors_are_the_same_documents() -> None:
    lists = Calibration.of([[1, 2, 3], [4, 5]], length=4)
    tensors = Calibration.of([torch.tensor([1, 2, 3], dtype=torch.int32), torch.tensor([4, 5])], length=4)
    assert lists.sha256 == tensors.sha256
    assert lists.describe() == {"tokens": 5, "sequences": 2, "seed": 0, "sha256": lists.sha256}


@given(documents=IDS, samples=st.integers(1, 4), length=st.integers(1, 9), seed=st.integers(0, 3))
def test_the_choice_does_not_depend_on_the_order_of_the_documents(documents, samples, length, seed) -> None:
    if sum(map(len, documents)) < length:
        with pytest.raises(InputError, match=r"must hold at least one (token|sequence of [0-9]+ tokens), got"):
            Calibration.of(documents, samples=samples, length=length, seed=seed)
        return
    made = Calibration.of(documents, samples=samples, length=length, seed=seed)
    again = Calibration.of(documents[::-1], samples=samples, length=length, seed=seed)
    assert made.sha256 == again.sha256
    assert made.tokens == min(samples * length, sum(map(len, documents)))
    assert all(len(s) == length for s in made.sequences[:-1])
    assert 1 <= len(made.sequences[-1]) <= length
    batches = list(made.batches(2 * length))
    assert torch.equal(torch.cat([b.flatten() for b in batches]), torch.cat(made.sequences))
    assert all(b.numel() <= 2 * length for b in batches)


def test_seeds_choose_differently_and_the_hash_says_so() -> None:
    documents = [[i] * 4 for i in range(50)]
    made = [Calibration.of(documents, samples=5, length=4, seed=seed) for seed in (0, 1)]
    assert made[0].sha256 != made[1].sha256
    assert made[0].tokens == made[1].tokens == 20


def test_another_document_moves_no_other_piece() -> None:
    documents = [[i] * 4 for i in range(50)]
    few = Calibration.of(documents, samples=50, length=4)
    more = Calibration.of([*documents, [99] * 4], samples=51, length=4)
    assert [s.tolist() for s in more.sequences if s[0] != 99] == [s.tolist() for s in few.sequences]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "calibration: documents must hold at least one token, got none"),
        (["words"], "calibration: tokenizer must be given for texts, got None"),
        ("words", "calibration: documents must be a list of texts or of token ids, got one text"),
        ([[1, 2], [1, -2]], "calibration: token ids must not be negative, got -2 at 1"),
        ([[[1, 2]]], r"calibration: token ids must be integers of one dimension, got int64 \[1, 2\] at 0"),
        ([[0.5]], r"calibration: token ids must be integers of one dimension, got float32 \[1\] at 0"),
        ([{"text": "words"}], "calibration: documents must be texts or token ids, got dict at 0"),
    ],
)
def test_refusals(documents, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Calibration.of(documents)


def test_refuses_models_that_do_not_read_token_ids() -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    vision = ViTForImageClassification(ViTConfig(**sizes, image_size=32, patch_size=8))
    both = CLIPModel(CLIPConfig(text_config=sizes, vision_config={**sizes, "image_size": 32, "patch_size": 8}))
    for model, message in [
        (vision, "token ids, got ViT.*, which reads pixel_values"),
        (both, "token ids alone, got CLIP"),
    ]:
        with pytest.raises(InputError, match=message):
            fairopt.compress(model, "gptq:int4,g=16", calibration=[torch.arange(40)] * 99)


def test_refuses_another_vocabulary_and_too_many_positions() -> None:
    model = random_models.llama(window=16)
    with pytest.raises(InputError, match="token ids must be below the 96 of the model's vocabulary, got 96"):
        Calibration.of([[95, 96]], length=2).check_fits(model)
    with pytest.raises(InputError, match="length must be at most the 16 positions of the model, got 17"):
        Calibration.of([[1] * 40], length=17).check_fits(model)
    Calibration.of([[95] * 40], length=16).check_fits(model)


def test_refuses_text_that_is_shorter_than_one_window() -> None:
    with pytest.raises(InputError, match=r"at least one sequence of 16 tokens, got 15 \(give more text, or a smaller"):
        fairopt.compress(random_models.llama(window=16), "wanda:0.5", calibration=[[1] * 15])


def test_roberta_counts_positions_from_behind_the_padding() -> None:
    model = masked_models.roberta()  # 66 positions, of which the first two are never taken
    ids = [[i % 90 + 5 for i in range(200)]]
    fairopt.compress(model, "wanda:0.5", calibration=ids)
    assert Calibration.for_model(model, ids, tokenizer=None).length == 64
    with pytest.raises(InputError, match="length must be at most the 64 positions of the model, got 65"):
        Calibration.of(ids, length=65).check_fits(model)


@pytest.mark.parametrize("recipe", ["gblm:0.5", "taylor:0.5", "ffn:0.5:taylor", "heads:0.5:knockout"])
def test_one_token_predicts_nothing(recipe: str) -> None:
    tokens = Calibration.of([[5, 6, 7]], length=1)
    with pytest.raises(InputError, match=f"must have sequences of two tokens for '{recipe}', got one token each"):
        fairopt.compress(random_models.llama(), recipe, calibration=tokens)


def test_reads_text_json_lines_and_parquet(tmp_path: Path) -> None:
    texts = ["one\nand more", "two"]
    (tmp_path / "blank.txt").write_text("one\nand more\n\n \ntwo\n")
    (tmp_path / "lines.txt").write_text("one\ntwo\n")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": t, "id": 1}) + "\n" for t in texts))
    parquet.write_table(pyarrow.table({"id": [1, 2], "text": texts}), tmp_path / "named.parquet")
    parquet.write_table(pyarrow.table({"id": [1, 2], "story": texts}), tmp_path / "only.parquet")
    assert read_documents(tmp_path / "lines.txt") == ["one", "two"]
    for name in ("blank.txt", "rows.jsonl", "named.parquet", "only.parquet"):
        assert read_documents(tmp_path / name) == texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text", r"file must be one of \*.txt, \*.jsonl, \*.parquet"),
        ("a.txt", b"\n \n", "must hold at least one text, got none"),
        ("a.txt", b"\xff\xfe", "must be readable"),
        ("a.jsonl", b'{"text": "x"}\n{"txt": 1}\n', 'object with a "text" on each line, got .* on line 2'),
        ("a.jsonl", b"[1]\n", "on line 1"),
        ("a.parquet", b"PAR1", "must be a Parquet file"),
    ],
)
def test_refuses_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_documents(tmp_path / name)


def test_refuses_missing_and_wordless_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be readable, got .*No such file"):
        read_documents(tmp_path / "absent.txt")
    parquet.write_table(pyarrow.table({"a": ["x"], "b": ["y"]}), tmp_path / "two.parquet")
    with pytest.raises(InputError, match='must have a column "text" of strings, got a, b'):
        read_documents(tmp_path / "two.parquet")
