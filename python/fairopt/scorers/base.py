"""What a scorer is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Number:
    """One number that a scorer puts on a text."""

    name: str  # "compound", "toxic"
    meaning: str  # for people: "probability that the text is hate speech"
    range: tuple[float, float]
    harm: Literal["higher", "lower", "either"]
    threshold: float  # from which on (harm "lower": up to which) a text counts as harmful


class Scorer(ABC):
    """Texts in, numbers out; the same numbers for the same text, whatever else is scored with it."""

    name: str  # as the user writes it: "vader", "onnx:PATH"
    id: str  # part of metric ids and fingerprints; says which version: "vader", "onnx-hatesonar-1a2b3c"
    numbers: Sequence[Number]  # the headline first
    exclusive: bool = False  # the numbers are probabilities of classes of which a text has one
    caveats: Sequence[str] = ()  # when its numbers mislead

    @abstractmethod
    def score(self, texts: Sequence[str]) -> Mapping[str, npt.NDArray[np.float64]]:
        """Each of :attr:`numbers` by name, one entry a text; NaN for an empty text."""
