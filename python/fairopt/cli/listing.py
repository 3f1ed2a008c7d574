"""What ``fairopt list`` prints: the names that the command line understands, as tables."""

from __future__ import annotations

from fairopt.errors import InputError

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

RECIPES = {
    "nf4": ("nf4, nf4:block=128", "4-bit NormalFloat codes with one scale a block"),
    "fp4": ("fp4, fp4:block=32", "4-bit floating-point codes with one scale a block"),
    "int8": ("int8, int8:g=64", "8-bit integers, symmetric, one scale a group"),
    "int4": ("int4:g=32, int4:g=128,asym", "4-bit integers, symmetric or with a zero point a group"),
    "magnitude": ("magnitude:0.5, magnitude:2:4", "set the smallest weights to zero, by share or n of every m"),
}
FORMATS = {
    "int8": "two's complement, scale = absmax / 127",
    "int4_sym": "unsigned codes around 7.5",
    "int4_asym": "unsigned codes with a stored zero point",
    "nf4": "16 quantiles of the normal distribution, scaled by absmax",
    "fp4": "1 sign, 2 exponent and 1 mantissa bits, scaled by absmax",
}


def listing(kind: str) -> Table:
    """Head and rows of one kind: ``benchmarks``, ``recipes``, ``formats``, ``metrics`` or ``scorers``."""
    tables = {
        "benchmarks": _benchmarks,
        "recipes": _recipes,
        "formats": _formats,
        "metrics": _metrics,
        "scorers": _scorers,
    }
    if kind not in tables:
        raise InputError(f"list: kind must be one of {', '.join(tables)}, got {kind!r}")
    return tables[kind]()


def _recipes() -> Table:
    from fairopt.compress.recipe import WORDS

    return ("word", "examples", "meaning"), [(word, *RECIPES[word]) for word in WORDS]


def _formats() -> Table:
    from fairopt.formats import FORMATS as NAMES

    return ("format", "meaning"), [(name, FORMATS[name]) for name in NAMES]


def _benchmarks() -> Table:
    from fairopt.benchmarks import NAMES, get

    found = [get(name) for name in NAMES]
    rows = [(b.name, b.title, b.source.home if b.source else "built in") for b in found]
    return ("benchmark", "title", "data"), [
        *rows,
        ("file:PATH", "Your own data", "CSV, TSV, JSONL or Parquet (docs/audit.md)"),
    ]


def _metrics() -> Table:
    from fairopt.benchmarks import NAMES, get

    rows: list[tuple[str, ...]] = [
        (m.id, name, m.title, m.unit, f"harmful: {m.harm}", "gated" if m.gated else "described")
        for name in NAMES
        for m in get(name).metrics
    ]
    return ("metric", "benchmark", "title", "unit", "direction", "role"), rows


def _scorers() -> Table:
    from fairopt.scorers import KINDS

    return ("scorer", "what it is", "needs"), [(name, *row) for name, row in KINDS.items()]
