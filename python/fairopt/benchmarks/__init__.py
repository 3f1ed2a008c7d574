"""Benchmarks by name. Each lives in the module of its name, which defines ``BENCHMARK``."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import cast

from fairopt.benchmarks import factor
from fairopt.benchmarks.ask import (
    Answer,
    Ask,
    Cosine,
    Generate,
    LogLikelihood,
    Masked,
    Rolling,
    Similarity,
    Text,
    TopWords,
    Words,
)
from fairopt.benchmarks.base import (
    Benchmark,
    Columns,
    Item,
    LeftOut,
    Metric,
    Score,
    Source,
    data_folder,
    item_columns,
    verified,
)
from fairopt.errors import InputError

OWN_FILE = "file:"  # before the path of your own data, or of what defines your own benchmark
OWN_TEXTS = "corpus:"  # before the folder of your own texts
COUNTERFACTUAL = "counterfactual:"  # before the path of your own templates
OWN_CODE = "python:"  # before the place of your own class
DEFINITIONS = (".yaml", ".yml")
_FOLDERS = {
    "embeddings": (
        "seat",
        "weat",
    ),
    "likelihood": (
        "crows_pairs",
        "crows_pairs_bias_bench",
        "crows_pairs_masked",
        "dialect",
        "holisticbias_likelihood",
        "matched_guise",
        "prompt_perplexity",
        "stereoset",
        "stereoset_masked",
        "winobias",
        "winogender",
    ),
    "questions": (
        "allocative_adult",
        "allocative_crime",
        "bbq",
        "bbq_generate",
        "bbq_letter",
        "bbq_turpin",
        "decoding_trust_stereotypes",
        "discrim_eval",
        "discrim_eval_gen",
        "global_opinion_qa",
        "jigsaw_identity",
        "jigsaw_swapped",
        "unqover",
        "winobias_questions",
        "worldbench",
    ),
    "texts": (
        "adv_prompt_set",
        "bold",
        "holisticbias_regard",
        "honest",
        "honest_texts",
        "open_pairs",
        "real_toxicity_prompts",
        "toxigen",
    ),
    "utility": (
        "arc_challenge",
        "arc_easy",
        "boolq",
        "commonsense_qa",
        "lambada",
        "mmlu",
        "openbookqa",
        "piqa",
        "truthfulqa",
        "wikitext",
    ),
    "phantom": (
        "phantom_pairs",
        "phantom_questions",
        "phantom_texts",
    ),
}  # fmt: skip
_FOLDER_OF = {name: folder for folder, own in _FOLDERS.items() for name in own}
NAMES = tuple(sorted(_FOLDER_OF))  # that come with the package
_REGISTERED: dict[str, Benchmark] = {}

__all__ = [
    "NAMES",
    "Answer",
    "Ask",
    "Benchmark",
    "Columns",
    "Cosine",
    "Generate",
    "Item",
    "LeftOut",
    "LogLikelihood",
    "Masked",
    "Metric",
    "Rolling",
    "Score",
    "Similarity",
    "Source",
    "Text",
    "TopWords",
    "Words",
    "data_folder",
    "get",
    "get_all",
    "get_stored",
    "item_columns",
    "names",
    "register",
    "verified",
    "without_levels",
]


def names() -> tuple[str, ...]:
    """All names that :func:`get` knows: those of the package and what was registered."""
    return tuple(sorted({*NAMES, *_REGISTERED}))


def register(benchmark: Benchmark) -> None:
    """Let :func:`get` find your own benchmark by its name, in this process.

    Raises :class:`~fairopt.errors.InputError` for the name of a benchmark of the package.
    """
    if benchmark.name in NAMES:
        raise InputError(f"register: benchmark must have a name of its own, got {benchmark.name!r}")
    _REGISTERED[benchmark.name] = benchmark


def get(name: str) -> Benchmark:
    """The benchmark of that name; :class:`~fairopt.errors.InputError` lists the known ones.

    ``NAME?factor=level&...`` is a benchmark at other levels than its defaults (:mod:`fairopt.benchmarks.factor`).
    Your own: ``file:PATH?column=NAME&...`` is a table (:mod:`fairopt.benchmarks.own.own_file`; it is not opened here),
    ``file:PATH.yaml`` a benchmark that a file defines (:mod:`fairopt.benchmarks.own.definition`), ``corpus:FOLDER`` a
    folder with one text file a group (:mod:`fairopt.benchmarks.own.corpora`), ``counterfactual:PATH?terms=NAME&...``
    templates (:mod:`fairopt.benchmarks.own.counterfactual`), and ``python:MODULE:ATTRIBUTE`` what your code defines
    (:mod:`fairopt.benchmarks.own.own_class`).
    """
    if name.startswith(OWN_TEXTS):
        from fairopt.benchmarks.own.corpora import Corpora

        return Corpora(name)
    if name.startswith(COUNTERFACTUAL):
        from fairopt.benchmarks.own.counterfactual import Counterfactual

        return Counterfactual(name)
    if _is_table(name):
        from fairopt.benchmarks.own.own_file import OwnFile

        return OwnFile(name)
    plain, levels = factor.parse(name)
    found = _found(plain)
    return found.at(levels) if levels else found


def _is_table(name: str) -> bool:
    return name.startswith(OWN_FILE) and not name.partition("?")[0].lower().endswith(DEFINITIONS)


def _found(plain: str) -> Benchmark:
    if plain.startswith(OWN_FILE):
        from fairopt.benchmarks.own.defined import defined

        return defined(plain)
    if plain.startswith(OWN_CODE):
        from fairopt.benchmarks.own.own_class import own_class

        return own_class(plain)
    if plain not in names():
        raise InputError(
            f"benchmark: name must be one of {', '.join(names())}, file:PATH, corpus:FOLDER, counterfactual:PATH or"
            f" python:MODULE:ATTRIBUTE, got {plain!r}"
        )
    return _REGISTERED.get(plain) or _load(plain)


def _load(name: str) -> Benchmark:
    return cast(Benchmark, importlib.import_module(f"fairopt.benchmarks.{_FOLDER_OF[name]}.{name}").BENCHMARK)


def get_stored(asked: Sequence[str]) -> list[Benchmark]:
    """:func:`get_all` of names that a folder holds, not the user: code is not run because a file names it."""
    for name in asked:
        plain, _ = factor.parse(name) if name.startswith(OWN_CODE) else ("", {})
        if plain and not _is_loaded(plain):
            raise InputError(
                f"open_run: {plain} is code that the run's folder names: name it yourself, by --benchmark {plain} or"
                f" fairopt.benchmarks.get({plain!r})"
            )
    return get_all(asked)


def _is_loaded(name: str) -> bool:
    from fairopt.benchmarks.own.own_class import is_loaded

    return is_loaded(name)


def without_levels(name: str) -> str:
    """The benchmark that a name means, whatever the levels; what follows the "?" of a table or of templates is none."""
    columns = _is_table(name) or name.startswith(COUNTERFACTUAL)
    return name if columns else factor.parse(name)[0]


def get_all(asked: Sequence[str]) -> list[Benchmark]:
    """The benchmarks of these names. Of several levels of one benchmark the first takes part in the verdict."""
    found: list[Benchmark] = []
    seen: set[str] = set()
    for name in asked:
        benchmark, plain = get(name), without_levels(name)
        found.append(benchmark.described() if plain in seen else benchmark)
        seen.add(plain)
    return found
