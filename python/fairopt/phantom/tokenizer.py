"""The phantom's tokenizer: every word of the grammar is one token, every other text is its bytes.

No trainer and no unknown token. A word has the same token at the start and inside of a sentence, so a prompt and its
continuation tokenise to the same ids apart as together.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from fairopt.phantom import corpus

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_TOKENS = ("<s>", "</s>", "<pad>")
_SAMPLE = 40_000  # documents; the rarest word of the grammar occurs about 40 times in them
_SPELLED_NAME = re.compile("Ġ[BCDFGHJKLMNPQRSTVWXYZ][aeiou]([bcdfghjklmnpqrstvwxyz][aeiou]){2}")


def build() -> Tokenizer:
    """Byte-level BPE without merges over the words of the first documents of corpus 0, in alphabetical order."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    splitter = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    words = {word for text in islice(corpus.documents(0), _SAMPLE) for word, _ in splitter.pre_tokenize_str(text)}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    whole = sorted(word for word in words if len(word) > 1 and not _SPELLED_NAME.fullmatch(word))
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *alphabet, *whole])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    bos = SPECIAL_TOKENS[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, vocabulary[bos])]
    )
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return tokenizer
