"""Every rate of a frame, worked by hand on one table, in two groups and their difference."""

from __future__ import annotations

import pytest

from fairopt.metrics import frame
from fairopt.metrics.rates import RATES

# (group, truth, prediction, how often)
ROWS = [("a", 1, 1, 2), ("a", 1, 0, 1), ("a", 0, 0, 3), ("b", 1, 1, 1), ("b", 0, 1, 2), ("b", 0, 0, 1)]


def test_every_rate() -> None:
    """3 of 4 positives are found, 2 of 6 negatives are taken for one."""
    group, true, predicted = zip(*(row[:3] for row in ROWS for _ in range(row[3])), strict=True)
    found = frame(metrics=list(RATES), y_true=true, y_pred=predicted, sensitive_features=group)
    positive, negative = 2 * 3 / (2 * 3 + 1 + 2), 2 * 4 / (2 * 4 + 1 + 2)  # F1 of either class
    expected = {
        "accuracy": 7 / 10,
        "balanced_accuracy": (3 / 4 + 4 / 6) / 2,
        "precision": 3 / 5,
        "recall": 3 / 4,
        "true_positive_rate": 3 / 4,
        "false_positive_rate": 2 / 6,
        "true_negative_rate": 4 / 6,
        "false_negative_rate": 1 / 4,
        "selection_rate": 5 / 10,
        "f1": positive,
        "f1/macro": (positive + negative) / 2,
        "f1/micro": 7 / 10,
        "f1/weighted": (4 * positive + 6 * negative) / 10,
    }
    assert {name: found.overall[name] for name in RATES} == pytest.approx(expected)
    assert found.by_group["recall"] == pytest.approx({"a": 2 / 3, "b": 1})
    assert found.by_group["false_positive_rate"] == pytest.approx({"a": 0, "b": 2 / 3})
    assert found.difference()["accuracy"] == pytest.approx(5 / 6 - 2 / 4)
