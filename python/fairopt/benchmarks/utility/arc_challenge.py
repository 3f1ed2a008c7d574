"""ARC-Challenge; see :mod:`fairopt.benchmarks.utility.arc`."""

from __future__ import annotations

from fairopt.benchmarks.utility.arc import Arc, arc_source


class ArcChallenge(Arc):
    """The challenge set: 1,172 test questions."""

    name = "arc_challenge"
    title = "ARC-Challenge"
    n_items = 1172
    n_requests = 4687
    margin = 0.03  # of 1,172 questions of which a tenth flips a change of .03 can be shown, one of .02 cannot
    source = arc_source(
        "ARC-Challenge",
        {
            "arc/ARC-Challenge/test-00000-of-00001.parquet": (
                "62f03257e737aed263f55c6abf87c7bb0028a44a6bdd2a26eb1279eb42c1d1e9"
            ),
            "arc/ARC-Challenge-Test.jsonl": None,
            "arc/ARC-Challenge_test.csv": None,
        },
    )


BENCHMARK = ArcChallenge()
