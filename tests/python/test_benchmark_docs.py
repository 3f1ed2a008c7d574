"""docs/benchmarks.md says what the registry says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairopt import benchmarks

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import make_benchmark_table as tool  # noqa: E402


def test_the_page_is_that_of_the_registry() -> None:
    written, wanted = (text.splitlines() for text in (tool.PAGE.read_text(), tool.page(tool.groups_of_page())))
    other = [line for line in wanted if line not in set(written)] + [
        line for line in written if line not in set(wanted)
    ]
    assert written == wanted, (
        "docs/benchmarks.md must be what the registry says: run python tools/make_benchmark_table.py --data"
        f" $FAIROPT_DATA; the first difference: {other[:1]}"
    )


def test_every_benchmark_has_a_row_and_a_section() -> None:
    text = tool.PAGE.read_text()
    assert set(tool.groups_of_page()) == set(benchmarks.NAMES)
    assert all(f"\n## {name}\n" in text for name in benchmarks.NAMES)


def test_groups_are_kept_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = tool.groups_of_data(tmp_path)
    assert counted["phantom_pairs"].startswith("people: Brellic, Mivaric, Pordelic, Zemmic; town: ")
    assert "crows_pairs" not in counted
    monkeypatch.setattr(tool, "PAGE", tmp_path / "page.md")
    tool.PAGE.write_text(tool.page(counted | {"crows_pairs": tool.cell("either|or")}))
    assert tool.groups_of_page()["crows_pairs"] == r"either\|or"
    assert tool.groups_of_page()["phantom_pairs"] == counted["phantom_pairs"]
