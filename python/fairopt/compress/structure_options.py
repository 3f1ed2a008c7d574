"""Steps that remove structures of the whole model: heads, neurons, channels, layers, experts (docs/pruning.md).

    heads:0.25   ffn:0.25:act   ffn:0.3,round=64,correct   hidden:0.1,round=16   layers:2   experts:0.25

The amount comes first, then perhaps the score that finds the least important units, then options.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from fairopt.compress.solver_options import options_text, require

_OF_WEIGHTS = ("l1", "l2", "random")  # scores that look at no activations


@dataclass(frozen=True)
class Remove:
    """Take units of one dimension out of the model, those of least score."""

    word: ClassVar[str]  # the step's, and the dimension's
    scores: ClassVar[tuple[str, ...]] = ("act", "taylor", "taylor2", "knockout", "fasp", "l2", "l1", "random")
    amount: float  # a share of the units of every block, rounded to the nearest count, at least one if above 0
    score: str = "act"
    gamma: float = 0.5  # of FASP: this share, which matters most to the loss, stays

    def __post_init__(self) -> None:
        self._check_amount()
        require(f"{self.word} score", self.score in self.scores, f"one of {', '.join(self.scores)}", self.score)
        require(f"{self.word} gamma", 0 <= self.gamma < 1, "at least 0 and below 1", self.gamma)
        unused = self.gamma == Remove.gamma
        require(
            f"{self.word} gamma", self.score == "fasp" or unused, "left out with other scores than fasp", self.gamma
        )

    def _check_amount(self) -> None:
        require(f"{self.word} ratio", 0 <= self.amount < 1, "at least 0 and below 1", self.amount)

    @property
    def looks_at_activations(self) -> bool:
        """Whether the step needs calibration tokens."""
        return self.score not in _OF_WEIGHTS or bool(getattr(self, "correct", False))

    def __str__(self) -> str:
        amount, *options = options_text(self)
        default = next(field.default for field in fields(self) if field.name == "score")
        score = [] if self.score == default else [self.score]
        first = ":".join([self.word, amount.partition("=")[2], *score])
        return ",".join([first, *(option for option in options if not option.startswith("score="))])


@dataclass(frozen=True)
class RemoveOfBlocks(Remove):
    """Units that each block has of its own."""

    scores: ClassVar[tuple[str, ...]] = ("output", *Remove.scores)
    score: str = "output"
    scope: Literal["layer", "model"] = "layer"  # model: units of all blocks compete, and widths come to differ
    protect: int = 0  # first and last blocks that keep all of theirs: widths come to differ
    correct: bool = False  # least squares: the layer that reads the units makes up for those gone

    def __post_init__(self) -> None:
        super().__post_init__()
        require(f"{self.word} protect", self.protect >= 0, "at least 0", self.protect)


@dataclass(frozen=True)
class Heads(RemoveOfBlocks):
    """Attention heads; with grouped queries a key, its value and all queries that read them go together."""

    word: ClassVar[str] = "heads"


@dataclass(frozen=True)
class Ffn(RemoveOfBlocks):
    """Neurons between the feed-forward layers."""

    word: ClassVar[str] = "ffn"
    round: int = 1  # keep the nearest multiple of this

    def __post_init__(self) -> None:
        super().__post_init__()
        require("ffn round", self.round >= 1, "at least 1", self.round)


@dataclass(frozen=True)
class Hidden(Remove):
    """Channels of the residual stream: columns of embeddings, gains of norms, all that reads and writes it."""

    word: ClassVar[str] = "hidden"
    round: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require("hidden round", self.round >= 1, "at least 1", self.round)


@dataclass(frozen=True)
class Experts(Remove):
    """Experts of mixture-of-experts layers, with their rows of the router."""

    word: ClassVar[str] = "experts"


@dataclass(frozen=True)
class Layers(Remove):
    """Whole decoder blocks."""

    word: ClassVar[str] = "layers"
    scores: ClassVar[tuple[str, ...]] = ("cosine", "knockout", "fasp", "taylor", "taylor2", "l2", "l1", "random")
    amount: int  # how many
    score: str = "cosine"
    protect: int = 1  # first and last blocks that stay as long as there are others to remove

    def __post_init__(self) -> None:
        super().__post_init__()
        require("layers protect", self.protect >= 0, "at least 0", self.protect)

    def _check_amount(self) -> None:
        require("layers count", self.amount >= 1, "at least 1", self.amount)


STRUCTURES: dict[str, type[Remove]] = {step.word: step for step in (Heads, Ffn, Hidden, Experts, Layers)}
