"""Get files from their addresses: downloaded beside their place, checked, and only then put there."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote

from fairopt.errors import InputError

if TYPE_CHECKING:
    from fairopt.data import DataFile

_HUB = re.compile(r"https://huggingface\.co/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_TIMEOUT = 60  # seconds without an answer


def download(name: str, files: Sequence[DataFile], folder: Path, tell: Callable[[str], None]) -> None:
    """Put the files of the benchmark ``name`` below ``folder``; an archive that holds several is downloaded once.

    Raises :class:`~fairopt.errors.InputError` for an address that does not answer, an archive without the member, and a
    file without the expected checksum, which leaves nothing of it.
    """
    if not files:
        return
    with _beside(folder) as scratch:
        archives: dict[str, Path] = {}
        for number, file in enumerate(files):
            address, _, member = file.url.partition("#")
            tell(f"{name}: {file.name} from {file.url}{'' if address in archives else _size(address)}")
            fetched = archives.get(address) or _get(name, address, scratch / str(number))
            if member:
                archives[address] = fetched
                fetched = _extract(name, fetched, address, unquote(member), scratch / f"{number}.member")
            _check(name, file, fetched)
            _put(fetched, folder / file.name)
            tell(f"{name}: {file.name} is there, {(folder / file.name).stat().st_size:,} bytes{_checked(file)}")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A scratch folder on the file system of ``folder``; an interrupted download leaves none of it."""
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
            yield Path(scratch)
    except OSError as error:
        reason = error.strerror or _one_line(error)
        raise InputError(f"data: folder must be writable and have room, got {str(folder)!r}: {reason}") from None
    finally:
        if made:
            with suppress(OSError):  # not empty: what came stays
                folder.rmdir()


def _size(address: str) -> str:
    """What the server says of the size, where it does."""
    import requests

    try:
        plain = {"Accept-Encoding": "identity"}
        answer = requests.head(address, headers=plain, allow_redirects=True, timeout=_TIMEOUT)
        length = answer.headers.get("content-length", "") if answer.ok else ""
    except OSError:
        return ""  # the download itself says what is wrong
    return f", {int(length):,} bytes" if length.isdecimal() else ", size not stated"


def _get(name: str, address: str, into: Path) -> Path:
    into.mkdir()
    try:
        if hub := _HUB.fullmatch(address):
            return _from_hub(hub[1], hub[2], unquote(hub[3]), into)
        return _from_web(address, into)
    except OSError as error:  # those of requests and huggingface_hub too
        raise InputError(f"data: {name}: {address} must be reachable, got {_one_line(error)}") from None


def _from_web(address: str, into: Path) -> Path:
    import pooch

    pooch.get_logger().setLevel("WARNING")  # what is fetched has been said
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=_TIMEOUT)
    return Path(pooch.retrieve(address, known_hash=None, fname="file", path=into, downloader=downloader))


def _from_hub(repository: str, revision: str, file: str, into: Path) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, file, repo_type="dataset", revision=revision, local_dir=into))


def _extract(name: str, archive: Path, address: str, member: str, into: Path) -> Path:
    """One member of an archive, written under a name of our own: what the archive calls it touches no path."""
    try:
        with _opened(archive, address, member) as source, into.open("wb") as target:
            shutil.copyfileobj(source, target)
    except KeyError:
        raise InputError(f"data: {name}: {address} must hold {member!r}, got an archive without it") from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise InputError(f"data: {name}: {address} must be a whole archive, got {_one_line(error)}") from None
    return into


@contextmanager
def _opened(archive: Path, address: str, member: str) -> Iterator[IO[bytes]]:
    if address.endswith(".zip"):
        with zipfile.ZipFile(archive) as whole, whole.open(member) as found:
            yield found
        return
    with tarfile.open(archive) as tar:
        inside = tar.extractfile(member)
        if inside is None:  # a folder or a link
            raise KeyError(member)
        yield inside


def _check(name: str, file: DataFile, fetched: Path) -> None:
    import pooch

    actual = pooch.file_hash(str(fetched), alg="sha256")
    if file.sha256 and actual != file.sha256:
        raise InputError(
            f"data: {name}: {file.name} from {file.url} must have sha256 {file.sha256}, got {actual}; nothing was kept"
        )


def _checked(file: DataFile) -> str:
    return ", its sha256 is the expected one" if file.sha256 else "; no checksum is known, the parser checks its rows"


def _put(fetched: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with fetched.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(fetched, place)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
