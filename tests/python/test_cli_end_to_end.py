"""The command line over the real audit: verdict, replay from the store, interruption, an unusable folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairopt.cli import app

AUDIT = ("audit", "phantom", "--compress", "magnitude:0.5")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit") / "run"
    result = CliRunner().invoke(app, [*AUDIT, "--limit", "40", "--out", str(out)])
    assert result.exit_code in {0, 1, 4}, result.output
    data = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert result.exit_code == data["exit_code"]
    assert f"magnitude:0.5  {data['decision']}" in result.output
    return out


def test_report_is_rebuilt_from_the_store_byte_for_byte(run):
    names = ("report.html", "report.md", "report.json")
    first = {name: (run / name).read_bytes() for name in names}
    for name in names:
        (run / name).unlink()
    result = CliRunner().invoke(app, ["report", str(run)])
    assert result.exit_code == 0, result.output
    assert {name: (run / name).read_bytes() for name in names} == first


def test_the_command_on_the_page_replays_the_run(run, monkeypatch):
    monkeypatch.chdir(run.parent)  # the command names the folder as it lies there
    command = json.loads((run / "report.json").read_text(encoding="utf-8"))["run"]["command"]
    program, *arguments = command.split()
    assert program == "fairopt"
    before = {path: path.stat().st_mtime_ns for path in (run / "shards").rglob("*.parquet")}
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in {0, 1, 4}, result.output
    assert before
    assert {path: path.stat().st_mtime_ns for path in (run / "shards").rglob("*.parquet")} == before, (
        "finished jobs ran again"
    )


def test_a_file_in_the_way_is_one_line(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(app, [*AUDIT, "--limit", "2", "--out", str(taken)])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert taken.read_text(encoding="utf-8") == "mine"


def test_ctrl_c_says_how_to_go_on(tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "fairopt", *AUDIT, "--out", str(out)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (out / "run.json").exists() and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate()
    assert running.returncode == 5, stderr
    assert stderr.splitlines()[-1].startswith("error: interrupted; finished jobs are kept: run the same command again")
    assert "Traceback" not in stderr
    assert stdout == ""
    assert not (out / "report.html").exists()
