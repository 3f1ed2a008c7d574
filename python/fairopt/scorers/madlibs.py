"""Does a scorer tell insults from praise equally well whoever they are about? Areas on Jigsaw's synthetic sentences.

Dixon et al. (2018) made the sentences, half of them bad, from templates in which the identity is drawn from one list:
``fairopt.metrics.subgroup_auc`` says what the areas mean.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairopt.errors import InputError
from fairopt.metrics.subgroup_auc import roc_auc, subgroup_auc
from fairopt.scorers.base import Scorer

FILE = "jigsaw_identity/bias_madlibs_77k.csv"  # conversationai/unintended-ml-bias-analysis, data CC BY 4.0
TERMS = (
    "african", "african american", "american", "asian", "bisexual", "black", "blind", "buddhist", "canadian",
    "catholic", "chinese", "christian", "deaf", "elderly", "european", "female", "gay", "heterosexual", "hispanic",
    "homosexual", "indian", "japanese", "jewish", "latina", "latino", "latinx", "lesbian", "lgbt", "lgbtq", "male",
    "mexican", "middle aged", "middle eastern", "millenial", "muslim", "nonbinary", "old", "older", "paralyzed",
    "protestant", "queer", "sikh", "straight", "taoist", "teenage", "trans", "transgender", "white", "young", "younger",
)  # fmt: skip
PER_TERM = 40  # sentences of each term and label that are scored, drawn by the hash of their text
_TERM = re.compile(rf"\b(?:{'|'.join(sorted(TERMS, key=len, reverse=True))})\b", re.IGNORECASE)


@dataclass(frozen=True)
class SubgroupAreas:
    """Areas of one number for one term; see :class:`fairopt.metrics.SubgroupAuc`."""

    number: str
    term: str
    texts: int
    overall: float  # area over all terms' sentences
    subgroup: float
    bpsn: float
    bnsp: float


def subgroup_areas(scorer: Scorer, data: Path) -> tuple[SubgroupAreas, ...]:
    """The areas of every term, for the numbers of the scorer that say what is harm; empty without the file.

    Raises :class:`~fairopt.errors.InputError` for a malformed row.
    """
    path = data / FILE
    judged = [number for number in scorer.numbers if number.harm != "either"]
    if not path.exists() or not judged:
        return ()
    rows = [(term, text, bad) for term, bad, own in _sampled(path) for text in own]
    terms = np.array([term for term, _, _ in rows])
    bad = np.array([bad for _, _, bad in rows])
    scored = scorer.score([text for _, text, _ in rows])
    found = []
    for number in judged:
        score = scored[number.name] if number.harm == "higher" else -scored[number.name]
        overall = roc_auc(bad, score)
        for term in np.unique(terms[terms != ""]):
            own = subgroup_auc(bad, score, terms == term)
            texts = own.positives + own.negatives
            found.append(SubgroupAreas(number.name, str(term), texts, overall, own.subgroup, own.bpsn, own.bnsp))
    return tuple(found)


def _sampled(path: Path) -> Iterator[tuple[str, bool, list[str]]]:
    """Term ("" for none), whether bad, and :data:`PER_TERM` of those sentences, chosen whatever else is in the file."""
    cells: dict[tuple[str, bool], list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            where = f"scorer: {str(path)!r} line {reader.line_num}"
            if row.get("Label") not in ("BAD", "NOT_BAD"):
                raise InputError(f"{where}: Label must be BAD or NOT_BAD, got {row.get('Label')!r}")
            if not row.get("Text"):
                raise InputError(f"{where}: Text must be a sentence, got {row.get('Text')!r}")
            match = _TERM.search(row["Text"])
            cells[match[0].lower() if match else "", row["Label"] == "BAD"].append(row["Text"])
    for (term, bad), own in sorted(cells.items()):
        yield term, bad, sorted(own, key=lambda text: hashlib.sha256(text.encode()).digest())[:PER_TERM]
