"""A run folder is never half-written: kill it anywhere, run again, and every byte is that of an unbroken run."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import letters_benchmark
import pytest
from random_models import llama, save

from fairopt.audit.audit import audit
from fairopt.audit.policy import Policy
from fairopt.audit.rule import Rule
from fairopt.audit.run import open_run
from fairopt.errors import ExitCode, InputError, NotComparable

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Base and variant: folders, so that another process can load them."""
    letters_benchmark.register()
    folder = tmp_path_factory.mktemp("models")
    variant = llama()
    variant.model.layers[0].mlp.up_proj.weight.data *= 1.01
    return str(save(llama(), folder / "base")), str(save(variant, folder / "variant"))


def run(pair: tuple[str, str], out: Path, **changes: Any) -> Any:
    return audit(pair[0], **{"models": [pair[1]], "benchmarks": ["letters"], "out": out, **changes})


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def original(pair: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an audit that ran in one go."""
    out = tmp_path_factory.mktemp("original") / "run"
    run(pair, out)
    return out


@pytest.fixture(scope="module")
def unbroken(original: Path) -> dict[str, bytes]:
    return files(original)


@pytest.fixture
def finished(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "run"))


def test_files_of_a_run(unbroken: dict[str, bytes]) -> None:
    shards = [name for name in unbroken if name.startswith("shards/")]
    assert len(shards) == 12  # base three times and the variant; 600 items in blocks of 256
    assert len(unbroken) == len(shards) + 6
    assert {"run.json", "left_out.parquet", "items/letters.parquet"} <= set(unbroken)
    assert sorted(name.split("/")[0] for name in unbroken if "/" in name and name not in shards) == [
        "items",
        "models",
        "models",
        "shift",
    ]


def killed(pair: tuple[str, str], out: Path, rename: int) -> None:
    """Audit in another process that gets SIGKILL instead of its nth rename: the file is complete, not in its place."""
    script = f"""
        import os, signal
        import letters_benchmark
        from fairopt.audit.audit import audit

        letters_benchmark.register()
        renames, replace = 0, os.replace

        def last(source, target):
            global renames
            renames += 1
            if renames == {rename}:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = last
        audit({pair[0]!r}, models=[{pair[1]!r}], benchmarks=["letters"], out={str(out)!r})
    """
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": path},
        timeout=300,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def test_killed_twice_and_resumed(pair: tuple[str, str], unbroken: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "run"
    killed(pair, out, rename=8)  # two probes, run.json, left_out, items, facts, one shard; the second shard is lost
    assert any(name.endswith(".partial") for name in files(out))
    first = {name: os.stat(out / name).st_mtime_ns for name in files(out) if "00000.parquet" in name}
    assert len(first) == 1
    killed(pair, out, rename=9)
    half = {p: p.stat() for p in out.rglob("*.parquet") if "shards" in p.parts and not p.name.startswith(".")}
    assert 1 < len(half) < 12
    run(pair, out)
    assert files(out) == unbroken
    for path, before in half.items():  # not computed again
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert all(os.stat(out / name).st_mtime_ns == when for name, when in first.items())


def test_ctrl_c_keeps_finished_shards(
    pair: tuple[str, str], unbroken: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairopt.models import loglikelihood as scorer

    out, calls, score = tmp_path / "run", [], scorer.loglikelihood

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return score(*args, **kwargs)

    monkeypatch.setattr(scorer, "loglikelihood", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(pair, out)
    assert len(list(out.rglob("shards/*/*.parquet"))) == 4
    with pytest.raises(InputError, match="the run must be finished"):
        open_run(out).result  # noqa: B018
    calls.clear()
    calls.extend([1] * 10)
    run(pair, out)
    assert len(calls) == 18  # eight jobs were left
    assert files(out) == unbroken


def test_finished_run_loads_but_scores_nothing(
    pair: tuple[str, str], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairopt.models.loglikelihood.loglikelihood", None)
    assert repr(run(pair, finished).result) == repr(open_run(finished).result)  # NaN equals NaN here


def test_variant_can_be_added(
    pair: tuple[str, str], unbroken: dict[str, bytes], finished: Path, tmp_path: Path
) -> None:
    third = llama()
    third.model.layers[1].self_attn.q_proj.weight.data *= 1.1
    run(pair, finished, models=[pair[1], str(save(third, tmp_path / "third"))])
    after = files(finished)
    assert {name: after[name] for name in unbroken if name != "run.json"} == {
        name: content for name, content in unbroken.items() if name != "run.json"
    }
    assert len(after) == len(unbroken) + 5  # three shards, facts and shift of the third model


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 1}, "seed"),
        ({"limit": 30}, "limit"),
        ({"policy": Policy(alpha_ship=0.01)}, "policy"),
        ({"policy": Policy(rules=(Rule("equivalence", "letters/prefers", margin=0.5),))}, "policy"),
        ({"dtype": "bfloat16"}, "weights"),
    ],
)
def test_another_audit_is_refused(
    pair: tuple[str, str], unbroken: dict[str, bytes], finished: Path, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(NotComparable, match=f"audit: .*{field} must be that of the run in") as caught:
        run(pair, finished, **changes)
    assert caught.value.exit_code == ExitCode.NOT_COMPARABLE
    assert files(finished) == unbroken


def test_other_data_and_fewer_variants_are_refused(
    pair: tuple[str, str], finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotComparable, match="variants must be"):
        run(pair, finished, models=[pair[0]])
    letters = letters_benchmark.Letters
    changed = letters().items(None)
    monkeypatch.setattr(letters, "items", lambda self, data: changed[::-1])
    with pytest.raises(NotComparable, match="letters: data must be"):
        run(pair, finished)


def test_strange_folder_is_left_alone(pair: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    (tmp_path / ".thesis.partial").write_text("mine too")
    with pytest.raises(InputError, match=r"out must be new, empty or an earlier run, got .* with 'thesis\.tex'"):
        run(pair, tmp_path)
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize("out", ["file/run", "file"])
def test_unwritable_out(pair: tuple[str, str], tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="out must be writable and have room, got"):
        run(pair, tmp_path / out)


def test_full_disk(pair: tuple[str, str], unbroken: dict[str, bytes], tmp_path: Path) -> None:
    """A limit on the size of files stands in for a full disk: the operating system refuses the write of the items."""
    out, limits = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    assert len(unbroken["run.json"]) < 6000 < len(unbroken["items/letters.parquet"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limits[1]))
    try:
        with pytest.raises(
            InputError, match=r"out must be writable and have room, got .*letters\.parquet.*: File too large"
        ):
            run(pair, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(files(out)) == ["left_out.parquet", "run.json"]
    run(pair, out)
    assert files(out) == unbroken


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"benchmarks": []}, "benchmarks must be at least one name"),
        ({"benchmarks": ["letters", "letters"]}, "each once"),
        ({"benchmarks": ["crows"]}, "benchmark: name must be one of"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"models": []}, "variants must name at least one"),
        ({"models": ["./nowhere"]}, "must be an existing model folder"),
        ({"variants": ["nf5"]}, "nf4"),
        ({"variants": ["magnitude:2:4"] * 2}, "names of their own, got 'magnitude:2:4' twice"),
        ({"policy": Policy(rules=(Rule("declared", "crows/*"),))}, "must limit something in this audit"),
    ],
)
def test_bad_arguments_leave_nothing(
    pair: tuple[str, str], tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        run(pair, tmp_path / "run", **changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("schema", [2, 4])
def test_runs_of_another_schema_are_refused(pair: tuple[str, str], finished: Path, schema: int) -> None:
    described = json.loads((finished / "run.json").read_text())
    described["descriptor"]["schema"] = schema
    (finished / "run.json").write_text(json.dumps(described))
    for use in (lambda: open_run(finished), lambda: run(pair, finished)):
        with pytest.raises(InputError, match=rf"run\.json must have schema 3, got {schema}; audit again"):
            use()


def test_speed_is_measured_when_asked_for(pair: tuple[str, str], finished: Path) -> None:
    assert open_run(finished).result.variants[0].speed is None
    speed = run(pair, finished, speed=True).result.variants[0].speed
    assert min(speed.base_tokens_per_second, speed.variant_tokens_per_second) > 0
    assert speed.base_peak_bytes is None or speed.base_peak_bytes > 2**20


def test_a_variant_is_set_beside_the_base(pair: tuple[str, str], finished: Path) -> None:
    (shift,) = open_run(finished).result.variants[0].shift
    assert (shift.benchmark, shift.n) == ("letters", 128)
    assert 0 < shift.js_mean < shift.kl_mean < 1
    assert 0 <= shift.same_top <= 1
    assert list(shift.kl_quantiles) == ["50", "95", "99"]
