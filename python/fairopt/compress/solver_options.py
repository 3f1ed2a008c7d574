"""How codes are chosen for a weight: the options of each solver, as a recipe says them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from fairopt.errors import InputError


def require(what: str, ok: bool, requirement: str, got: object) -> None:
    """Refuse an option of a recipe unless ``ok``."""
    if not ok:
        raise InputError(f"recipe: {what} must be {requirement}, got {got}")


@dataclass(frozen=True)
class Rtn:
    """Round to nearest: each weight to the code whose value is nearest, scales from the extremes of the block."""

    word: ClassVar[str] = ""


@dataclass(frozen=True)
class RangeSearch:
    """Round to nearest in the range, shrunk in ``grid`` steps of 1 %, that minimises ``sum |q - w|^norm`` per block."""

    word: ClassVar[str] = "mse"
    grid: int = 80
    norm: float = 2.4

    def __post_init__(self) -> None:
        require("mse grid", 1 <= self.grid <= 100, "from 1 to 100", self.grid)
        require("mse norm", 0.5 <= self.norm <= 8, "from 0.5 to 8", self.norm)


@dataclass(frozen=True)
class Gptq:
    """GPTQ (Frantar et al. 2023, arXiv:2210.17323): rounds column by column, later columns make up for earlier ones."""

    word: ClassVar[str] = "gptq"
    act_order: Literal["none", "static", "dynamic"] = "static"
    damp: float = 0.01  # share of the mean diagonal that is added to it
    float64: bool = False  # sum Hessians over batches in float64

    def __post_init__(self) -> None:
        if not 0 <= self.damp < float("inf"):
            raise InputError(f"recipe: gptq damp must be at least 0, got {self.damp}")


@dataclass(frozen=True)
class Awq:
    """AWQ (Lin et al. 2024, arXiv:2306.00978): scales up the inputs that matter before rounding, then clips ranges."""

    word: ClassVar[str] = "awq"
    grid: int = 20
    clip: bool = True

    def __post_init__(self) -> None:
        require("awq grid", 1 <= self.grid <= 100, "from 1 to 100", self.grid)


@dataclass(frozen=True)
class Hqq:
    """HQQ (Badri and Shaji 2023): float zero points that minimise a robust norm of the weight error; no data needed."""

    word: ClassVar[str] = "hqq"
    norm: float = 0.7
    iterations: int = 20

    def __post_init__(self) -> None:
        require("hqq norm", 0 < self.norm <= 1, "above 0 and at most 1", self.norm)
        require("hqq iterations", 1 <= self.iterations <= 1000, "from 1 to 1000", self.iterations)


@dataclass(frozen=True)
class SignRound:
    """SignRound (Cheng et al. 2023, arXiv:2309.05516): learns by signed gradients which way each weight is rounded."""

    word: ClassVar[str] = "signround"
    steps: int = 200

    def __post_init__(self) -> None:
        require("signround steps", self.steps >= 1, "at least 1", self.steps)


Solver: TypeAlias = Rtn | RangeSearch | Gptq | Awq | Hqq | SignRound
SOLVERS: dict[str, type[Solver]] = {solver.word: solver for solver in (RangeSearch, Gptq, Awq, Hqq, SignRound)}


def options_text(options: Any) -> list[str]:
    """The fields of a frozen dataclass that differ from their defaults, as a recipe writes them."""
    texts = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            texts.append(field.name if value is True else f"{field.name}={str(value).lower()}")
    return texts


def option_names(cls: type) -> tuple[str, ...]:
    """The options of a dataclass."""
    return tuple(field.name for field in dataclasses.fields(cls))


def read_options(cls: Any, given: Mapping[str, str], **known: object) -> Any:
    """The dataclass ``cls`` with its options from text, where an empty one sets a flag; ``known`` fields as they are.

    Raises:
        InputError: a value of another type, or outside the choices.
    """
    types = typing.get_type_hints(cls)
    return cls(**known, **{name: _value(f"{cls.word} {name}", types[name], text) for name, text in given.items()})


def _value(what: str, type: Any, text: str) -> Any:
    choices = typing.get_args(type) if typing.get_origin(type) is Literal else ("true", "false")
    if type is bool or choices != ("true", "false"):
        if type is bool and not text:
            return True
        if text not in choices:
            raise InputError(f"recipe: {what} must be one of {', '.join(choices)}, got {text or 'nothing'!r}")
        return text == "true" if type is bool else text
    try:
        return type(text)
    except ValueError:
        kind = "a whole number" if type is int else "a number"
        raise InputError(f"recipe: {what} must be {kind}, got {text or 'nothing'!r}") from None
