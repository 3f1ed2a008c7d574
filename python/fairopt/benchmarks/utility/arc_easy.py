"""ARC-Easy; see :mod:`fairopt.benchmarks.utility.arc`."""

from __future__ import annotations

from fairopt.benchmarks.utility.arc import Arc, arc_source


class ArcEasy(Arc):
    """The easy set: 2,376 test questions."""

    name = "arc_easy"
    title = "ARC-Easy"
    n_items = 2376
    n_requests = 9501
    source = arc_source(
        "ARC-Easy",
        {
            "arc/ARC-Easy/test-00000-of-00001.parquet": (
                "4160597d618ae851c7eb04e281574f3f654776216ac6b6641588d64527b47177"
            ),
            "arc/ARC-Easy-Test.jsonl": None,
            "arc/ARC-Easy_test.csv": None,
        },
    )


BENCHMARK = ArcEasy()
