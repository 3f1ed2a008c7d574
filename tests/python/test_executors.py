"""Several workers on one audit: every job is done once, lost workers lose nothing, the bytes are always the same."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import letters_benchmark
import pytest
from random_models import llama, save
from torch.distributed import DistNetworkError, HashStore

from fairopt.audit import executors
from fairopt.audit.audit import audit
from fairopt.audit.claims import Board, FolderBoard, Leases, StoreBoard
from fairopt.audit.workers import is_gone, worker

WORKER = str(Path(__file__).parent / "rank_of_audit.py")


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["folder", "store"])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    folder = FolderBoard(tmp_path / "claims")
    return folder if request.param == "folder" else StoreBoard(HashStore(), folder)


def test_a_claim_is_exclusive(board: Board) -> None:
    clock = Clock()
    one, other = Leases(board, 10, clock), Leases(board, 10, clock)
    assert one.take("a")
    assert not other.take("a")
    assert other.take("b")


def test_a_claim_lasts_while_it_beats(board: Board) -> None:
    clock = Clock()
    one, other = Leases(board, 10, clock), Leases(board, 10, clock)
    assert one.take("a")
    for _ in range(20):
        clock.now += 5
        time.sleep(0.002)  # file times have a resolution
        one.beat()
        assert not other.take("a")


def test_a_silent_claim_ends_with_its_lease(board: Board) -> None:
    clock = Clock()
    one, other, third = (Leases(board, 10, clock) for _ in range(3))
    assert one.take("a")
    assert not other.take("a")
    clock.now = 10
    assert not other.take("a")
    clock.now = 10.1
    assert other.take("a")
    assert not third.take("a")  # a new claim has a lease of its own
    clock.now = 15
    assert not third.take("a")


def test_a_lost_worker_that_comes_back_does_no_harm(tmp_path: Path) -> None:
    clock, board = Clock(), FolderBoard(tmp_path / "claims")
    lost, other = Leases(board, 10, clock), Leases(board, 10, clock)
    assert lost.take("a")
    assert not other.take("a")
    clock.now = 11
    assert other.take("a")
    lost.beat()
    lost.release()
    other.beat()
    other.release()
    assert not (tmp_path / "claims").exists()


def test_a_dead_process_of_this_machine_is_not_waited_for(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from fairopt.audit.claims import FolderBoard, Leases
assert Leases(FolderBoard(Path({str(tmp_path / "claims")!r})), 1000).take("a")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert Leases(FolderBoard(tmp_path / "claims"), 1000).take("a")


class LostStore(HashStore):
    """A store whose process ends after the first claim."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def add(self, key: str, amount: int) -> int:
        self.calls += 1
        if self.calls > 1:
            raise DistNetworkError("connection reset")
        return super().add(key, amount)


def test_ranks_outlive_the_store(tmp_path: Path) -> None:
    clock, store = Clock(), LostStore()
    one, other = (Leases(StoreBoard(store, FolderBoard(tmp_path / "claims")), 10, clock) for _ in range(2))
    assert one.take("a")
    one.release()
    assert other.take("b")
    assert not one.take("b")
    other.release()
    assert not (tmp_path / "claims").exists()


def test_names_of_workers() -> None:
    assert not is_gone(worker())
    machine = worker().split("-")[0]
    assert is_gone(f"{machine}-{2**22 + 1}")  # beyond the largest process number of Linux
    assert not is_gone("anothermachine-1")
    assert not is_gone("no worker at all")


def test_threads_do_every_job_once(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "POLL", 0.001)
    finished: set[int] = set()
    made: list[int] = []
    seen: list[int] = []

    def make(job: int) -> None:
        time.sleep(0.001)
        made.append(job)
        finished.add(job)

    def work() -> None:
        leases = Leases(board, 60)
        executors.run_jobs(range(40), leases, name=str, done=finished.__contains__, make=make, seen=seen.append)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(40))
    assert Counter(seen) == dict.fromkeys(range(40), 3)


def test_the_folder_may_go_between_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes the last claim down removes the folder, maybe just when another has made sure it is there."""
    board, make = FolderBoard(tmp_path / "claims"), os.mkdir
    removed = []

    def make_and_lose(path: Path) -> None:
        make(path)
        if not removed:
            removed.append(path)
            path.rmdir()

    monkeypatch.setattr(os, "mkdir", make_and_lose)
    assert board.claim("a", 0)
    assert removed
    assert not board.claim("a", 0)


def test_a_lost_run_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderBoard(tmp_path / "gone" / "claims").claim("a", 0)


def test_taking_down_what_is_gone(tmp_path: Path) -> None:
    FolderBoard(tmp_path / "claims").clear("a")
    assert not list(tmp_path.iterdir())


def test_a_failed_job_is_free_again(tmp_path: Path) -> None:
    leases = Leases(FolderBoard(tmp_path / "claims"), 1000)

    def fail(job: str) -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        executors.run_jobs(["a"], leases, name=str, done=lambda _: False, make=fail, seen=lambda _: None)
    assert Leases(FolderBoard(tmp_path / "claims"), 1000).take("a")


# ---------------------------------------------------------------------------------------------------- real processes


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("models")
    variant = llama()
    variant.model.layers[0].mlp.up_proj.weight.data *= 1.01
    return str(save(llama(), folder / "base")), str(save(variant, folder / "variant"))


@pytest.fixture(scope="module")
def alone(pair: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an audit by one process."""
    letters_benchmark.register()
    out = tmp_path_factory.mktemp("alone") / "run"
    audit(pair[0], models=[pair[1]], benchmarks=["letters"], out=out)  # on all threads; the ranks have one each
    return files(out)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a worker; none survives the test."""
    started: list[subprocess.Popen[str]] = []

    def popen(*command: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(Path(WORKER).parent), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finish(process: subprocess.Popen[str]) -> None:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize("lost", ["SIGKILL", "SIGSTOP"])
def test_a_rank_that_is_lost_loses_nothing(
    pair: tuple[str, str],
    alone: dict[str, bytes],
    start: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    lost: str,
) -> None:
    """Rank 1 is killed, or stopped past its lease, with a shard half done; rank 0 takes that job again."""
    out = tmp_path / "run"
    together = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    together |= {"FAIL_RANK": "1", "FAIL_SIGNAL": lost}
    first, second = (start(sys.executable, WORKER, *pair, str(out), "2", RANK=rank, **together) for rank in "01")
    finish(first)
    assert (tmp_path / "lost").exists()  # rank 1 held a job, and rank 0 waited for that before it went on
    if lost == "SIGKILL":
        assert second.wait(timeout=60) == -signal.SIGKILL
    else:
        assert second.poll() is None  # still there, still stopped
    mine = {name: content for name, content in files(out).items() if not name.endswith(".partial")}
    assert mine == alone


def test_torchrun_restarts_a_killed_rank(
    pair: tuple[str, str], alone: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--max-restarts=1"]
    finish(start(*torchrun, WORKER, *pair, str(out), "30", FAIL_RANK="1", FAIL_SIGNAL="SIGKILL"))
    audit(pair[0], models=[pair[1]], benchmarks=["letters"], out=out)  # sweeps what the killed rank left half-written
    assert files(out) == alone


def test_machines_that_share_a_folder_share_the_work(
    pair: tuple[str, str], alone: dict[str, bytes], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    for process in [start(sys.executable, WORKER, *pair, str(out), "60") for _ in range(2)]:
        finish(process)
    assert files(out) == alone
