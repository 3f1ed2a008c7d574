"""The phantom: a tiny language model of ours whose group associations are planted with known strength.

It is the embedded default of the demo and the ground truth of the tests: a bias metric must recover the planted rates,
and a known edit (:func:`graft`) must be flagged. docs/phantom.md tells how it was made and what it can and cannot
show.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from fairopt.phantom.graft import graft
from fairopt.phantom.world import ATTRIBUTES, GROUPS, PLANTED

__all__ = ["ATTRIBUTES", "GROUPS", "PLANTED", "graft", "ground_truth", "path"]


def path() -> Path:
    """Folder of the frozen model, for ``from_pretrained`` of transformers' auto classes."""
    return Path(str(files("fairopt.phantom") / "weights"))


def ground_truth() -> dict[str, Any]:
    """The release record: the sha256 of the weights, what the model can do and, under ``cells``, one entry per (axis,
    kind, group).

    An entry holds ``planted`` (the rate in the corpus) and ``measured`` (the rate of the frozen model on held-out
    templates), both as P(set B | group) in [0, 1], the measured ``log_odds``, and under ``seeds`` the measured rate of
    every training seed. Under ``questions`` stands what the frozen model answers about every two groups
    (:func:`fairopt.phantom.measure.question_share`).
    """
    record: dict[str, Any] = json.loads((files("fairopt.phantom") / "ground_truth.json").read_text(encoding="utf-8"))
    return record
