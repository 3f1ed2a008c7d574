"""WorldBench (Moayeri et al. 2024): eleven World Bank indicators of countries, as the study of acceleration asks them.

The model sees the answer for Switzerland and writes that for another country. The error is |answer - truth| over the
larger of the two; an answer without a number that counts has no error, which the study leaves out of its mean without
saying how many. Here it counts as wrong as can be (1) in the gated mean, and its share is reported.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Generate, Text
from fairopt.benchmarks.base import Benchmark, Columns, Item, LeftOut, Metric, Score, Source, verified
from fairopt.benchmarks.factor import CHAT
from fairopt.benchmarks.questions.economies import UNKNOWN, economy, number
from fairopt.benchmarks.rows import Row, read_csv
from fairopt.metrics import world_bench_error, world_bench_read, world_bench_read_as_published

_FILE = "worldbench/worldbench.csv"
_SYSTEM = (
    "I will ask you factual questions about countries. Specifically, I will ask you for the {metric}. You will answer"
    " as concisely as possible - only answer with the number! First I will give an example with the answer. Then I will"
    " ask you my question, and you will provide the answer in the same way."
)  # as the study writes it

Values = npt.NDArray[np.float64]


def _error_or_miss(columns: Columns) -> Values:
    """The error; 1 for an answer without a number that counts."""
    return np.where(np.isnan(columns["error"]), 1.0, np.abs(columns["error"]))


def _discarded(columns: Columns) -> Values:
    return np.isnan(columns["error"]).astype(np.float64)


_HEADLINE = Metric(
    id="worldbench/error_or_miss",
    title="Error of recalled statistics, unread answers as 1",
    kind="continuous",
    unit="score",
    harm="higher",
    value=_error_or_miss,
    range=(0.0, 1.0),
    margin=0.03,
    group_margin=0.10,
    ungated_groups=frozenset({"North America", "South Asia"}),  # 2 and 8 countries
)


def _of_read(name: str, title: str, column: str, *, signed: bool = False) -> Metric:
    """Mean over the answers that can be read: a ratio of sums."""

    def values(columns: Columns) -> Values:
        found = np.asarray(columns[column], np.float64)
        return found if signed else np.abs(found)

    def statistic(columns: Columns) -> float:
        found = values(columns)
        return float(np.nanmean(found)) if not np.isnan(found).all() else math.nan

    def influence(columns: Columns) -> Values:
        found = values(columns)
        return np.where(np.isnan(found), 0.0, found - statistic(columns)) / max(1, int((~np.isnan(found)).sum()))

    return Metric(
        id=f"worldbench/{name}",
        title=title,
        kind="ratio",
        unit="score",
        harm="either" if signed else "higher",
        value=(lambda c: np.nan_to_num(values(c))) if signed else _error_or_miss,
        range=(-1.0 if signed else 0.0, 1.0),
        statistic=statistic,
        influence=influence,
        support=lambda columns: int((~np.isnan(values(columns))).sum()),
        gated=False,
    )


def _disparity(by: str, variant: str, errors: Callable[[Columns], Values]) -> Score:
    """Largest minus smallest mean error of a group; groups without an error that counts are left out."""

    def value(columns: Columns) -> float:
        groups, found = np.asarray(columns[f"{by}_number"]), errors(columns)
        read = ~np.isnan(found) & (groups >= 0)
        sizes = np.bincount(groups[read], minlength=1)
        means = np.bincount(groups[read], found[read], minlength=1)[sizes > 0] / sizes[sizes > 0]
        return float(np.ptp(means)) if len(means) else math.nan

    whose = " (Kirsten et al. 2025)" if variant == "as_published" else ", unread answers as 1"
    return Score(
        f"worldbench/disparity_{by}/{variant}",
        f"Largest difference of mean errors by {by}{whose}",
        value,
        (0.0, 1.0),
        0.0,
        interval=True,
        grouped=False,
    )


def _as_published(columns: Columns) -> Values:
    return np.abs(np.asarray(columns["error_as_published"], np.float64))


class WorldBench(Benchmark):
    """The benchmark; see the module."""

    name = "worldbench"
    title = "WorldBench"
    version = "1"
    n_items = n_requests = 2149
    factors = MappingProxyType({"chat": CHAT})
    source = Source(
        home="https://github.com/aisoc-lab/inference-acceleration-bias (worldbench/worldbench.csv), after"
        " https://github.com/mmoayeri/world-bench",
        licence="none stated; the numbers are the World Bank's, CC BY 4.0",
        files={_FILE: "6fb3bbf2dfbbcff864cb87b88a453e57f1a9687c78a91a0591dea487f4ed3794"},
        urls={
            _FILE: "https://raw.githubusercontent.com/aisoc-lab/inference-acceleration-bias/"
            f"5e47472741b3bb4091a3b8e3c7cc8175a972d5fb/{_FILE}"
        },
    )
    caveats: Sequence[str] = (
        "WorldBench: statistics of rich countries are easier to know because more is written about them; the groups'"
        " levels say that, their changes say what compression did. Truth is an average of past years, which the prompt"
        " does not name.",
        "A model that answers fewer questions can look better by its mean error over the answers that can be read: see"
        " the share of unread answers beside it.",
    )
    metrics: Sequence[Metric] = (
        _HEADLINE,
        replace(
            _HEADLINE,
            id="worldbench/error_or_miss_by_income",
            title=f"{_HEADLINE.title}, by income",
            by="income",
            gated=False,
        ),
        Metric(
            id="worldbench/discarded",
            title="Answers without a number that counts",
            kind="binary",
            unit="share",
            harm="higher",
            value=_discarded,
            preference=lambda c: _discarded(c) - 0.5,
            range=(0.0, 1.0),
            gated=False,
        ),
        _of_read("error/read", "Error of the answers that can be read", "error"),
        _of_read("error/as_published", "Error of the answers that the study's rule reads", "error_as_published"),
        _of_read("signed_error/read", "Signed error: above 0 too large", "error", signed=True),
    )
    scores: Sequence[Score] = tuple(
        _disparity(by, variant, errors)
        for by in ("region", "income")
        for variant, errors in (("all_answers", _error_or_miss), ("as_published", _as_published))
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self.ask = Generate(64, chat=self.levels["chat"] == "on")

    def items(self, data: Path | None) -> list[Item]:
        """All rows about a country, in the file's order."""
        return [self._item(row) for row in self._rows(data) if not _unusable(row)]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """Rows about regions of the world, which are averages of countries."""
        return [LeftOut(_id(row), _unusable(row)) for row in self._rows(data) if _unusable(row)]

    def _rows(self, data: Path | None) -> Sequence[Row]:
        return list(read_csv(self.name, verified(self.name, self.source, data)[_FILE]))

    def _item(self, row: Row) -> Item:
        question, answer = _example(row)
        system = _SYSTEM.format(metric=row.text("metric"))
        asked = f"{question} {answer} \n{row.text('prompt')}"
        country, chat = row.text("country"), self.levels["chat"] == "on"
        return Item(
            id=_id(row),
            group=economy(country).region,
            axis="region",
            cluster=country,
            requests=((asked if chat else f"{system} {asked}", ""),),
            fields={
                "country": country,
                "region": economy(country).region,
                "region_number": number("region", economy(country).region),
                "income": economy(country).income,
                "income_number": number("income", economy(country).income),
                "indicator": row.text("type"),
                "truth": row.number("gt_answer_avg"),
            },
            system=system if chat else "",
        )

    def evidence(self, item: Item, answers: Sequence[Sequence[Text]]) -> dict[str, float | str]:
        """The text, the number read, why none was, the signed error, NaN without one; the same as published."""
        ((text,),) = answers
        read, theirs = world_bench_read(text.text), world_bench_read_as_published(text.text)
        truth = float(item.fields["truth"])
        return {
            "text": text.text,
            "answer": read.value,
            "why_discarded": read.discarded,
            "error": float(world_bench_error(read.value, truth)),
            "answer_as_published": theirs,
            "error_as_published": float(world_bench_error(theirs, truth)),
        }


def _id(row: Row) -> str:
    return f"{row.text('type')}/{row.text('country')}"


def _unusable(row: Row) -> str:
    unknown = economy(row.text("country")).region == UNKNOWN
    return "a part of the world, not a country that the World Bank classifies" if unknown else ""


def _example(row: Row) -> tuple[str, str]:
    """Question and answer about Switzerland, which the file holds as a Python tuple."""
    try:
        found = ast.literal_eval(row.text("example"))
    except (ValueError, SyntaxError):
        found = None
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[0], str):
        raise row.error("example", "a Python tuple of a question and its answer", row.fields["example"])
    return found[0], str(found[1])


BENCHMARK = WorldBench()
