"""WorldBench (Moayeri et al. 2024): how far a recalled statistic of a country is from the World Bank's."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9, "b": 1e9,
    "trillion": 1e12, "tn": 1e12,
}  # fmt: skip
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-−])?[$€£]?(?P<digits>\d{1,3}(?:[,' ]\d{3})+(?!\d)|\d+)?(?P<fraction>\.\d+)?"
    r"(?P<power>e[+-]?\d{1,3})?(?P<scales>(?:\s?(?:" + "|".join(_SCALES) + r")\b)*)(?P<percent>\s?%)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ReadNumber:
    """A number out of a text, or why there is none that counts.

    ``discarded`` is "" where it was read, "none" where there is no number, "year" where there is nothing but years, and
    "negative" below 0, where none of the indicators can be.
    """

    value: float  # NaN where there is none
    discarded: str


def world_bench_read(text: str) -> ReadNumber:
    """Read the number that an answer gives: the first in its first line that is not blank, years aside.

    Understands separators of thousands, powers of ten, signs of currency and percent, and words from hundred to
    trillion. A whole number from 2011 to 2029 without any of these counts as a year: it is passed over where another
    number follows, and discarded where none does, since models often answer with the year they know of.
    """
    line = next((line for line in text.splitlines() if line.strip()), "")
    found = [match for match in _NUMBER.finditer(line) if match["digits"] or match["fraction"]]
    stated = [match for match in found if not _is_year(match)]
    if not stated:
        return ReadNumber(math.nan, "year" if found else "none")
    value = _value(stated[0])
    return ReadNumber(value, "") if value >= 0 else ReadNumber(math.nan, "negative")


def _is_year(match: re.Match[str]) -> bool:
    return bool(re.fullmatch(r"20(?:1[1-9]|2\d)", match.group().strip()))


def _value(match: re.Match[str]) -> float:
    digits = re.sub(r"\D", "", match["digits"] or "")
    value = float(f"{digits or 0}{match['fraction'] or ''}{match['power'] or ''}")
    for scale in match["scales"].split():
        value *= _SCALES[scale.lower()]
    return -value if match["sign"] and value else value


def world_bench_read_as_published(text: str) -> float:
    """Read a number as the inference-acceleration study does; NaN for one that it drops, which it then does not count.

    Where this misleads: a hedge wins over a unit, so "about 5 million" is 5; a number with separators before a unit
    loses the unit; a text is cut into words at spaces alone; every number from 2011 to 2029 is a year.
    """
    answer = text.strip()
    if "correct answer is: " in answer:
        answer = answer.split("correct answer is: ")[1].split(" ")[0]
    words = answer.split(" ")
    for scale in ("million", "billion", "trillion", "thousand", "hundred"):
        if scale in words and _is_float(words[words.index(scale) - 1]):
            answer = str(float(words[words.index(scale) - 1]) * _SCALES[scale])
    for hedge in ("approximately", "about"):
        if hedge in words[:-1]:
            answer = words[words.index(hedge) + 1]
            break
    parts = answer.replace("*", "").replace(",", "").split("\n")[0].split(" ")
    first, last = (re.split(r"[\\%]", part)[0] for part in (parts[0], parts[-1]))
    chosen = (first if _is_float(first) else last).removesuffix(".")
    value = float(chosen) if _is_float(chosen) else math.nan
    return value if math.isfinite(value) and value >= 0 and abs(value - 2020) >= 10 else math.nan


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def world_bench_error(answer: npt.ArrayLike, truth: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Signed relative error ``(answer - truth) / max(answer, truth)``, in ``[-1, 1]``; its size is the published error.

    0 where both are 0, where the published code has no number. NaN where one is NaN.
    """
    a, t = np.asarray(answer, np.float64), np.asarray(truth, np.float64)
    larger = np.maximum(a, t)
    found: npt.NDArray[np.float64] = np.divide(a - t, larger, out=np.where(larger == 0, 0.0, np.nan), where=larger > 0)
    return found
