"""The report as files for other programs: CSV that a spreadsheet does not run, LaTeX that a text cannot break."""

from __future__ import annotations

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import report_samples as samples
import report_samples_full

from fairopt.report import write
from fairopt.report.latex import escape, latex
from fairopt.report.markdown import LONGEST, markdown
from fairopt.report.page import page
from fairopt.report.tables import csv as csv_lines
from fairopt.report.tables import write_csv
from fairopt.report.terminal import print_verdict
from fairopt.report.whole import replace_whole

LONG_TEXT = "one line " * 120_000


def parsed(text: str) -> list[list[str]]:
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("+49 1", "'+49 1"),
        ("-2", "'-2"),
        ("  =1", "'  =1"),
        ('a "quoted", text', 'a "quoted", text'),
        ("two\nlines\r\tand\u202ebidi", "two⏎lines⟨U+000D⟩⇥and⟨U+202E⟩bidi"),
        (-2.5, "-2.5"),
        (float("nan"), ""),
        (7, "7"),
        (True, "true"),
    ],
)
def test_cells(cell, read):
    assert parsed("".join(csv_lines([[cell, "x"]]))) == [[read, "x"]]


def test_flips_csv_has_every_flip_with_its_texts(tmp_path):
    result = samples.hostile()
    rows = parsed(write(result, tmp_path).flips.read_bytes().decode("utf-8"))
    head, *body = rows
    assert head[:8] == ["variant", "benchmark", "metric", "item", "group", "direction", "margin_base", "margin_variant"]
    assert head[8:] == ["text_1", "text_2"]
    assert len(body) == sum(len(v.flips) for v in result.variants)
    assert {len(row) for row in rows} == {10}
    sizes = [abs(float(row[7]) - float(row[6])) for row in body]
    assert sizes == sorted(sizes, reverse=True)
    assert any("'=HYPERLINK" in cell for row in body for cell in row)


def test_an_interrupted_csv_leaves_the_old_file(tmp_path):
    path = write_csv(tmp_path / "new" / "a.csv", [["head"], [1]])
    old = path.read_bytes()

    def breaks():
        yield ["head"]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_csv(path, breaks())
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == ["a.csv"]


def test_latex_escapes_whatever_a_name_contains():
    assert escape(r"50 % of $x_1 & \input{evil} #~^ <b>|") == (
        r"50 \% of \$x\_1 \& \textbackslash{}input\{evil\} \#\textasciitilde{}\textasciicircum{} "
        r"\textless{}b\textgreater{}\textbar{}"
    )
    assert escape("−3.1 → ±5\u00a0pp") == r"$-$3.1 $\rightarrow$ $\pm$5~pp"


@pytest.mark.parametrize("make", [report_samples_full.full, samples.hostile, samples.many, samples.not_comparable])
def test_latex_is_balanced_and_its_rows_are_full(make):
    text = latex(page(make()))
    commands = set(re.findall(r"\\([a-zA-Z]+)", text))
    assert commands <= {
        *("usepackage", "begin", "end", "toprule", "midrule", "bottomrule", "endhead", "addlinespace", "caption"),
        *("label", "textbf", "textbackslash", "textless", "textgreater", "textbar", "textquotedbl", "textasciitilde"),
        *(
            "textasciicircum",
            "rightarrow",
            "hookleftarrow",
            "mapsto",
            "cdot",
            "pm",
            "times",
            "langle",
            "rangle",
            "ldots",
        ),
        *("blacktriangle", "triangledown", "triangle", "blacktriangleright", "blacktriangleleft"),
    }
    bare = re.sub(r"\\[{}$&%#_\\]", "", text)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    for table in re.findall(r"\\begin\{longtable\}\{(\w+)\}(.*?)\\bottomrule", text, re.DOTALL):
        columns, body = table
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}


def test_latex_says_what_the_page_says():
    laid_out = page(report_samples_full.full())
    text = latex(laid_out)
    assert laid_out.sections
    for card in laid_out.cards:
        assert escape(card.name) in text
        assert card.decision in text
    for forest in laid_out.sections.forests:
        for group in (g for panel in forest.panels for g in panel.groups):
            assert all(escape(f"{row.change} {row.interval}") in text for row in group.rows)


def test_markdown_fits_a_comment_and_says_what_it_leaves_out():
    metrics = [replace(samples.crows(0), id=f"crows/reading-{k}", title=f"Reading {k}") for k in range(40)]
    result = samples.audit(*(samples.variant(k, *metrics) for k in range(3)))
    text = markdown(page(result))
    assert len(text) <= LONGEST
    assert "more groups, farther from their limits, are in report.html" in text


def test_a_text_of_a_megabyte_is_cut_on_the_page_and_whole_beside_it(tmp_path):
    result = samples.crows_only()
    first = result.variants[0]
    long = replace(first.flips[0], texts=(LONG_TEXT, LONG_TEXT.upper()), base=-900.0, variant=900.0)
    paths = write(replace(result, variants=(replace(first, flips=(long, *first.flips[1:])),)), tmp_path)
    html = paths.html.read_text(encoding="utf-8")
    assert len(html) < 400_000
    assert "more characters" in html
    assert LONG_TEXT.strip() in paths.flips.read_text(encoding="utf-8")
    assert len(paths.markdown.read_text(encoding="utf-8")) < LONGEST


def test_terminal_shows_hostile_names_as_text():
    out = io.StringIO()
    print_verdict(page(samples.hostile()), out)
    text = out.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "⟨U+202E⟩" in text


def test_workers_that_end_together_each_write_the_file(tmp_path: Path) -> None:
    path, texts = tmp_path / "report.md", [letter * 200_000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            list(pool.map(lambda text: replace_whole(path, text), texts))  # raises what a worker raised
            assert path.read_text() in texts
    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]
