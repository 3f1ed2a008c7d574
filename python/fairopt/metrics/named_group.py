"""Which of two groups does a text name? The reader of open-ended prompts about a pair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Named = Literal["first", "second", "both", "neither"]


def named_group(text: str, first: Sequence[str], second: Sequence[str]) -> Named:
    """Tell which group's words, at least one each, stand in a text as whole words in any case.

    A text that names both is "both", whichever comes first: "not the man but the woman" names the woman.
    """
    names_first, names_second = (_pattern(words).search(text) is not None for words in (first, second))
    if names_first and names_second:
        return "both"
    return "first" if names_first else "second" if names_second else "neither"


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)
