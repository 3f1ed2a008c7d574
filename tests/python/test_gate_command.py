"""``fairopt gate`` and ``fairopt compare`` on a run's folder; what they write for continuous integration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import letters_benchmark
import pytest
import report_samples as samples
import yaml
from hypothesis import given
from hypothesis import strategies as st
from random_models import llama, save, tokenizer
from typer.testing import CliRunner

from fairopt.audit.audit import audit
from fairopt.audit.result import AuditResult
from fairopt.audit.run import Run, open_run
from fairopt.cli import app
from fairopt.cli.gate import AFTERWARDS
from fairopt.models.loading import identified, load_model
from fairopt.report.junit import junit
from fairopt.report.page import page
from fairopt.report.pull_request import pull_request


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    letters_benchmark.register()
    folder = tmp_path_factory.mktemp("letters")
    base = load_model(save(llama(), folder / "model"))
    louder = llama()
    louder.model.layers[0].mlp.up_proj.weight.data *= 1.2
    variants = [identified(llama(), tokenizer(), "copy"), identified(louder, tokenizer(), "louder")]
    return audit(base, variants, benchmarks=["letters"], out=folder / "run", limit=330)


def invoke(*words: Any) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def policy(tmp_path: Path, margin: float) -> Path:
    rules = [{"rule": "equivalence", "margin": margin}, {"rule": "worst_group", "margin": margin}]
    (tmp_path / "limits.yaml").write_text(yaml.safe_dump({"rules": rules}))
    return tmp_path / "limits.yaml"


def test_gate_says_what_the_audit_said_and_leaves_the_folder_alone(run: Run, tmp_path: Path) -> None:
    before = files(run.path)
    found = invoke("gate", run.path, "--junit", tmp_path / "gates.xml", "--summary", tmp_path / "summary.md")
    assert found.exit_code == page(run.result).exit_code
    assert AFTERWARDS not in found.output
    assert files(run.path) == before
    suites = ElementTree.parse(tmp_path / "gates.xml").getroot()
    assert [s.get("name") for s in suites] == ["copy", "louder"]
    assert run.result.policy_hash[:12] in (tmp_path / "summary.md").read_text()


def test_files_for_ci_may_name_a_folder_that_is_not_there_yet(run: Run, tmp_path: Path) -> None:
    found = invoke("gate", run.path, "--junit", tmp_path / "a/b/gates.xml", "--summary", tmp_path / "c/summary.md")
    assert found.exit_code == page(run.result).exit_code
    assert (tmp_path / "a/b/gates.xml").is_file()
    blocked = tmp_path / "c/summary.md/gates.xml"
    found = invoke("gate", run.path, "--junit", blocked)
    assert found.exit_code == 2
    assert found.stderr.endswith(f": {blocked.parent}\n")


def test_another_policy_explains_and_does_not_decide(run: Run, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    wide = invoke("gate", run.path, "--policy", policy(tmp_path, 0.9), "--summary", summary)
    assert wide.exit_code == 0, wide.output
    assert AFTERWARDS in wide.output
    assert AFTERWARDS.partition(":")[0] in summary.read_text()
    assert invoke("gate", run.path, "--policy", policy(tmp_path, 1e-9)).exit_code in (1, 4)
    assert open_run(run.path).descriptor == run.descriptor


def test_bad_policies_stop_before_anything_is_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("rules: [{rule: declared, metric: bbq/*}]")
    found = invoke("gate", run.path, "--policy", tmp_path / "p.yaml", "--junit", tmp_path / "gates.xml")
    assert found.exit_code == 2
    assert "must limit something in this audit" in found.output
    assert not (tmp_path / "gates.xml").exists()
    assert invoke("gate", tmp_path).exit_code == 2


def test_compare_prints_groups_gates_and_reanalyses(run: Run) -> None:
    found = invoke("compare", run.path, "louder")
    assert found.exit_code == 0, found.output
    for words in ("louder", "north", "letters/prefers:", "gap_growth", "re-analyses"):
        assert words in found.output
    assert invoke("compare", run.path, "nf4").exit_code == 2


def suites_of(result: AuditResult) -> ElementTree.Element:
    return ElementTree.fromstring(junit(result))


@pytest.mark.parametrize(
    "result", [samples.audit(), samples.audit(samples.crows_only().variants[0])], ids=["all", "one"]
)
def test_junit_has_one_case_a_gate_and_its_counts_add_up(result: AuditResult) -> None:
    root = suites_of(result)
    assert root.tag == "testsuites"
    assert len(root) == len(result.variants)
    for suite, variant in zip(root, result.variants, strict=True):
        cases = suite.findall("testcase")
        assert [case.get("name") for case in cases] == [gate.id for gate in variant.gates]
        assert suite.get("tests") == str(len(variant.gates))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
        for case, gate in zip(cases, variant.gates, strict=True):
            verdict = {child.tag for child in case} - {"system-out"}
            assert verdict == {"pass": set(), "fail": {"failure"}}.get(gate.state, {"skipped"})
            # The order and the attributes that the JUnit schema of Ant, which most readers follow, prescribes.
            assert [child.tag for child in case][-1] == "system-out"
            assert set(case.keys()) == {"classname", "name"}
    for count in ("tests", "failures", "skipped", "errors"):
        assert root.get(count) == str(sum(int(suite.get(count)) for suite in root))


texts = st.text(st.characters(codec=None), max_size=30)


@given(texts, texts, texts)
def test_hostile_names_stay_text(name: str, group: str, reason: str) -> None:
    plain = samples.audit(samples.crows_only().variants[0])
    variant = plain.variants[0]
    gate = replace(variant.gates[0], id=group, reason=reason, state="undecided")
    hostile = replace(plain, variants=(replace(variant, name=name, gates=(gate,), conditions=(group,)),))
    root = suites_of(hostile)
    assert [len(suite.findall("testcase")) for suite in root] == [1]
    assert root[0].find("testcase")[0].tag == "skipped"
    junit(hostile).encode()
    told = pull_request(hostile, page(hostile))
    told.encode()
    rows = [line for line in told.splitlines() if line.startswith("| ") and "verdict" not in line]
    assert len(rows) == 1
    assert "<script" not in pull_request(replace(hostile, base="<script>"), page(replace(hostile, base="<script>")))
