"""The command line: what it hands on, what it prints, and its exit codes."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import report_samples as samples
from typer.testing import CliRunner

from fairopt.audit.result import AuditResult
from fairopt.cli import app
from fairopt.cli.errors import UNEXPECTED
from fairopt.errors import InputError, NotComparable

SHIP = samples.audit(samples.crows_only().variants[0])
INCONCLUSIVE = samples.undefined()
HOLD = samples.crows_only()


@dataclass
class FakeRun:
    result: AuditResult
    path: Path

    def report(self) -> Path:
        from fairopt.report import write

        return write(self.result, self.path).html


class FakeAudit(ModuleType):
    """Stands in for both modules that the commands call: remembers the call and returns, or raises, as told."""

    def __init__(self) -> None:
        super().__init__("fairopt.audit.run")
        self.answer: AuditResult | BaseException = SHIP
        self.called: dict[str, Any] = {}

    def audit(self, base: str, variants: list[str], **options: Any) -> FakeRun:
        self.called = {"base": base, "variants": variants, **options}
        if isinstance(self.answer, BaseException):
            raise self.answer
        return FakeRun(self.answer, Path(options["out"]))

    def open_run(self, path: Path) -> FakeRun:
        self.called = {"path": path}
        if isinstance(self.answer, BaseException):
            raise self.answer
        return FakeRun(self.answer, path)


@pytest.fixture
def fake(monkeypatch):
    module = FakeAudit()
    for name in ("audit", "run"):
        monkeypatch.setitem(sys.modules, f"fairopt.audit.{name}", module)
    monkeypatch.delenv("FAIROPT_TRACEBACK", raising=False)
    return module


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.mark.parametrize(
    ("answer", "code"),
    [(SHIP, 0), (HOLD, 1), (samples.not_comparable(), 3), (INCONCLUSIVE, 4)],
    ids=["ship", "hold", "not comparable", "inconclusive"],
)
def test_audit_prints_the_verdict_and_returns_its_code(fake, tmp_path, answer, code):
    fake.answer = answer
    result = invoke("audit", "base", "--compress", "nf4", "--out", tmp_path)
    assert result.exit_code == code
    assert "report:" in result.output
    assert f"exit code {code}:" in result.output
    if code != 3:
        for variant in answer.variants:
            assert f"{variant.name}  {variant.decision}" in result.output
    assert (tmp_path / "report.html").is_file()
    assert "\x1b" not in result.output, "colour codes in a pipe"
    assert all(line == line.rstrip() for line in result.output.splitlines())


def test_names_cannot_steer_the_terminal(fake, tmp_path):
    evil = "\x1b[31m[red]x\u202e"
    fake.answer = replace(SHIP, base=evil, variants=(replace(SHIP.variants[0], name=evil),), comparable={})
    output = invoke("report", tmp_path).output
    assert "\x1b" not in output
    assert "\u202e" not in output
    assert "⟨U+001B⟩[31m[red]x⟨U+202E⟩  SHIP" in output


def test_audit_hands_on_what_was_asked(fake, tmp_path):
    out = tmp_path / "run"
    variants = ("--compress", "nf4", "--compress", "int4:g=32", "--model", "m1")
    options = ("--data", tmp_path, "--out", out, "--policy", "limits.json", "--limit", 5, "--seed", 7)
    options += ("--base-runs", 4, "--speed", "--lease", 30, "--suite", "smoke", "--factor", "chat=on")
    invoke("audit", "base", *variants, "--benchmark", "crows_pairs", *options)
    assert fake.called == {
        "base": "base",
        "variants": ["nf4", "int4:g=32"],
        "models": ["m1"],
        "suite": "smoke",
        "factors": {"chat": ["on"]},
        "benchmarks": ["crows_pairs"],
        "data": tmp_path,
        "out": out,
        "policy": Path("limits.json"),
        "limit": 5,
        "seed": 7,
        "base_runs": 4,
        "speed": True,
        "calibration": None,
        "shared_statistics": False,
        "pairs": None,
        "lease": 30.0,
    }


@pytest.mark.parametrize(("rank", "speaks"), [("0", True), ("1", False)])
def test_one_rank_speaks_for_all(fake, tmp_path, monkeypatch, rank, speaks):
    fake.answer = HOLD
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = invoke("audit", "base", "--compress", "nf4", "--out", tmp_path)
    assert result.exit_code == 0, "any other code tells a launcher that the rank has crashed"
    assert ("exit code 1" in result.output) is speaks
    assert (tmp_path / "report.html").exists() is speaks


def test_audit_without_a_base_audits_the_phantom(fake, tmp_path):
    assert invoke("audit", "--compress", "nf4", "--out", tmp_path).exit_code == 0
    assert (fake.called["base"], fake.called["benchmarks"]) == ("phantom", ["phantom_pairs"])


def test_report_rebuilds_and_succeeds_whatever_the_verdict(fake, tmp_path):
    fake.answer = HOLD
    result = invoke("report", tmp_path)
    assert result.exit_code == 0
    assert (tmp_path / "report.json").is_file()
    assert "magnitude:0.5  HOLD" in result.output


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            InputError("recipe: word must be nf4, got 'nf5'"),
            2,
            "error: recipe: word must be nf4, got 'nf5'",
        ),
        (
            NotComparable("audit: tokenizer must be equal,\ngot a and b"),
            3,
            "error: audit: tokenizer must be equal, got a",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "run/x"), 2, "error: No space left on device: run/x"),
        (PermissionError(errno.EACCES, "Permission denied", "run"), 2, "error: Permission denied: run"),
        (KeyboardInterrupt(), 5, "error: interrupted; finished jobs are kept: run the same command again"),
        (ZeroDivisionError("by zero"), UNEXPECTED, "error: unexpected ZeroDivisionError: by zero (run again with"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_are_one_line_on_stderr(fake, tmp_path, error, code, text):
    fake.answer = error
    result = invoke("audit", "base", "--compress", "nf4", "--out", tmp_path / "run")
    assert result.exit_code == code
    assert result.stderr.startswith(text)
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()


def test_a_traceback_comes_when_asked_for(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIROPT_TRACEBACK", "1")
    fake.answer = ZeroDivisionError("by zero")
    result = invoke("audit", "base", "--compress", "nf4", "--out", tmp_path)
    assert result.exit_code == UNEXPECTED
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1] == "error: unexpected ZeroDivisionError: by zero"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["auditt"], "Did you mean 'audit'"),
        (["audit", "--benchmrk", "x"], "--benchmark"),
        (["audit", "--compress", "nf4"], "--out"),
        (["audit", "--out", "run"], "--compress RECIPE or --model DIR"),
        (["audit", "--compress", "nf4", "--out", "run", "--limit", "0"], "--limit"),
        (["list", "recipies"], "recipes"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_code_2_with_a_hint(fake, arguments, hint):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert hint in " ".join(result.stderr.split())


def test_compress_rejects_a_recipe_before_it_loads_anything():
    result = invoke("compress", "no/such/model", "--recipe", "nf5", "--out", "nowhere")
    assert result.exit_code == 2
    assert "nf4" in result.stderr
    assert not Path("nowhere").exists()


def test_list_recipes_explains_every_word():
    from fairopt.cli.listing import RECIPES
    from fairopt.compress.recipe_text import WORDS, parse

    assert set(RECIPES) == set(WORDS)
    for word, (examples, _) in RECIPES.items():
        for example in examples.split(", "):
            assert word in re.split("[:+]", str(parse(example)))
    output = invoke("list", "recipes").output
    assert all(word in output for word in WORDS)


def test_list_benchmarks_and_metrics():
    from fairopt.benchmarks import NAMES, get

    benchmarks, metrics = invoke("list", "benchmarks").output, invoke("list", "metrics").output
    for name in NAMES:
        assert name in benchmarks
        assert all(metric.id in metrics for metric in get(name).metrics)


def test_list_formats():
    from fairopt.cli.listing import FORMATS
    from fairopt.formats import FORMATS as NAMES

    assert set(FORMATS) == set(NAMES)
    assert invoke("list", "formats").exit_code == 0


def test_list_scorers():
    from fairopt.scorers import KINDS, get

    output = invoke("list", "scorers").output
    assert all(name in output for name in KINDS)
    for name in ("vader", "words:profanity", "words:gender"):
        assert get(name).name == name
        assert name in KINDS


def test_doctor_names_what_is_there_and_what_is_missing(tmp_path):
    result = invoke("doctor", "--data", tmp_path)
    lines = {line.split("  ")[0]: line for line in result.output.splitlines()}
    named = {"fairopt", "python", "torch", "instruction sets", "torch operators", "threads", "CUDA", "data"}
    assert named <= set(lines)
    assert "(!)" not in result.output
    assert result.exit_code == 0
    assert "in use" in lines["instruction sets"]
    assert "missing" in lines["crows_pairs"]
    assert "fairopt data fetch crows_pairs" in lines["crows_pairs"]
    (tmp_path / "bbq" / "data").mkdir(parents=True)
    (tmp_path / "bbq" / "data" / "SES.jsonl").touch()
    again = {line.split("  ")[0]: line for line in invoke("doctor", "--data", tmp_path).output.splitlines()}
    assert again["bbq"].split()[1:] == ["found", "bbq/data/SES.jsonl"]


def test_import_and_help_load_nothing_heavy():
    script = """
import sys
import fairopt
from typer.testing import CliRunner
from fairopt.cli import app
result = CliRunner().invoke(app, ["--help"])
assert result.exit_code == 0 and "doctor" in result.output, result.output
heavy = {"torch", "transformers", "pyarrow", "pandas", "scipy", "numpy", "jinja2", "fairopt._core"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_stream_without_utf8_gets_escapes(tmp_path):
    script = """
import report_samples as samples, sys, types
from pathlib import Path
fake = types.ModuleType("fairopt.audit.run")
run = types.SimpleNamespace(result=samples.crows_only(), report=lambda: "report.html")
fake.open_run = lambda path: run
sys.modules["fairopt.audit.run"] = fake
from fairopt.cli import main
main()
"""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", script, "report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\\xd7" in done.stdout, "the multiplication sign"


def test_python_m_fairopt_is_fairopt():
    done = subprocess.run([sys.executable, "-m", "fairopt", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("fairopt 0.")


def test_a_warning_is_one_line(monkeypatch, capsys):
    module = sys.modules["fairopt.cli.app"]
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main exchanges it
    monkeypatch.setattr(module, "app", lambda prog_name: warnings.warn("of two\nlines", stacklevel=2))
    module.main()
    assert capsys.readouterr().err == "warning: of two lines\n"
