"""Recipes as text and as mappings: the grammar of docs/recipes.md."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from fairopt.compress.prune_options import PRUNERS, KeepNOfM, Prune
from fairopt.compress.recipe import (
    QUANTIZERS,
    Chain,
    DynamicInt8,
    Hadamard,
    KVCache,
    LlmInt8,
    Override,
    Quantize,
    Recipe,
    SmoothQuant,
    Step,
    default_format,
)
from fairopt.compress.solver_options import SOLVERS, Rtn, Solver, option_names, read_options
from fairopt.compress.sparse_options import Sparse
from fairopt.compress.structure_options import STRUCTURES, Layers, Remove
from fairopt.errors import InputError

_TRANSFORMS = {cls.word: cls for cls in (SmoothQuant, Hadamard)}
_SIZES = ("g", "group", "group_size", "groupsize", "block", "block_size", "blocksize")
_CACHES = {f"kv{bits}": bits for bits in (2, 3, 4, 8)}
STEPS = (*QUANTIZERS, *SOLVERS, *_TRANSFORMS, "w8a8", LlmInt8.word, *PRUNERS, Sparse.word)
WORDS = (*STRUCTURES, *STEPS, *_CACHES)


def parse(source: str | Mapping[str, object] | Recipe) -> Recipe:
    """The recipe that a text, a mapping (as YAML gives it) or a recipe says.

    A mapping has the keys ``default`` (a chain as text, with or without a cache), ``overrides`` (glob -> chain) and
    ``keep`` (list of globs). Raises :class:`~fairopt.errors.InputError` naming the column for a text, the near words
    for an unknown one.
    """
    if isinstance(source, Recipe):
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source)
    if not isinstance(source, str):
        raise InputError(f"recipe: source must be text, a mapping or a Recipe, got {source!r}")
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
    said = _Default() if default is None else _Parser(str(default)).default()
    return Recipe(
        chain=said.chain,
        overrides=tuple(Override(str(glob), _Parser(str(text)).only_chain()) for glob, text in overrides.items()),
        keep=tuple(map(str, keep)),
        kv_cache=said.kv_cache,
        structure=said.structure,
    )


class _Default(NamedTuple):
    structure: tuple[Remove, ...] = ()
    chain: Chain | None = None
    kv_cache: KVCache | None = None


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
        """``recipe = clause { ";" clause }``; a clause is the default (the first only), an override, or a keep list."""
        default = _Default()
        overrides: list[Override] = []
        keep: list[str] = []
        while self._next == 0 or self._accept(";"):
            if self._tokens[min(self._next + 1, len(self._tokens) - 1)].text != "=":
                if self._next > 0:
                    raise self._error(self._peek(), "clause", "glob=chain or keep=globs")
                default = self._default()
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
            return Recipe(default.chain, tuple(overrides), tuple(keep), default.kv_cache, default.structure)

    def default(self) -> _Default:
        """A text that is the default of a recipe and nothing else."""
        found = self._default()
        self._end("'+'")
        return found

    def only_chain(self) -> Chain:
        """A text that is one chain and nothing else."""
        chain = self._chain()
        self._end("'+'")
        return chain

    def _default(self) -> _Default:
        """``default = { structure "+" } ( structure | [ chain "+" ] cache | chain )``."""
        structure: list[Remove] = []
        while self._peek().text in STRUCTURES:
            structure.append(self._structure())
            if not self._accept("+"):
                return _Default(tuple(structure))
        chain = None if self._peek().text in _CACHES else self._chain()
        if chain is not None and self._peek().text not in _CACHES:
            return _Default(tuple(structure), chain)
        return _Default(tuple(structure), chain, self._cache())

    def _structure(self) -> Remove:
        """``structure = word ":" amount [ ":" score ] { "," option }``."""
        word = self._word("step")
        cls = STRUCTURES[word.text]
        amount = self._word("amount") if self._accept(":") else word
        if not re.fullmatch(r"[0-9]{1,6}" if cls is Layers else r"\d*\.?\d+(e-?\d+)?", amount.text):
            wanted = "a count (2)" if cls is Layers else "a ratio (0.25)"
            raise self._error(amount, f"{word.text} amount", wanted)
        score = self._word("score") if self._accept(":") else None
        if score is not None and score.text not in cls.scores:
            raise self._unknown(score, f"{word.text} score", cls.scores)
        names = tuple(name for name in option_names(cls) if name not in ("amount", "score"))
        given = self._options(word, {}, names, ",")
        texts = {"amount": amount.text, **({"score": score.text} if score else {})}
        with self._at(word):
            step: Remove = read_options(cls, {**texts, **{name: option.value for name, option in given.items()}})
        return step

    def _chain(self) -> Chain:
        """``chain = step { "+" step }``; leaves a cache that follows it."""
        first = self._peek()
        steps = [*self._steps()]
        while self._accept("+") and self._peek().text not in _CACHES:
            steps += self._steps()
        with self._at(first):
            return Chain(tuple(steps))

    def _cache(self) -> KVCache:
        """``cache = "kv" bits [ ":" option { "," option } ]``."""
        word = self._word("cache")
        given = self._options(word, {}, ("group", "residual"))
        with self._at(word):
            return KVCache(_CACHES[word.text], **{name: self._number(word, option) for name, option in given.items()})

    def _steps(self, joined: bool = False) -> tuple[Step, ...]:
        """``step = word [ ":" argument { "," argument } ]``; a transform may be joined to its quantiser by ":"."""
        word = self._word("step")
        if word.text in STRUCTURES:
            where = "the first steps of a recipe, before those of layers: it changes the whole model"
            raise self._error(word, f"{word.text} step", f"among {where}")
        if word.text not in STEPS:
            raise self._unknown(word, "step", WORDS)
        if word.text in _TRANSFORMS and self._peek().text == ":" and self._tokens[self._next + 1].text in STEPS:
            self._accept(":")
            return (_TRANSFORMS[word.text](), *self._steps(joined=True))
        with self._at(word):
            return (self._step(word, "," if joined else ":"),)

    def _step(self, word: _Token, mark: str) -> Step:
        """``mark`` is what introduces the options."""
        if word.text in PRUNERS:
            return self._prune(word, PRUNERS[word.text])
        if word.text in SOLVERS:
            if not self._accept(":") or self._peek().text not in QUANTIZERS:
                raise self._error(self._peek(), f"{word.text} format", f"one of {', '.join(QUANTIZERS)}")
            return self._quantize(self._word("format"), SOLVERS[word.text], ",")
        if word.text in QUANTIZERS:
            return self._quantize(word, Rtn, mark)
        if word.text == Sparse.word:
            given = self._options(word, dict.fromkeys(Sparse.TYPES, "values"), (), mark)
            return Sparse(given["values"].name.text if given else None)
        if word.text == "w8a8":
            return DynamicInt8(**self._options(word, {}, (), mark))
        cls = LlmInt8 if word.text == LlmInt8.word else _TRANSFORMS[word.text]
        given = self._options(word, {}, option_names(cls), mark)
        step: Step = read_options(cls, {name: option.value for name, option in given.items()})
        return step

    def _quantize(self, word: _Token, solver: type[Solver], mark: str) -> Quantize:
        entry = QUANTIZERS[word.text]
        dialects = tuple(filter(None, entry.dialects))
        same = {**dict.fromkeys(dialects, "dialect"), "row": entry.block_option, "pad": "pad", "dq": "dq"}
        given = self._options(word, same, (entry.block_option, "int8", *option_names(solver)), mark)
        format, block = default_format(word.text, solver), entry.block
        if "dialect" in given:
            format = entry.dialects[given.pop("dialect").name.text]
        if (option := given.pop(entry.block_option, None)) is not None:
            block = None if option.name.text == "row" else self._number(word, option)
        pad, double_quant = given.pop("pad", None) is not None, given.pop("dq", None) is not None
        share = 0.0
        if (option := given.pop("int8", None)) is not None:
            if not re.fullmatch(r"\d*\.?\d+", option.value):
                raise self._error(option.name, f"{word.text} int8", "a share of the groups (0.05)", option.value)
            share = float(option.value)
        chosen = read_options(solver, {name: option.value for name, option in given.items()})
        return Quantize(format, block, pad, double_quant, chosen, share)

    def _options(
        self, word: _Token, flags: Mapping[str, str], valued: tuple[str, ...], mark: str = ":"
    ) -> dict[str, _Argument]:
        """``option = flag | name [ "=" value ]``. Flags of one meaning exclude each other; the result is by meaning."""
        given: dict[str, _Argument] = {}
        for argument in self._arguments() if self._accept(mark) else []:
            name = argument.name.text
            if argument.separator == ":" or name not in (*flags, *valued) or (argument.separator and name in flags):
                known = (*(f"{option}=" for option in valued), *flags)
                raise self._unknown(argument.name, f"{word.text} option", known)
            if flags.get(name, name) in given:
                raise self._error(argument.name, f"{word.text} option", "given once")
            given[flags.get(name, name)] = argument
        return given

    def _arguments(self) -> list[_Argument]:
        """``argument = name [ "=" value ]``, and what is wrongly joined by ":"."""
        arguments = []
        for name in self._separated(",", "option"):
            separator = self._peek().text if self._peek().text in ("=", ":") else ""
            value = self._word("value").text if separator and self._accept(separator) else ""
            arguments.append(_Argument(name, separator, value))
        return arguments

    def _prune(self, word: _Token, cls: type[Prune]) -> Prune:
        """``prune = word ":" amount { "," option }``, ``amount = ratio | n ":" m``."""
        amount = self._amount(word)
        given = self._options(word, {}, option_names(cls)[1:], ",")
        step: Prune = read_options(cls, {name: option.value for name, option in given.items()}, amount=amount)
        return step

    def _amount(self, word: _Token) -> float | KeepNOfM:
        amount = self._word("amount") if self._accept(":") else word
        if amount is not word and self._accept(":"):
            m = self._word("m")
            return KeepNOfM(*(self._whole_number(token.text, token, "n:m") for token in (amount, m)))
        if not re.fullmatch(r"\d*\.?\d+(e-?\d+)?", amount.text):
            raise self._error(amount, f"{word.text} amount", "a ratio (0.5) or n:m (2:4)")
        return float(amount.text)

    def _number(self, word: _Token, option: _Argument) -> int:
        return self._whole_number(option.value, option.name, f"{word.text} {option.name.text}")

    def _whole_number(self, text: str, at: _Token, what: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise self._error(at, what, "whole numbers", text or "nothing")
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
        asked = token.text.lower()
        near = [word for word in difflib.get_close_matches(asked, known, n=3, cutoff=0.5) if word != token.text]
        if asked in _SIZES:  # of a block, under the name that another field or library has for it
            near = [option for option in ("g=", "block=") if option in known] or near
        error = self._error(token, what, f"one of {', '.join(sorted(known))}" if known else "none")
        return InputError(f"{error}; did you mean {' or '.join(near)}?") if near else error

    @contextmanager
    def _at(self, token: _Token) -> Iterator[None]:
        """Add the place in the text to what a frozen object says about its own fields."""
        try:
            yield
        except InputError as error:
            raise error if " at column " in str(error) else InputError(f"{error}{self._place(token)}") from None
