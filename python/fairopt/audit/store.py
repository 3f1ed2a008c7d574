"""A run folder. Every file is written whole beside its place and renamed: a kill leaves none half-written.

run.json                      descriptor, its hash, and the command that replays the audit
items/<benchmark>.parquet     what was asked: ids, groups, clusters, texts
left_out.parquet              what was not asked, and why
scorers.json                  what the scorers of texts say of neutral sentences about people
models/<key>.json             size and hash of each model after its recipe
shards/<key>/<index>.parquet  answers of one model to a block of items
shift/<key>.parquet           how far a variant's next-token distributions lie from the base model's
speed/<key>.json              how fast a variant was on this machine, where that was asked for
claims/                       who is doing what; gone when nobody is
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy.typing as npt

from fairopt.audit.answers import from_table, to_table
from fairopt.audit.jobs import Job
from fairopt.audit.workers import is_gone, worker
from fairopt.benchmarks import Item
from fairopt.errors import InputError

RUN = "run.json"
WHOLE = "all"  # what is left out is the whole benchmark
SCORERS = "scorers.json"
_OMISSIONS = "left_out.parquet"
_PARTIAL = ".partial"
_PROBE = ".writable"


@dataclass(frozen=True)
class Facts:
    """What a model is after its recipe: ``models/<key>.json``."""

    weights_hash: str
    bytes: int  # of all parameters and buffers as stored, tied ones once
    bits_per_weight: float | None  # over the compressed layers; None when there are none
    sparsity: float | None  # share of zeros over the compressed layers


@dataclass(frozen=True)
class Omission:
    """Something that is not asked."""

    benchmark: str
    what: str  # an item's id, a place in a file, or WHOLE
    why: str


@dataclass(frozen=True)
class Answers:
    """What one model says to all requests of a benchmark, item by item."""

    item_ids: list[str]
    given: list[list[Any]]  # one a request, of the kind that the benchmark asks for
    truncated: int  # requests whose context was cut to the model's window


class Store:
    """The files of one run folder."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Make the folder and hold it while it is described; workers that share it take turns.

        Raises :class:`~fairopt.errors.InputError` when it cannot be used.
        """
        made = not self.path.exists()
        lock = self._locked()
        try:
            self._check_ours()
            self._sweep()
            self._write(self.path / _PROBE, lambda file: file.write(b"\0"))
            (self.path / _PROBE).unlink()
            yield
        finally:
            os.close(lock)
            if made:
                with suppress(OSError):  # not empty: what was finished stays
                    self.path.rmdir()

    def check_usable(self) -> None:
        """Raise what :meth:`preparing` would, before anything costly is done; leaves no trace."""
        with self.preparing():
            pass

    def _locked(self) -> int:
        """An open handle of the folder that no other worker holds."""
        while True:
            with _clear_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), os.stat(self.path)):
                    return lock
            os.close(lock)  # who held it before has removed the empty folder

    def _sweep(self) -> None:
        """Remove what killed writers of this machine left half-written."""
        for stale in self.path.rglob(f".*{_PARTIAL}"):
            if is_gone(stale.name.removesuffix(_PARTIAL).rsplit(".", 1)[-1]):
                stale.unlink(missing_ok=True)

    def _check_ours(self) -> None:
        names = os.listdir(self.path)
        strangers = sorted(name for name in names if not name.endswith(_PARTIAL) and name != _PROBE)
        if strangers and RUN not in strangers:
            raise InputError(
                f"audit: out must be new, empty or an earlier run, got {str(self.path)!r} with {strangers[0]!r}"
            )

    def has(self, name: str) -> bool:
        """Whether a file is there; if it is, it is whole."""
        return (self.path / name).is_file()

    def write_json(self, name: str, value: Any) -> None:
        """Write indented JSON with sorted keys."""
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
        self._write(self.path / name, lambda file: file.write(text.encode()))

    def read_json(self, name: str) -> Any:
        """What :meth:`write_json` wrote."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"open_run: {str(self.path)!r} must hold a run with {name}, got {error}") from None

    def write_items(self, benchmark: str, items: Sequence[Item]) -> None:
        """Write what is asked. Fields become columns of their own in :meth:`fairopt.audit.run.Run.items`."""
        import pyarrow as pa

        columns = {
            "item_id": [item.id for item in items],
            "group": [item.group for item in items],
            "axis": [item.axis for item in items],
            "cluster_id": [item.cluster for item in items],
            "contexts": [[context for context, _ in item.requests] for item in items],
            "continuations": [[continuation for _, continuation in item.requests] for item in items],
            "fields": [json.dumps(dict(item.fields), sort_keys=True) for item in items],
            "system": [item.system for item in items],
            "prefix": [item.prefix for item in items],
        }
        self._write_table(_items(benchmark), pa.table(columns))

    def has_items(self, benchmark: str) -> bool:
        """Whether :meth:`write_items` has run."""
        return self.has(_items(benchmark))

    def read_items(self, benchmark: str) -> list[Item]:
        """The items as they were asked."""
        rows = self._read_table(_items(benchmark)).to_pylist()
        return [
            Item(
                id=row["item_id"],
                group=row["group"],
                axis=row["axis"],
                cluster=row["cluster_id"],
                requests=tuple(zip(row["contexts"], row["continuations"], strict=True)),
                fields=json.loads(row["fields"]),
                system=row["system"],
                prefix=row["prefix"],
            )
            for row in rows
        ]

    def write_omissions(self, omitted: Sequence[Omission]) -> None:
        """Write what is not asked."""
        import pyarrow as pa

        names = ("benchmark", "what", "why")
        columns = {name: pa.array([getattr(one, name) for one in omitted], pa.string()) for name in names}
        self._write_table(_OMISSIONS, pa.table(columns))

    def read_omissions(self) -> list[Omission]:
        """What :meth:`write_omissions` wrote."""
        return [Omission(**row) for row in self._read_table(_OMISSIONS).to_pylist()]

    def write_answers(self, name: str, items: Sequence[Item], given: Sequence[Sequence[Any]], truncated: int) -> None:
        """Write the answers to the requests of these items."""
        table = to_table([item.id for item in items], given)
        self._write_table(name, table.replace_schema_metadata({"truncated": str(truncated)}))

    def read_answers(self, jobs: Iterable[Job]) -> Answers:
        """All shards of one model and benchmark; :class:`~fairopt.errors.InputError` if the run is unfinished."""
        item_ids: list[str] = []
        given: list[list[Any]] = []
        truncated = 0
        for job in jobs:
            table = self._read_table(self._finished(job))
            ids, own = from_table(table)
            item_ids.extend(ids)
            given.extend(own)
            truncated += int(table.schema.metadata[b"truncated"])
        return Answers(item_ids, given, truncated)

    def write_columns(self, name: str, columns: Mapping[str, Any]) -> None:
        """Write arrays of one length as a table."""
        import pyarrow as pa

        self._write_table(name, pa.table(dict(columns)))

    def read_columns(self, job: Job) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`write_columns` wrote; :class:`~fairopt.errors.InputError` if the run is unfinished."""
        table = self._read_table(self._finished(job))
        return {name: table[name].to_numpy() for name in table.column_names}

    def _finished(self, job: Job) -> str:
        if not self.has(job.path):
            raise InputError(f"open_run: the run must be finished, got no {job.path} of {job.model.name}; audit again")
        return job.path

    def _write_table(self, name: str, table: Any) -> None:
        import pyarrow.parquet as pq

        self._write(self.path / name, lambda file: pq.write_table(table, file))

    def _read_table(self, name: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self.path / name).read()
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"open_run: {str(self.path / name)!r} must be a whole table, got {error}") from None

    def _write(self, path: Path, write: Callable[[IO[bytes]], object]) -> None:
        partial = path.with_name(f".{path.name}.{worker()}{_PARTIAL}")
        with _clear_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, path)
                _sync_folder(path.parent)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise


def _items(benchmark: str) -> str:
    return f"items/{file_name(benchmark)}.parquet"


def file_name(benchmark: str) -> str:
    """A benchmark's name as that of a file: a name with levels or a path in it becomes its end and a hash."""
    plain = re.sub(r"[^\w.-]+", "_", benchmark)
    digest = hashlib.sha256(benchmark.encode()).hexdigest()[:12]
    return benchmark if plain == benchmark else f"{plain[-40:]}-{digest}"


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"audit: out must be writable and have room, got {str(path)!r}: {reason}") from error
