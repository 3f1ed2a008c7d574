"""Who does which job, when several workers share one run folder.

A worker claims a job before it does it, and beats while it makes progress. A claim that has not beaten for a lease has
lost its worker (killed, stopped, hung), and the job may be claimed again. Should the lost worker come back, it finishes
the same file with the same bytes, and the rename that puts it in place does no harm.

A lease is measured by the clock of the worker that waits, so clocks of different machines are never compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fairopt.audit.workers import is_gone, worker

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]


class Board(Protocol):
    """Where claims hang. The nth claim of a job is its generation n; only one worker gets it."""

    def claim(self, job: str, generation: int) -> bool:
        """Take this generation; False where another worker has it."""
        ...

    def beat(self, job: str, generation: int) -> None:
        """Show that the claim is alive."""
        ...

    def pulse(self, job: str, generation: int) -> int:
        """A number that changes with every beat."""
        ...

    def orphaned(self, job: str, generation: int) -> bool:
        """Whether the worker is known to be gone, lease or not."""
        ...

    def clear(self, job: str) -> None:
        """Take down all claims of a job."""
        ...


class FolderBoard:
    """Claims as files of a folder that all workers see; a claim is the exclusive creation of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def claim(self, job: str, generation: int) -> bool:
        """See :class:`Board`."""
        handle = self._create(self._file(job, generation))
        if handle is None:
            return False
        try:
            os.write(handle, worker().encode())
        finally:
            os.close(handle)
        return True

    def beat(self, job: str, generation: int) -> None:
        """See :class:`Board`."""
        with suppress(FileNotFoundError):  # another worker has finished the job meanwhile
            os.utime(self._file(job, generation))

    def pulse(self, job: str, generation: int) -> int:
        """See :class:`Board`."""
        try:
            return self._file(job, generation).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def orphaned(self, job: str, generation: int) -> bool:
        """A process of this machine that has ended."""
        try:
            return is_gone(self._file(job, generation).read_text())
        except FileNotFoundError:  # the job is done
            return False

    def clear(self, job: str) -> None:
        """See :class:`Board`."""
        with suppress(FileNotFoundError):  # another worker has taken the folder down
            for name in os.listdir(self._path):
                if name.startswith(f"{_name(job)}."):
                    (self._path / name).unlink(missing_ok=True)
        with suppress(OSError):  # claims of other jobs hang there, or it is gone
            self._path.rmdir()

    def _create(self, file: Path) -> int | None:
        """The new file, None where it is there already."""
        while True:
            with suppress(FileExistsError):
                os.mkdir(self._path)
            try:
                return os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError:
                return None
            except FileNotFoundError:  # another worker took its last claim down, and the folder with it: make it again
                continue

    def _file(self, job: str, generation: int) -> Path:
        return self._path / f"{_name(job)}.{generation}"


class StoreBoard:
    """Claims as counters of a c10d store: ``add`` is atomic, and the first to make a counter 1 has the claim.

    The store lives in one process of the launch. Where that one is lost the others go on, with a board that is not.
    """

    def __init__(self, store: Store, without: Board) -> None:
        self._store = store
        self._without = without
        self._lost = False

    def claim(self, job: str, generation: int) -> bool:
        """See :class:`Board`."""
        made = self._add(f"claim/{generation}/{job}", 1)
        return self._without.claim(job, generation) if made is None else made == 1

    def beat(self, job: str, generation: int) -> None:
        """See :class:`Board`."""
        if self._add(f"beat/{generation}/{job}", 1) is None:
            self._without.beat(job, generation)

    def pulse(self, job: str, generation: int) -> int:
        """See :class:`Board`."""
        beats = self._add(f"beat/{generation}/{job}", 0)
        return self._without.pulse(job, generation) if beats is None else beats

    def orphaned(self, job: str, generation: int) -> bool:
        """A store knows nobody's fate."""
        return self._lost and self._without.orphaned(job, generation)

    def clear(self, job: str) -> None:
        """Counters go with the store."""
        if self._lost:
            self._without.clear(job)

    def _add(self, key: str, amount: int) -> int | None:
        """The counter, None once the store's process is lost."""
        from torch.distributed import DistError

        if not self._lost:
            try:
                return int(self._store.add(key, amount))
            except DistError:
                self._lost = True
        return None


@dataclass
class _Watched:
    """Another worker's claim as this worker sees it."""

    generation: int
    pulse: int
    since: float


class Leases:
    """This worker's view of a board. It holds one claim at a time."""

    def __init__(self, board: Board, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._seconds = seconds
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._held: tuple[str, int] | None = None
        self._beaten = 0.0

    def take(self, job: str) -> bool:
        """Claim the job if nobody does it, or if who did has not been seen for a lease."""
        seen = self._watched.get(job)
        generation = 0 if seen is None else seen.generation
        while not self._board.claim(job, generation):
            if not (self._board.orphaned(job, generation) or self._expired(job, generation)):
                return False
            generation += 1
        self._held = (job, generation)
        self._beaten = self._clock()
        return True

    def beat(self) -> None:
        """Say that the held job makes progress; often is fine, the board hears it ten times a lease."""
        if self._held is not None and self._clock() - self._beaten > self._seconds / 10:
            self._board.beat(*self._held)
            self._beaten = self._clock()

    def release(self) -> None:
        """Give the held job back: done, or not to be done by this worker."""
        if self._held is not None:
            self._board.clear(self._held[0])
            self._held = None

    def _expired(self, job: str, generation: int) -> bool:
        pulse, now = self._board.pulse(job, generation), self._clock()
        seen = self._watched.get(job)
        if seen is None or (seen.generation, seen.pulse) != (generation, pulse):
            self._watched[job] = _Watched(generation, pulse, now)
            return False
        return now - seen.since > self._seconds


def _name(job: str) -> str:
    return sha256(job.encode()).hexdigest()[:16]
