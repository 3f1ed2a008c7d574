"""The benchmarks' files: what there is, where it officially lives, how to get it.

::

    fo.data.list()                 # every benchmark with files of its own, and which of them are there
    fo.data.fetch("crows_pairs")   # from its official home, checked; says what it does
    fo.data.path("crows_pairs")    # {name: path} of the files, checked

Nothing is ever downloaded but by :func:`fetch`. Files lie in ``data``, else in the folder that ``FAIROPT_DATA`` names,
else in the user's cache.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairopt import benchmarks
from fairopt.benchmarks import Source
from fairopt.errors import InputError

__all__ = ["DataFile", "Dataset", "fetch", "list", "path"]

Folder = str | os.PathLike[str] | None


@dataclass(frozen=True)
class DataFile:
    """One file of a benchmark."""

    name: str  # path below the data folder
    url: str  # where `fetch` gets it; empty: only by hand, from the home
    sha256: str  # empty: not known, the parser checks what it reads
    present: bool


@dataclass(frozen=True)
class Dataset:
    """The files of one benchmark."""

    benchmark: str
    title: str
    home: str
    licence: str
    files: tuple[DataFile, ...]
    whole: bool  # False: any of the files will do
    folder: Path

    @property
    def ready(self) -> bool:
        """Whether the benchmark can be asked."""
        present = [file.present for file in self.files]
        return all(present) if self.whole else any(present)

    @property
    def fetchable(self) -> bool:
        """Whether :func:`fetch` gets enough of it."""
        had = [file.present or bool(file.url) for file in self.files]
        return all(had) if self.whole else any(had)


def list(data: Folder = None) -> tuple[Dataset, ...]:
    """Every benchmark that needs files, by name. Nothing is read but names."""
    found = (_dataset(name, data) for name in benchmarks.names())
    return tuple(one for one in found if one is not None)


def path(name: str, data: Folder = None) -> dict[str, Path]:
    """The files of a benchmark that are there: name below the data folder -> path, each with the expected checksum.

    Raises :class:`~fairopt.errors.InputError` for an unknown benchmark, a missing file or an altered one.
    """
    return benchmarks.verified(name, _source(name), None if data is None else Path(data))


def fetch(name: str, data: Folder = None, *, say: Callable[[str], None] | None = None) -> builtins.list[Path]:
    """Download the files of a benchmark that are not there, and return the paths of all that are then.

    A file appears whole and checked, or not at all; one that is there is never touched. ``say`` is called with each
    line of what is downloaded, from where, under which licence; without it they go to stderr.

    Raises :class:`~fairopt.errors.InputError` for an unknown benchmark, one whose files can only be fetched by hand, an
    address that does not answer, and a file without the expected checksum.
    """
    from fairopt.data.download import download

    source, dataset = _source(name), _dataset(name, data)
    assert dataset is not None
    tell = say or (lambda line: print(line, file=sys.stderr))
    missing = [file for file in dataset.files if not file.present]
    by_hand = [file.name for file in missing if not file.url]
    if by_hand and not dataset.fetchable:
        raise InputError(
            f"data: {name} must be fetched by hand: {', '.join(by_hand)}, below {str(dataset.folder)!r}, from"
            f" {source.home} ({source.licence})"
        )
    tell(f"{name}: {dataset.title}. Licence: {source.licence}. Home: {source.home}. To: {dataset.folder}")
    download(name, [file for file in missing if file.url], dataset.folder, tell)
    for left in by_hand:
        tell(f"{name}: {left} is not fetched: only by hand, from {source.home}")
    return [*path(name, data).values()]


def _source(name: str) -> Source:
    source = benchmarks.get(name).source
    if source is None or not source.files:
        raise InputError(f"data: name must be that of a benchmark with files to fetch, got {name!r}, which has none")
    return source


def _dataset(name: str, data: Folder) -> Dataset | None:
    benchmark = benchmarks.get(name)
    source, folder = benchmark.source, benchmarks.data_folder(None if data is None else Path(data))
    if source is None or not source.files:
        return None
    files = tuple(
        DataFile(file, source.urls.get(file, ""), digest or "", (folder / file).is_file())
        for file, digest in source.files.items()
    )
    return Dataset(name, benchmark.title, source.home, source.licence, files, source.whole, folder)
