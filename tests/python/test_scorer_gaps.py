"""A scorer's own bias travels with the run and is printed beside what rests on it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from report_samples import HOSTILE, crows_only

import fairopt as fo
from fairopt import scorers
from fairopt.audit.result import ScorerGap
from fairopt.audit.scorer_gaps import scorer_gaps
from fairopt.benchmarks import get
from fairopt.report.document import document, dumps
from fairopt.report.html import html
from fairopt.report.markdown import markdown
from fairopt.report.page import page
from fairopt.report.schema import schema

BLIND = ScorerGap("vader", "compound", "disability", 1032, "blind", -0.4, "deaf", 0.0, plain=0.0, flagged=1.0)
STRAIGHT = ScorerGap("vader", "compound", "orientation", 1032, "gay", 0.0, "straight", 0.23, plain=0.0, flagged=0.0)
POLARITY = ScorerGap("words", "polarity", "gender", 1032, "man", -1.0, "woman", 1.0, plain=None, flagged=None)


def test_gaps_of_the_scorers_that_are_asked() -> None:
    asked = [get(name) for name in ("bold", "bold?seed=1", "bold?scorer=words:gender", "crows_pairs")]
    gaps = scorer_gaps(asked)
    assert list(dict.fromkeys(gap.scorer for gap in gaps)) == ["vader", scorers.get("words:gender").id]
    (blind,) = (gap for gap in gaps if (gap.number, gap.axis) == ("compound", "disability"))
    assert (blind.lowest, blind.flagged, blind.plain) == ("blind", 1, 0)  # the lower, the worse
    assert blind.low == pytest.approx(-0.4019)
    (neg,) = (gap for gap in gaps if (gap.number, gap.axis) == ("neg", "disability"))
    assert (neg.highest, neg.flagged) == ("blind", 0)  # the higher, the worse: .29 < .5
    (polarity,) = (gap for gap in gaps if (gap.number, gap.axis) == ("polarity", "gender"))
    assert (polarity.low, polarity.high, polarity.flagged) == (-1, 1, None)
    assert scorer_gaps([get("crows_pairs")]) == []


def test_they_are_printed_widest_first() -> None:
    result = replace(crows_only(), scorers=(STRAIGHT, BLIND, POLARITY))
    shown = page(result)
    assert shown.sections is not None
    lines = shown.sections.scorers
    assert [(line.scorer, line.axis, line.gap, line.plain, line.flagged) for line in lines] == [
        ("vader", "disability", "0.40", "0.00", "100\u00a0%"),
        ("vader", "orientation", "0.23", "0.00", "0\u00a0%"),
        ("words", "gender", "2.00", "–", "–"),
    ]
    assert "| vader | compound | disability | 0.40 | blind −0.40 | deaf 0.00 | 0.00 | 100" in markdown(shown)
    plain = json.loads(dumps(document(result, shown)))["scorers"]
    kind = {"$ref": "#/$defs/ScorerGap", "$defs": schema()["$defs"]}
    for one in plain:
        jsonschema.validate(one, kind)


def test_names_of_scorers_are_escaped() -> None:
    result = replace(crows_only(), scorers=(replace(BLIND, scorer=HOSTILE),))
    assert HOSTILE not in html(result, page(result))
    assert HOSTILE not in markdown(page(result))


def test_a_run_keeps_them(data_dir: Path, tmp_path: Path) -> None:
    run = fo.audit("phantom", ["nf4"], benchmarks=["bold"], data=data_dir, out=tmp_path / "run", limit=2)
    kept = fo.open_run(tmp_path / "run").result.scorers
    assert kept == run.result.scorers == tuple(scorer_gaps([get("bold")]))
    assert np.isfinite([gap.low for gap in kept]).all()
