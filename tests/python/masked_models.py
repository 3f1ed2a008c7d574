"""Tiny masked language models with random weights, and tokenizers of their families: whole words, pieces, bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

WORDS = [
    "the", "a", "cat", "dog", "sat", "ran", "on", "in", "mat", "hat", "he", "she", "who", "was", "and", "far", "away",
    ".", ",", "##s", "##ting", "##t", "##o", "##n", "##e",
]  # fmt: skip
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def words() -> PreTrainedTokenizerFast:
    """BERT's: lower case, pieces of words, [CLS] and [SEP] around."""
    vocab = {word: i for i, word in enumerate(BERT_SPECIAL + WORDS)}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=32, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip


def bytes_() -> PreTrainedTokenizerFast:
    """RoBERTa's: bytes and a few merges, a word's leading space in its first token, <s> and </s> around."""
    merges = [("c", "a"), ("ca", "t"), ("Ġ", "cat"), ("d", "o"), ("do", "g"), ("Ġ", "dog"), ("t", "h")]
    letters = [*sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocab = {token: i for i, token in enumerate([*ROBERTA_SPECIAL, *letters, *("".join(pair) for pair in merges)])}
    backend = Tokenizer(models.BPE(vocab, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=64, pad_token="<pad>", unk_token="<unk>", cls_token="<s>",
        sep_token="</s>", mask_token=AddedToken("<mask>", lstrip=True),
    )  # fmt: skip


def bert(seed: int = 0, *, window: int = 32) -> BertForMaskedLM:
    """Two layers over :func:`words`; room for ``window`` tokens."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(BERT_SPECIAL + WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=window, initializer_range=0.3,
    )  # fmt: skip
    return BertForMaskedLM(config).eval()


def roberta(seed: int = 0) -> RobertaForMaskedLM:
    """Two layers over :func:`bytes_`; room for 64 tokens, which it numbers from 2 on."""
    torch.manual_seed(seed)
    config = RobertaConfig(
        vocab_size=len(bytes_()), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=66, initializer_range=0.3, pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    return RobertaForMaskedLM(config).eval()


_SIZES = {
    "vocab_size": len(BERT_SPECIAL + WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 32, "pad_token_id": 0,
}  # fmt: skip
_DISTILBERT = {"vocab_size": len(BERT_SPECIAL + WORDS), "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
_SPECIAL = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
OTHERS: dict[str, Callable[[], Any]] = {  # further families over words()
    "albert": lambda: AlbertForMaskedLM(AlbertConfig(embedding_size=16, **_SIZES)),
    "deberta": lambda: DebertaV2ForMaskedLM(DebertaV2Config(**_SIZES)),
    "distilbert": lambda: DistilBertForMaskedLM(DistilBertConfig(max_position_embeddings=32, **_DISTILBERT)),
    "electra": lambda: ElectraForMaskedLM(ElectraConfig(embedding_size=16, **_SIZES)),
    "modernbert": lambda: ModernBertForMaskedLM(ModernBertConfig(**_SIZES, **_SPECIAL)),
}


def other(name: str, seed: int = 0) -> Any:
    """A model of :data:`OTHERS` whose weights, biases and norms are all random."""
    torch.manual_seed(seed)
    model = OTHERS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model
