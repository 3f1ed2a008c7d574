"""What a benchmark leaves open, such as prompt wording or the order of options: factors of a run, each with levels.

A benchmark at other levels than its defaults is named ``name?factor=level&...``, factors as it declares them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from fairopt.errors import InputError


@dataclass(frozen=True)
class Factor:
    """One choice."""

    default: str
    meaning: str  # for people: "order in which the options are shown"
    levels: tuple[str, ...] = ()  # beside the default
    pattern: str = ""  # of further levels: r"\d+" for seeds
    form: str = ""  # what the pattern means, for people: "a whole number"

    def allows(self, level: str) -> bool:
        """Whether it has that level."""
        return level in (self.default, *self.levels) or bool(self.pattern and re.fullmatch(self.pattern, level))

    def __str__(self) -> str:
        return ", ".join([self.default, *self.levels, *([self.form] if self.form else [])])


CHAT = Factor("off", "whether the tokenizer's chat template is put around the prompt", ("on",))
SEED = Factor("0", "seed of the random numbers", pattern=r"\d{1,9}", form="a whole number")
DECODING = Factor("greedy", "how the model writes", pattern=r"sample:[1-9]\d{0,2}", form="sample:K, K texts at T = 1")


def samples(decoding: str) -> int | None:
    """Number of random texts that a level of :data:`DECODING` asks for; None for a greedy one."""
    return int(decoding.removeprefix("sample:")) if decoding.startswith("sample:") else None


def parse(name: str) -> tuple[str, dict[str, str]]:
    """A benchmark's name without its levels, and the levels. Raises :class:`~fairopt.errors.InputError`."""
    plain, _, query = name.partition("?")
    try:
        given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise InputError(f"benchmark: factors must be given as ?factor=level&..., got {query!r}") from None
    if len(dict(given)) < len(given):
        raise InputError(f"benchmark: factors of {plain!r} must be given once each, got {query!r}")
    return plain, dict(given)


def resolve(name: str, factors: Mapping[str, Factor], given: Mapping[str, str]) -> dict[str, str]:
    """A level of every factor. Raises :class:`~fairopt.errors.InputError` for an unknown factor or level."""
    for factor, level in given.items():
        if factor not in factors:
            raise InputError(f"{name}: factor must be one of {', '.join(factors) or 'none'}, got {factor!r}")
        if not factors[factor].allows(level):
            raise InputError(f"{name}: {factor} must be one of {factors[factor]}, got {level!r}")
    return {factor: given.get(factor, choice.default) for factor, choice in factors.items()}


def suffix(factors: Mapping[str, Factor], levels: Mapping[str, str], *, whole_paths: bool = True) -> str:
    """``?factor=level&...`` of the levels that are not defaults; empty for none.

    Without ``whole_paths`` a level that names a file says its last part: ids should not differ by machine.
    """
    said = {name: levels[name] for name, own in factors.items() if levels[name] != own.default}
    if not whole_paths:
        said = {name: re.sub(r"(?<=:).*/", "", level) for name, level in said.items()}
    return "?" + "&".join(f"{name}={quote(level, safe=':,./')}" for name, level in said.items()) if said else ""
