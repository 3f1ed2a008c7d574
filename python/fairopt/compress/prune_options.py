"""Steps that set weights to zero: how many of them, and by which score. Definitions: docs/pruning.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from fairopt.compress.solver_options import options_text, require

_MAX_M = 32


@dataclass(frozen=True)
class KeepNOfM:
    """Of every ``m`` consecutive weights of a row keep the ``n`` of largest score: ``2:4`` keeps two of four."""

    n: int
    m: int

    def __post_init__(self) -> None:
        require("n:m", 0 < self.n < self.m <= _MAX_M, f"0 < n < m <= {_MAX_M}", self)

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


@dataclass(frozen=True)
class LayerRatio:
    """The share of one layer's weights to prune, once an allocation over the whole model has decided it."""

    ratio: float  # from 0 to 1

    def __str__(self) -> str:
        return f"{self.ratio!r} of the layer"


Amount: TypeAlias = float | KeepNOfM | LayerRatio


@dataclass(frozen=True)
class Prune:
    """Set weights to zero: a share of them, or all but n of every m along a row."""

    word: ClassVar[str]
    amount: Amount

    def __post_init__(self) -> None:
        if isinstance(self.amount, float | int):
            require(f"{self.word} ratio", 0 <= self.amount < 1, "at least 0 and below 1", self.amount)

    def __str__(self) -> str:
        return f"{self.word}:" + ",".join([str(self.amount), *options_text(self)[1:]])  # the amount has no default


@dataclass(frozen=True)
class Magnitude(Prune):
    """Prune the weights of smallest magnitude."""

    word: ClassVar[str] = "magnitude"
    scope: Literal["layer", "row", "model"] = "layer"  # what the share is of; a row makes one output

    def __post_init__(self) -> None:
        super().__post_init__()
        alone = self.scope == "layer" or not isinstance(self.amount, KeepNOfM)
        require("magnitude scope", alone, "layer for n:m, which chooses along rows", self.scope)


@dataclass(frozen=True)
class Random(Prune):
    """Prune weights drawn at random: the control that every score must beat."""

    word: ClassVar[str] = "random"


@dataclass(frozen=True)
class SparseGpt(Prune):
    """SparseGPT (Frantar and Alistarh 2023, arXiv:2301.00774): the weights that are left make up for those pruned."""

    word: ClassVar[str] = "sparsegpt"
    damp: float = 0.01  # share of the mean diagonal of the Hessian that is added to it
    float64: bool = False  # sum Hessians over batches in float64

    def __post_init__(self) -> None:
        super().__post_init__()
        require("sparsegpt damp", 0 <= self.damp < float("inf"), "at least 0", self.damp)


@dataclass(frozen=True)
class IterativePrune(Prune):
    """A score of activations or gradients, which can be taken again on the model as pruned so far, ``steps`` times."""

    steps: int = 1
    schedule: Literal["cubic", "linear"] = "cubic"  # how the share grows over the steps

    def __post_init__(self) -> None:
        super().__post_init__()
        require(f"{self.word} steps", self.steps >= 1, "at least 1", self.steps)
        growing = not isinstance(self.amount, KeepNOfM) or self.steps == 1
        require(f"{self.word} steps", growing, "1 for n:m, which is no share that can grow", self.steps)

    def ratio_at(self, step: int) -> float:
        """The share pruned after ``step`` of ``steps`` steps: ``r (1 - (1 - t)^3)`` (arXiv:1710.01878), or ``r t``."""
        assert isinstance(self.amount, float | int)
        t = step / self.steps
        return self.amount * (t if self.schedule == "linear" else 1 - (1 - t) ** 3)


@dataclass(frozen=True)
class Wanda(IterativePrune):
    """Wanda (Sun et al. 2024, arXiv:2306.11695): ``|w_ij| ||x_j||``, compared along each row."""

    word: ClassVar[str] = "wanda"
    owl: bool = False  # OWL (Yin et al. 2024, arXiv:2310.05175): blocks with more outliers keep more weights
    owl_m: float = 5.0  # an outlier is a score above this many times the mean of its block
    owl_lambda: float = 0.08  # the shares of the blocks differ by at most twice this

    def __post_init__(self) -> None:
        super().__post_init__()
        of_n = not (self.owl and isinstance(self.amount, KeepNOfM))
        require("wanda owl", of_n, "with a ratio, of which it gives each block another", f"{self.amount}")
        require("wanda owl_m", self.owl_m > 0, "above 0", self.owl_m)
        require("wanda owl_lambda", 0 <= self.owl_lambda < 0.5, "at least 0 and below 0.5", self.owl_lambda)
        unused = (Wanda.owl_m, Wanda.owl_lambda) == (self.owl_m, self.owl_lambda)
        require("wanda owl_m and owl_lambda", self.owl or unused, "with owl", "no owl")


@dataclass(frozen=True)
class Gblm(IterativePrune):
    """GBLM (Das et al. 2023, arXiv:2311.04902): ``|w_ij| (||x_j|| + alpha ||g_ij||)``, compared along each row."""

    word: ClassVar[str] = "gblm"
    alpha: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require("gblm alpha", 0 <= self.alpha < float("inf"), "at least 0", self.alpha)


@dataclass(frozen=True)
class Hgla(IterativePrune):
    """HGLA (Huang et al. 2025, arXiv:2508.17610): ``|w_ij| ||x_j|| / |g_ij|``: high gradient, low activation first."""

    word: ClassVar[str] = "hgla"


@dataclass(frozen=True)
class Taylor(IterativePrune):
    """The change of the loss that a Taylor expansion expects of the weight's removal (Molchanov et al. 2019)."""

    word: ClassVar[str] = "taylor"
    order: int = 1  # 1: |w g|; 2: |w g - w^2 F / 2|

    def __post_init__(self) -> None:
        super().__post_init__()
        require("taylor order", self.order in (1, 2), "1 or 2", self.order)


@dataclass(frozen=True)
class Fisher(IterativePrune):
    """``w^2 F``, F the mean squared gradient: the diagonal of the empirical Fisher information."""

    word: ClassVar[str] = "fisher"


PRUNERS: dict[str, type[Prune]] = {
    step.word: step for step in (Magnitude, Random, Wanda, Gblm, Hgla, Taylor, Fisher, SparseGpt)
}
