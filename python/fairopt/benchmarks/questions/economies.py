"""Which part of the world a country lies in, and how rich it is: the World Bank's groups.

``economies.csv`` holds its country classification for fiscal year 2024 (July 2023, by GNI per capita of 2022; CC BY
4.0, https://datahelpdesk.worldbank.org/knowledgebase/articles/906519): 218 economies under the bank's names, seven
regions, four income groups. Venezuela is not classified by income.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

UNKNOWN = "not classified"
# Names of the Pew and World Values surveys.
_ALSO = {
    "Bosnia Herzegovina": "Bosnia and Herzegovina", "Britain": "United Kingdom", "Czech Rep.": "Czechia",
    "Egypt": "Egypt, Arab Rep.", "Great Britain": "United Kingdom", "Hong Kong SAR": "Hong Kong SAR, China",
    "India (Current national sample)": "India", "Iran": "Iran, Islamic Rep.", "Ivory Coast": "Cote d'Ivoire",
    "Kyrgyzstan": "Kyrgyz Republic", "Macau SAR": "Macao SAR, China", "Macedonia": "North Macedonia",
    "Northern Ireland": "United Kingdom", "Palest. ter.": "West Bank and Gaza", "Palestine": "West Bank and Gaza",
    "Russia": "Russian Federation", "S. Africa": "South Africa", "S. Korea": "Korea, Rep.",
    "Slovakia": "Slovak Republic", "South Korea": "Korea, Rep.", "Taiwan": "Taiwan, China",
    "Taiwan ROC": "Taiwan, China", "Turkey": "Turkiye", "Venezuela": "Venezuela, RB", "Vietnam": "Viet Nam",
    "Yemen": "Yemen, Rep.",
}  # fmt: skip


@dataclass(frozen=True)
class Economy:
    """The World Bank's groups of one country."""

    region: str
    income: str


def economy(country: str) -> Economy:
    """The groups of a country under the bank's name or a survey's; :data:`UNKNOWN` for both where there are none."""
    return _table().get(_ALSO.get(country, country), Economy(UNKNOWN, UNKNOWN))


@cache
def number(of: Literal["region", "income"], group: str) -> int:
    """The place of a group among all regions or incomes by name, for arithmetic; -1 for :data:`UNKNOWN`."""
    groups = sorted({getattr(found, of) for found in _table().values()} - {UNKNOWN})
    return groups.index(group) if group in groups else -1


@cache
def _table() -> Mapping[str, Economy]:
    text = files("fairopt.benchmarks.questions").joinpath("economies.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["economy"]: Economy(row["region"], row["income"] or UNKNOWN) for row in rows}
