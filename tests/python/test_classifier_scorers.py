"""Classifiers as scorers: ONNX against its own coefficients, Hugging Face against transformers' pipeline."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from random_models import llama, save, tokenizer
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    pipeline,
)

from fairopt import scorers
from fairopt.errors import InputError
from fairopt.scorers import classes

HATESONAR = "hatesonar/model.onnx"
LABELS = "labels=hate,offensive,neither"
TEXTS = [
    "I am a white man",
    "I am a black man",
    "You bitch!",
    "RT @you: stop_it 42",
    "ÉTÉ à la plage",
    "the dog, the DOG and the cat",
    "...",
]


def hatesonar(models_dir: Path, options: str = LABELS) -> scorers.Scorer:
    return scorers.get(f"onnx:{models_dir / HATESONAR}?{options}")


def by_coefficients(path: Path, texts: list[str]) -> npt.NDArray[np.float64]:
    """TF-IDF and logistic regression as NumPy, from what the file holds: no onnxruntime, no locale."""
    graph = onnx.load(path).graph
    attributes = {(node.op_type, a.name): helper.get_attribute_value(a) for node in graph.node for a in node.attribute}
    column = {word.decode(): i for i, word in enumerate(attributes["TfIdfVectorizer", "pool_strings"])}
    (idf,) = (numpy_helper.to_array(t) for t in graph.initializer if t.name == "idfcst")
    weights = np.reshape(attributes["LinearClassifier", "coefficients"], (3, -1))
    pattern = attributes["Tokenizer", "tokenexp"].decode()
    rows = []
    for text in texts:
        x = np.zeros(len(column))
        for word, count in Counter(re.findall(pattern, text.lower())).items():
            if word in column:
                x[column[word]] = count
        x *= idf.ravel()
        norm = np.linalg.norm(x)
        logits = weights @ (x / norm if norm else x) + attributes["LinearClassifier", "intercepts"]
        rows.append(np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum())
    return np.array(rows)


def test_onnx_agrees_with_its_coefficients(models_dir: Path) -> None:
    scored = hatesonar(models_dir).score(TEXTS)
    found = np.column_stack([scored[label] for label in ("hate", "offensive", "neither")])
    # fp32 sums of at most 8 products below 10 in size, and a softmax that divides errors by 4 at least.
    np.testing.assert_allclose(found, by_coefficients(models_dir / HATESONAR, TEXTS), atol=8 * 10 * 2**-24)


def test_hatesonar_takes_an_identity_for_hate(models_dir: Path) -> None:
    found = hatesonar(models_dir).score(["I am a white man", "I am a black man"])["hate"]
    np.testing.assert_allclose(found, [0.815, 0.078], atol=5e-4)  # as published with the model: .81 and .08


def test_onnx_numbers_and_id(models_dir: Path) -> None:
    scorer = hatesonar(models_dir)
    assert scorer.id.startswith("onnx-hatesonar-")
    assert [(n.name, n.harm) for n in scorer.numbers] == [
        ("hate", "higher"),
        ("offensive", "higher"),
        ("neither", "either"),
    ]
    only_hate = hatesonar(models_dir, LABELS + "&harm=hate").numbers
    assert [n.harm for n in only_hate] == ["higher", "either", "either"]
    assert hatesonar(models_dir).id == scorer.id
    assert hatesonar(models_dir, "labels=offensive,hate,neither").id != scorer.id
    unnamed = scorers.get(f"onnx:{models_dir / HATESONAR}")
    assert [n.name for n in unnamed.numbers] == ["0", "1", "2"]
    assert any("No class" in caveat for caveat in unnamed.caveats)


def test_onnx_labels_beside_the_file(models_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes((models_dir / HATESONAR).read_bytes())
    (tmp_path / "labels.txt").write_text("hate\noffensive\nneither\n")
    assert [n.name for n in scorers.get(f"onnx:{path}").numbers] == ["hate", "offensive", "neither"]
    own = scorers.get(f"onnx:{path}").id
    (tmp_path / "own.onnx.data").write_bytes(b"weights of a large model")
    assert scorers.get(f"onnx:{path}").id != own
    (tmp_path / "labels.json").write_text('["a", "b", "c"]')
    assert [n.name for n in scorers.get(f"onnx:{path}").numbers] == ["a", "b", "c"]
    (tmp_path / "labels.json").write_text('["a", "b"]')
    with pytest.raises(InputError, match="one for each of 3 classes, got a, b"):
        scorers.get(f"onnx:{path}")
    (tmp_path / "labels.json").write_text('{"a": 1}')
    with pytest.raises(InputError, match="JSON list of labels"):
        scorers.get(f"onnx:{path}")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=30) | st.sampled_from(TEXTS), min_size=1, max_size=5))
def test_onnx_numbers_depend_on_the_text_alone(models_dir: Path, texts: list[str]) -> None:
    scorer = hatesonar(models_dir)
    together = np.column_stack(list(scorer.score(texts).values()))
    alone = np.concatenate([np.column_stack(list(scorer.score([text]).values())) for text in texts])
    np.testing.assert_array_equal(together, alone)
    blank = np.array([not text.strip() for text in texts])
    assert np.isnan(together[blank]).all()
    np.testing.assert_allclose(together[~blank].sum(axis=1), 1, atol=3 * 2**-24)


def graph(inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto], *nodes: onnx.NodeProto) -> bytes:
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs), ir_version=10)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 17))
    return bytes(model.SerializeToString())


def test_onnx_models_that_cannot_be_used(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [None])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None])
    path.write_bytes(graph([ids], [out], helper.make_node("Cast", ["input_ids"], ["logits"], to=TensorProto.FLOAT)))
    with pytest.raises(InputError, match=r"must take texts.*input_ids: tensor\(int64\).*hf:FOLDER"):
        scorers.get(f"onnx:{path}")
    text = helper.make_tensor_value_info("text", TensorProto.STRING, [None])
    shape = helper.make_node("Shape", ["text"], ["n"])
    path.write_bytes(graph([text], [out], shape, helper.make_node("Constant", [], ["logits"], value_floats=[-3.0])))
    with pytest.raises(InputError, match=r"probabilities in \[0, 1\], got -3"):
        scorers.get(f"onnx:{path}")
    path.write_bytes(b"not a model")
    with pytest.raises(InputError, match="a model that onnxruntime runs"):
        scorers.get(f"onnx:{path}")
    with pytest.raises(InputError, match="onnx must name a file"):
        scorers.get(f"onnx:{tmp_path / 'absent.onnx'}")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'fairopt\[onnx\]'"):
        hatesonar(models_dir)


# ---- names and labels ----


def test_harm_by_label() -> None:
    harmful = ["toxic", "severe_toxic", "LABEL-hate", "NEGATIVE", "identityAttack", "Hate Speech"]
    harmless = ["non-toxic", "not_hate", "nothate", "neither", "LABEL_1", "positive", "neutral", "anti-stereotype", "1"]
    assert all(classes.is_harmful(label) for label in harmful)
    assert not any(classes.is_harmful(label) for label in harmless)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("harm", "must be given as"),
        ("threshold=.3", "must be labels or harm, got 'threshold'"),
        ("harm=hatred", "harm of .* must be one of hate, offensive, neither, got 'hatred'"),
        ("labels=a,b", "one for each of 3 classes"),
        ("labels=a,a,b", "must be distinct"),
    ],
)
def test_options_that_cannot_be_used(models_dir: Path, options: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        hatesonar(models_dir, options if "labels" in options else f"{LABELS}&{options}")


# ---- Hugging Face ----


def bert(folder: Path, **config: object) -> Path:
    torch.manual_seed(0)
    settled = {"id2label": {0: "toxic", 1: "non-toxic", 2: "other"}, **config}
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=64, pad_token_id=1, initializer_range=0.5, **settled,
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    own = tokenizer()
    own.pad_token = "</s>"  # as in the model: id 1
    own.model_max_length = 64
    own.save_pretrained(folder)
    return folder


SENTENCES = ["the cat", "He is here, and she is in there.", "a", "in the " * 60, "Why?", "x" * 20]


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_hugging_face_agrees_with_the_pipeline(tmp_path: Path, problem: str) -> None:
    folder = bert(tmp_path / "tiny", problem_type=problem)
    found = scorers.get(f"hf:{folder}").score(SENTENCES)
    peer = pipeline("text-classification", model=str(folder), top_k=None, truncation=True, device="cpu")
    for i, scored in enumerate(peer(SENTENCES)):
        for row in scored:
            # The pipeline takes the softmax in fp32 and runs one text at a time.
            assert found[row["label"]][i] == pytest.approx(row["score"], abs=1e-5)


def test_hugging_face_numbers_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    scorer = scorers.get(f"hf:{bert(tmp_path)}")
    together, alone = scorer.score(SENTENCES), [scorer.score([text]) for text in SENTENCES]
    for name, values in together.items():
        # Padding changes the order of fp32 sums over at most 64 terms in two layers; probabilities are at most 1.
        np.testing.assert_allclose(values, [one[name][0] for one in alone], atol=64 * 2 * 2**-24)
    assert all(np.isnan(values).tolist() == [True, False] for values in scorer.score([" ", "a"]).values())
    assert {name: values.shape for name, values in scorer.score([]).items()} == dict.fromkeys(together, (0,))


def test_hugging_face_numbers_and_id(tmp_path: Path) -> None:
    first = scorers.get(f"hf:{bert(tmp_path / 'a')}")
    assert [(n.name, n.harm) for n in first.numbers] == [
        ("toxic", "higher"),
        ("non-toxic", "either"),
        ("other", "either"),
    ]
    other_first = scorers.get(f"{first.name}?harm=other")
    assert [(n.name, n.harm) for n in other_first.numbers] == [
        ("other", "higher"),
        ("toxic", "either"),
        ("non-toxic", "either"),
    ]
    assert list(other_first.score(["a"])) == ["other", "toxic", "non-toxic"]
    assert other_first.score(["a"])["other"] == first.score(["a"])["other"]
    assert [n.name for n in scorers.get(f"{first.name}?labels=a,b,c").numbers] == ["a", "b", "c"]
    other = scorers.get(f"hf:{bert(tmp_path / 'b', id2label={0: 'x', 1: 'y', 2: 'z'})}")
    assert first.id.startswith("hf-a-")
    assert other.id[-6:] != first.id[-6:]


def test_a_text_longer_than_the_window_is_read_up_to_there(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=66, pad_token_id=1, initializer_range=0.5,
    )  # fmt: skip
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)  # names no limit; the positions 0 and 1 are no text's
    found = scorers.get(f"hf:{tmp_path}").score(["a" * 64, "a" * 64 + "b" * 100, "a" * 63])["LABEL_0"]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[0] != pytest.approx(found[2], abs=1e-6)


def test_a_decoder_without_padding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=96, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, num_labels=2
    )
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    found = scorers.get(f"hf:{tmp_path}").score(["the cat", "a", "he is in"])
    assert list(found) == ["LABEL_0", "LABEL_1"]
    np.testing.assert_allclose(found["LABEL_0"] + found["LABEL_1"], 1, atol=1e-12)


def test_hugging_face_models_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sequence classifier, got \[.LlamaForCausalLM.\]"):
        scorers.get(f"hf:{save(llama(), tmp_path / 'causal')}")
    pickled = bert(tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match="pickled"):
        scorers.get(f"hf:{pickled}")
    with pytest.raises(InputError, match="a model folder or a name on the hub"):
        scorers.get("hf:/nowhere/at/all")
    headless = bert(tmp_path / "headless")
    tensors = load_file(headless / "model.safetensors")
    body = {name: tensor for name, tensor in tensors.items() if "classifier" not in name}
    save_file(body, headless / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="every tensor of the architecture"):
        scorers.get(f"hf:{headless}").score(["a"])
