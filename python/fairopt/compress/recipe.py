"""Recipes: what to do to which layer, as text, as a mapping, or as the frozen objects below.

    nf4   int4:g=32,asym   magnitude:2:4+int8   nf4;*.down_proj=int8:g=64;keep=lm_head,*.layers.0.*

The grammar is in docs/recipes.md. ``parse(str(recipe)) == recipe`` for every recipe: the text is canonical.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from fairopt.errors import InputError


class _Quantizer(NamedTuple):
    block_option: str  # the field's own word: QLoRA says block, GPTQ and AWQ say g(roup)
    block: int
    formats: tuple[str, ...]  # the default first


_QUANTIZERS = {
    "nf4": _Quantizer("block", 64, ("nf4",)),
    "fp4": _Quantizer("block", 64, ("fp4",)),
    "int8": _Quantizer("g", 128, ("int8",)),
    "int4": _Quantizer("g", 128, ("int4_sym", "int4_asym")),
}
_FORMATS = tuple(format for quantizer in _QUANTIZERS.values() for format in quantizer.formats)
WORDS = (*_QUANTIZERS, "magnitude")

_MIN_BLOCK, _MAX_BLOCK = 16, 4096
_MAX_M = 32


@dataclass(frozen=True)
class Quantize:
    """Store each row of the weight in blocks of ``block`` codes with one scale a block (formats: docs/formats.md)."""

    format: str  # as the kernels name it: nf4, fp4, int8, int4_sym, int4_asym
    block: int
    pad: bool = False  # allow a short last block where `block` does not divide K

    def __post_init__(self) -> None:
        if self.format not in _FORMATS:
            raise InputError(f"recipe: format must be one of {', '.join(_FORMATS)}, got {self.format!r}")
        if not _MIN_BLOCK <= self.block <= _MAX_BLOCK or self.block % 16:
            raise InputError(
                f"recipe: {self._word} {_QUANTIZERS[self._word].block_option} must be a multiple of 16 "
                f"from {_MIN_BLOCK} to {_MAX_BLOCK}, got {self.block}"
            )

    @property
    def _word(self) -> str:
        return self.format.partition("_")[0]

    def __str__(self) -> str:
        quantizer = _QUANTIZERS[self._word]
        options = []
        if self.block != quantizer.block:
            options.append(f"{quantizer.block_option}={self.block}")
        if self.format != quantizer.formats[0]:
            options.append(self.format.partition("_")[2])
        if self.pad:
            options.append("pad")
        return self._word + (":" + ",".join(options) if options else "")


@dataclass(frozen=True)
class KeepNOfM:
    """Of every ``m`` consecutive weights of a row keep the ``n`` largest: ``2:4`` keeps two of four."""

    n: int
    m: int

    def __post_init__(self) -> None:
        if not 0 < self.n < self.m <= _MAX_M:
            raise InputError(f"recipe: n:m must be 0 < n < m <= {_MAX_M}, got {self}")

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


@dataclass(frozen=True)
class Magnitude:
    """Set the weights of smallest magnitude to zero: a share of the layer's, or all but n of every m along a row."""

    amount: float | KeepNOfM

    def __post_init__(self) -> None:
        if not isinstance(self.amount, KeepNOfM) and not 0 < self.amount < 1:
            raise InputError(f"recipe: magnitude ratio must be between 0 and 1, got {self.amount}")

    def __str__(self) -> str:
        return f"magnitude:{self.amount}"


Step: TypeAlias = Quantize | Magnitude


@dataclass(frozen=True)
class Chain:
    """What is done to one layer, in order. A quantiser ends it: codes cannot be pruned or quantised again."""

    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        quantizers = [isinstance(step, Quantize) for step in self.steps]
        if not self.steps or any(quantizers[:-1]):
            raise InputError(f"recipe: chain must have at most one quantiser, as its last step, got '{self}'")

    @property
    def quantize(self) -> Quantize | None:
        """The step that ends the chain, if it is a quantiser."""
        last = self.steps[-1]
        return last if isinstance(last, Quantize) else None

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))


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
    """A chain for every layer, overrides of it (the last that matches wins), and globs of layers to leave alone."""

    chain: Chain | None
    overrides: tuple[Override, ...] = ()
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.chain is None and not self.overrides:
            raise InputError("recipe: text must have a chain or an override, got '" + str(self) + "'")
        for glob in self.keep:
            _check_glob(glob)

    def __str__(self) -> str:
        clauses = [*([self.chain] if self.chain else []), *self.overrides]
        return ";".join([*map(str, clauses), *(["keep=" + ",".join(self.keep)] if self.keep else [])])


def parse(source: str | Mapping[str, object] | Recipe) -> Recipe:
    """The recipe that a text, a mapping (as YAML gives it) or a recipe says.

    A mapping has the keys ``default`` (a chain as text), ``overrides`` (glob -> chain) and ``keep`` (list of globs).
    Raises :class:`~fairopt.errors.InputError` naming the column for a text, the near words for an unknown one.
    """
    if isinstance(source, Recipe):
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source)
    return _Parser(source).recipe()


def _from_mapping(source: Mapping[str, object]) -> Recipe:
    unknown = source.keys() - {"default", "overrides", "keep"}
    if unknown:
        raise InputError(f"recipe: keys must be default, overrides, keep, got {', '.join(map(repr, sorted(unknown)))}")
    default, overrides, keep = source.get("default"), source.get("overrides") or {}, source.get("keep") or []
    if not isinstance(overrides, Mapping):
        raise InputError(f"recipe: overrides must be a mapping from glob to chain, got {overrides!r}")
    if isinstance(keep, str) or not isinstance(keep, Iterable):
        raise InputError(f"recipe: keep must be a list of globs, got {keep!r}")
    return Recipe(
        chain=None if default is None else _Parser(str(default)).only_chain(),
        overrides=tuple(Override(str(glob), _Parser(str(chain)).only_chain()) for glob, chain in overrides.items()),
        keep=tuple(map(str, keep)),
    )


class _Token(NamedTuple):
    text: str  # a run of characters, one of +:,;= or "" at the end
    column: int  # counted from 1


class _Argument(NamedTuple):
    name: _Token
    separator: str  # "=", ":" or ""
    value: str


class _Parser:
    """Recursive descent over the grammar of docs/recipes.md: one method a rule."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [_Token(m[0], m.start() + 1) for m in re.finditer(r"[+:,;=]|[^\s+:,;=]+", text)]
        self._tokens.append(_Token("", len(text) + 1))
        self._next = 0

    def recipe(self) -> Recipe:
        """``recipe = clause { ";" clause }``; a clause is a chain (the first only), an override, or a keep list."""
        chain: Chain | None = None
        overrides: list[Override] = []
        keep: list[str] = []
        while self._next == 0 or self._accept(";"):
            if self._tokens[min(self._next + 1, len(self._tokens) - 1)].text != "=":
                if self._next > 0:
                    raise self._error(self._peek(), "clause", "glob=chain or keep=globs")
                chain = self._chain()
                continue
            glob = self._word("glob")
            self._accept("=")
            if glob.text == "keep":
                keep += [token.text for token in self._separated(",", "glob")]
            else:
                with self._at(glob):
                    overrides.append(Override(glob.text, self._chain()))
        self._end("'+' or ';'")
        with self._at(self._tokens[0]):
            return Recipe(chain, tuple(overrides), tuple(keep))

    def only_chain(self) -> Chain:
        """A text that is one chain and nothing else."""
        chain = self._chain()
        self._end("'+'")
        return chain

    def _chain(self) -> Chain:
        """``chain = step { "+" step }``."""
        first = self._peek()
        steps = [self._step()]
        while self._accept("+"):
            steps.append(self._step())
        with self._at(first):
            return Chain(tuple(steps))

    def _step(self) -> Step:
        """``step = word [ ":" argument { "," argument } ]``."""
        word = self._word("step")
        if word.text not in WORDS:
            raise self._unknown(word, "step", WORDS)
        arguments = self._arguments() if self._accept(":") else []
        with self._at(word):
            return self._magnitude(word, arguments) if word.text == "magnitude" else self._quantize(word, arguments)

    def _arguments(self) -> list[_Argument]:
        """``argument = name [ "=" value ] | ratio | n ":" m``."""
        arguments = []
        for name in self._separated(",", "option"):
            separator = self._peek().text if self._peek().text in ("=", ":") else ""
            value = self._word("value").text if separator and self._accept(separator) else ""
            arguments.append(_Argument(name, separator, value))
        return arguments

    def _quantize(self, word: _Token, arguments: list[_Argument]) -> Quantize:
        quantizer = _QUANTIZERS[word.text]
        dialects = {format.partition("_")[2]: format for format in quantizer.formats if "_" in format}
        block, format, pad = quantizer.block, quantizer.formats[0], False
        seen: set[str] = set()
        for name, separator, value in arguments:
            option = "dialect" if name.text in dialects else name.text
            if option in seen:
                raise self._error(name, f"{word.text} option", "given once")
            seen.add(option)
            if name.text == quantizer.block_option and separator == "=":
                block = self._whole_number(value, name, f"{word.text} {name.text}")
            elif name.text in dialects and not separator:
                format = dialects[name.text]
            elif name.text == "pad" and not separator:
                pad = True
            else:
                raise self._unknown(name, f"{word.text} option", (f"{quantizer.block_option}=N", *dialects, "pad"))
        return Quantize(format, block, pad)

    def _magnitude(self, word: _Token, arguments: list[_Argument]) -> Magnitude:
        if len(arguments) == 1:
            name, separator, value = arguments[0]
            if separator == ":":
                n, m = (self._whole_number(text, name, "n:m") for text in (name.text, value))
                return Magnitude(KeepNOfM(n, m))
            if not separator and re.fullmatch(r"\d*\.?\d+(e-?\d+)?", name.text):
                return Magnitude(float(name.text))
        at = arguments[-1].name if arguments else word
        raise self._error(at, "magnitude amount", "a ratio (0.5) or n:m (2:4)")

    def _whole_number(self, text: str, at: _Token, what: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise self._error(at, what, "whole numbers", text)
        return int(text)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _accept(self, mark: str) -> bool:
        found = self._peek().text == mark
        self._next += found
        return found

    def _word(self, what: str) -> _Token:
        token = self._peek()
        if not token.text or token.text in "+:,;=":
            raise self._error(token, what, "a word")
        self._next += 1
        return token

    def _separated(self, mark: str, what: str) -> Iterator[_Token]:
        yield self._word(what)
        while self._accept(mark):
            yield self._word(what)

    def _end(self, else_expected: str) -> None:
        if self._peek().text:
            raise self._error(self._peek(), "text", f"{else_expected} or the end")

    def _place(self, token: _Token) -> str:
        return f" at column {token.column} of '{self._text}'"

    def _error(self, token: _Token, what: str, requirement: str, got: str | None = None) -> InputError:
        value = repr(token.text if got is None else got) if (got or token.text) else "nothing"
        return InputError(f"recipe: {what} must be {requirement}, got {value}{self._place(token)}")

    def _unknown(self, token: _Token, what: str, known: tuple[str, ...]) -> InputError:
        near = [word for word in difflib.get_close_matches(token.text, known, n=3, cutoff=0.5) if word != token.text]
        error = self._error(token, what, f"one of {', '.join(sorted(known))}")
        return InputError(f"{error}; did you mean {' or '.join(near)}?") if near else error

    @contextmanager
    def _at(self, token: _Token) -> Iterator[None]:
        """Add the place in the text to what a frozen object says about its own fields."""
        try:
            yield
        except InputError as error:
            raise error if " at column " in str(error) else InputError(f"{error}{self._place(token)}") from None
