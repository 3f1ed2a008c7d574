"""Recipes: what to do to which layer, as frozen objects. Their text is read by ``recipe_text``.

    nf4   int4:g=32,asym   gptq:int4,g=32   magnitude:2:4+int8   int4+kv4   nf4;*.down_proj=int8:g=64;keep=lm_head

The grammar is in docs/recipes.md. ``parse(str(recipe)) == recipe`` for every recipe: the text is canonical.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, TypeAlias

from fairopt.compress.prune_options import Prune, SparseGpt
from fairopt.compress.solver_options import Gptq, Hqq, Rtn, SignRound, Solver, options_text
from fairopt.compress.sparse_options import Sparse
from fairopt.compress.structure_options import Remove
from fairopt.errors import InputError


class Word(NamedTuple):
    """A word that names a family of formats."""

    block_option: str  # the field's own word: QLoRA says block, GPTQ and AWQ say g(roup)
    block: int | None  # the default; None is the whole row
    dialects: dict[str, str]  # option -> format, the default first


def _integers(bits: int, **more: str) -> Word:
    formats = {"sym": f"int{bits}_sym", "asym": f"int{bits}_asym", "asym_float": f"int{bits}_asym_float"}
    return Word("g", 128, {**formats, **more})


QUANTIZERS = {
    "nf4": Word("block", 64, {"": "nf4"}),
    "fp4": Word("block", 64, {"": "fp4"}),
    "fp8": Word("g", None, {"": "fp8"}),
    "int2": _integers(2),
    "int3": _integers(3),
    "int4": _integers(
        4,
        sym_7="int4_sym_7",
        sym_no_clip="int4_sym_no_clip",
        sym_signed8="int4_sym_signed8",
        tinygemm="int4_tinygemm",
    ),
    "int5": _integers(5),
    "int6": _integers(6),
    "int8": Word("g", 128, {"sym": "int8", "asym": "int8_asym", "asym_float": "int8_asym_float"}),
}
WORD_OF_FORMAT = {format: word for word, entry in QUANTIZERS.items() for format in entry.dialects.values()}

_MIN_BLOCK = 16


@dataclass(frozen=True)
class Quantize:
    """Store each row of the weight in blocks of ``block`` codes with one scale a block (formats: docs/formats.md)."""

    format: str  # as the kernels name it: nf4, int8, int4_sym, ...
    block: int | None  # None: the whole row
    pad: bool = False  # allow a short last block where `block` does not divide K
    double_quant: bool = False  # store the scales in 8 bits
    solver: Solver = field(default_factory=Rtn)
    int8_share: float = 0.0  # of the groups of columns, those that rounding hurts most: they are stored in int8

    def __post_init__(self) -> None:
        if self.format not in WORD_OF_FORMAT:
            raise InputError(f"recipe: format must be one of {', '.join(WORD_OF_FORMAT)}, got {self.format!r}")
        if self.block is not None and (self.block < _MIN_BLOCK or self.block % 16):
            raise InputError(
                f"recipe: {WORD_OF_FORMAT[self.format]} {self._entry.block_option} must be a multiple of 16 "
                f"from {_MIN_BLOCK}, got {self.block}"
            )
        if not 0 <= self.int8_share < 1:
            raise InputError(f"recipe: int8 share must be at least 0 and below 1, got {self.int8_share}")
        if self.int8_share and (self.block is None or self.double_quant or not isinstance(self.solver, Rtn)):
            raise InputError("recipe: int8 share must go with groups, without dq and without a solver, got another")
        if isinstance(self.solver, Hqq) and not self.format.endswith("_asym_float"):
            raise InputError(f"recipe: hqq format must have float zero points, got {self.format!r}")
        if isinstance(self.solver, SignRound) and not self.format.startswith("int"):
            raise InputError(f"recipe: signround format must be an integer one, got {self.format!r}")

    @property
    def _entry(self) -> Word:
        return QUANTIZERS[WORD_OF_FORMAT[self.format]]

    def block_of(self, k: int) -> int:
        """Values a scale in a row of ``k``: a whole row is a block of the next multiple of 16."""
        return -(-k // 16) * 16 if self.block is None else self.block

    def __str__(self) -> str:
        word, entry = WORD_OF_FORMAT[self.format], self._entry
        options = []
        if self.block != entry.block:
            options.append("row" if self.block is None else f"{entry.block_option}={self.block}")
        if self.format != default_format(word, type(self.solver)):
            options.append(next(option for option, format in entry.dialects.items() if format == self.format))
        options += ["pad"] * self.pad + ["dq"] * self.double_quant
        options += [f"int8={self.int8_share}"] if self.int8_share else []
        if not isinstance(self.solver, Rtn):
            return f"{self.solver.word}:" + ",".join([word, *options, *options_text(self.solver)])
        return word + (":" + ",".join(options) if options else "")


def default_format(word: str, solver: type[Solver]) -> str:
    """The format that a word means when no dialect is given. HQQ solves for float zero points."""
    dialects = QUANTIZERS[word].dialects
    return dialects.get("asym_float", next(iter(dialects.values()))) if solver is Hqq else next(iter(dialects.values()))


@dataclass(frozen=True)
class DynamicInt8:
    """W8A8: int8 weights with one scale a row, activations rounded to int8 with one scale a token as they come."""

    def __str__(self) -> str:
        return "w8a8"


@dataclass(frozen=True)
class LlmInt8:
    """LLM.int8 (Dettmers et al. 2022, arXiv:2208.07339): W8A8, but inputs above ``threshold`` stay as they are."""

    word: ClassVar[str] = "llm_int8"
    threshold: float = 6.0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < float("inf"):
            raise InputError(f"recipe: llm_int8 threshold must be positive, got {self.threshold}")

    def __str__(self) -> str:
        return ":".join([self.word, *options_text(self)])


@dataclass(frozen=True)
class SmoothQuant:
    """Move ``max|x|^alpha / max|w|^(1 - alpha)`` of each input from activations to weights (arXiv:2211.10438)."""

    word: ClassVar[str] = "smoothquant"
    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise InputError(f"recipe: smoothquant alpha must be between 0 and 1, got {self.alpha}")

    def __str__(self) -> str:
        return ":".join([self.word, *options_text(self)])


@dataclass(frozen=True)
class Hadamard:
    """Rotate the inputs of layers, so that no single one is large (QuaRot, arXiv:2404.00456)."""

    word: ClassVar[str] = "hadamard"
    online: bool = False  # before each product while the model runs, not folded into the weights around it

    def __str__(self) -> str:
        return ":".join([self.word, *options_text(self)])


Quantizer: TypeAlias = Quantize | DynamicInt8 | LlmInt8 | Sparse
Transform: TypeAlias = SmoothQuant | Hadamard
Step: TypeAlias = Quantizer | Transform | Prune


@dataclass(frozen=True)
class Chain:
    """What is done to one layer, in order. A quantiser ends it: codes cannot be pruned or quantised again."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        if not self.steps or any(isinstance(step, Quantizer) for step in self.steps[:-1]):
            raise InputError(f"recipe: chain must have at most one quantiser, as its last step, got '{self}'")
        if isinstance(self.steps[-1], Transform):
            raise InputError(f"recipe: {self.steps[-1]} must be followed by a quantiser, got nothing after it")

    @property
    def quantizer(self) -> Quantizer | None:
        """The step that ends the chain, if it is a quantiser."""
        last = self.steps[-1]
        return last if isinstance(last, Quantizer) else None

    @property
    def joint(self) -> SparseGpt | None:
        """The pruning step that is solved together with the quantiser behind it, if there is one."""
        step = self.steps[-2] if len(self.steps) > 1 else None
        quantizer = self.quantizer
        if not isinstance(step, SparseGpt) or not isinstance(quantizer, Quantize) or quantizer.int8_share:
            return None
        return step if isinstance(quantizer.solver, Rtn | Gptq) else None

    @property
    def rotates_inputs(self) -> bool:
        """Whether a Hadamard transform runs before each product."""
        return any(isinstance(step, Hadamard) and step.online for step in self.steps)

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))


@dataclass(frozen=True)
class KVCache:
    """Keep keys and values of the attention in ``bits`` bits (KIVI, arXiv:2402.02750)."""

    bits: int
    group: int = 64  # tokens a scale of keys, channels a scale of values
    residual: int = 128  # last tokens that stay as they are

    def __post_init__(self) -> None:
        if self.bits not in (2, 3, 4, 8):
            raise InputError(f"recipe: kv bits must be one of 2, 3, 4, 8, got {self.bits}")
        if self.group < _MIN_BLOCK or self.group % 16:
            raise InputError(f"recipe: kv{self.bits} group must be a multiple of 16 from 16, got {self.group}")
        if self.residual < 0 or self.residual % self.group:
            raise InputError(
                f"recipe: kv{self.bits} residual must be a multiple of group = {self.group}, got {self.residual}"
            )

    def __str__(self) -> str:
        options = options_text(self)[1:]  # bits have no default
        return f"kv{self.bits}" + (":" + ",".join(options) if options else "")


def _check_glob(glob: str) -> None:
    if not re.fullmatch(r"[^\s+:,;=]+", glob):
        raise InputError(f"recipe: glob must be a layer name with wildcards and without spaces or +:,;= , got {glob!r}")


@dataclass(frozen=True)
class Override:
    """Another chain for the layers whose name matches ``glob`` (shell wildcards; ``*`` crosses dots)."""

    glob: str
    chain: Chain

    def __post_init__(self) -> None:
        _check_glob(self.glob)
        if self.glob == "keep":
            raise InputError("recipe: glob must be other than the word 'keep', got 'keep'")

    def __str__(self) -> str:
        return f"{self.glob}={self.chain}"


@dataclass(frozen=True)
class Recipe:
    """A chain for every layer, overrides (the last that matches wins), globs of layers to leave alone, and a cache.

    Before all that the structures that are taken out of the model.
    """

    chain: Chain | None
    overrides: tuple[Override, ...] = ()
    keep: tuple[str, ...] = ()
    kv_cache: KVCache | None = None
    structure: tuple[Remove, ...] = ()

    def __post_init__(self) -> None:
        if self.chain is None and not self.overrides and self.kv_cache is None and not self.structure:
            raise InputError("recipe: text must have a chain or an override, got '" + str(self) + "'")
        for glob in self.keep:
            _check_glob(glob)

    def __str__(self) -> str:
        first = "+".join(map(str, filter(None, (*self.structure, self.chain, self.kv_cache))))
        clauses = [*([first] if first else []), *map(str, self.overrides)]
        return ";".join([*clauses, *(["keep=" + ",".join(self.keep)] if self.keep else [])])
