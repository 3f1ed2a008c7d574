"""``fairopt data``: files from a server of this machine, whole and checked or not at all; never silently."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import threading
import zipfile
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from letters_benchmark import Letters
from typer.testing import CliRunner

import fairopt as fo
from fairopt import benchmarks
from fairopt.benchmarks import Source, base
from fairopt.cli.app import app
from fairopt.data import download
from fairopt.errors import InputError

ROWS, MEMBER = b"a,b\n1,2\n", b"in the archive\n"


class Counting(SimpleHTTPRequestHandler):
    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    """Address of an official home."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "rows.csv").write_bytes(ROWS)
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("deep/one file.txt", MEMBER)
        archive.writestr("../two.txt", MEMBER)
    with tarfile.open(folder / "all.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("deep/one.txt")
        entry.size = len(MEMBER)
        archive.addfile(entry, io.BytesIO(MEMBER))
        archive.addfile(tarfile.TarInfo("deep"))
    (folder / "broken.zip").write_bytes(b"PK no")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch):
    """Register a benchmark with these files (name -> (address, sha256)) and return its name."""

    def make(files: dict[str, tuple[str, str | None]], *, whole: bool = True) -> str:
        class Fetched(Letters):
            name = "fetched"
            source = Source(
                home="https://example.org/home",
                licence="CC BY 4.0",
                files={file: digest for file, (_, digest) in files.items()},
                urls={file: address for file, (address, _) in files.items() if address},
                whole=whole,
            )

        monkeypatch.setattr(benchmarks, "_REGISTERED", {"fetched": Fetched()})
        return "fetched"

    return make


def there(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_comes_whole_and_what_is_done_is_said(home: str, offer, tmp_path: Path) -> None:
    name = offer({"own/rows.csv": (f"{home}/rows.csv", sha256(ROWS))})
    said: list[str] = []
    (path,) = fo.data.fetch(name, tmp_path, say=said.append)
    assert path == tmp_path / "own/rows.csv"
    assert there(tmp_path) == {"own/rows.csv": ROWS}
    assert "CC BY 4.0" in said[0]
    assert "https://example.org/home" in said[0]
    assert str(tmp_path) in said[0]
    assert f"own/rows.csv from {home}/rows.csv, {len(ROWS)} bytes" in said[1]
    assert "sha256 is the expected one" in said[2]
    assert fo.data.path(name, tmp_path) == {"own/rows.csv": path}


def test_without_a_listener_it_is_said_on_stderr(home: str, offer, tmp_path: Path, capsys) -> None:
    fo.data.fetch(offer({"rows.csv": (f"{home}/rows.csv", None)}), tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Licence: CC BY 4.0" in err
    assert "no checksum is known" in err


def test_another_content_leaves_nothing(home: str, offer, tmp_path: Path) -> None:
    name = offer({"rows.csv": (f"{home}/rows.csv", "0" * 64)})
    with pytest.raises(
        InputError, match=rf"rows.csv .* must have sha256 0{{64}}, got {sha256(ROWS)}; nothing was kept"
    ):
        fo.data.fetch(name, tmp_path / "new", say=print)
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with pytest.raises(InputError):
        fo.data.fetch(name, tmp_path / "old", say=print)
    assert list((tmp_path / "old").iterdir()) == []


def test_a_file_that_is_there_is_not_touched(home: str, offer, tmp_path: Path) -> None:
    name = offer({"rows.csv": (f"{home}/rows.csv", sha256(ROWS))})
    (tmp_path / "rows.csv").write_bytes(b"mine")
    with pytest.raises(InputError, match="must be the official file"):
        fo.data.fetch(name, tmp_path, say=print)
    assert there(tmp_path) == {"rows.csv": b"mine"}


def test_members_of_an_archive_cost_one_download(home: str, offer, tmp_path: Path) -> None:
    before = Counting.asked["/all.zip"]
    files = {
        "a/one.txt": (f"{home}/all.zip#deep/one%20file.txt", sha256(MEMBER)),
        "a/two.txt": (f"{home}/all.zip#../two.txt", sha256(MEMBER)),
        "a/three.txt": (f"{home}/all.tar.gz#deep/one.txt", None),
    }
    fo.data.fetch(offer(files), tmp_path, say=print)
    assert there(tmp_path) == dict.fromkeys(files, MEMBER)
    assert Counting.asked["/all.zip"] == before + 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/none.csv", "must be reachable, got 404"),
        ("/all.zip#none", "must hold 'none', got an archive without it"),
        ("/all.tar.gz#none", "must hold 'none', got an archive without it"),
        ("/broken.zip#one", "must be a whole archive, got"),
        ("/broken.zip#one", "broken.zip"),
    ],
)
def test_what_cannot_be_got_is_named(home: str, offer, tmp_path: Path, address: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fo.data.fetch(offer({"a.csv": (home + address, None)}), tmp_path, say=print)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(offer, tmp_path: Path) -> None:
    name = offer({"a.csv": ("http://127.0.0.1:9/a.csv", None)})
    with pytest.raises(InputError, match=r"data: fetched: http://127.0.0.1:9/a.csv must be reachable"):
        fo.data.fetch(name, tmp_path, say=print)


def test_of_several_files_what_came_is_kept(home: str, offer, tmp_path: Path) -> None:
    name = offer({"a.csv": (f"{home}/rows.csv", None), "b.csv": (f"{home}/none.csv", None)})
    with pytest.raises(InputError, match=r"none.csv must be reachable"):
        fo.data.fetch(name, tmp_path, say=print)
    assert there(tmp_path) == {"a.csv": ROWS}


def test_a_hub_dataset_is_asked_at_its_commit(offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub on this machine: what it is asked for is what is tested."""
    import huggingface_hub

    asked = []

    def give(repository: str, file: str, *, repo_type: str, revision: str, local_dir: Path) -> str:
        asked.append((repository, file, repo_type, revision))
        place = local_dir / file
        place.parent.mkdir(parents=True)
        place.write_bytes(ROWS)
        return str(place)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", give)
    monkeypatch.setattr(download, "_size", lambda _: "")
    address = "https://huggingface.co/datasets/some/set/resolve/abc123/data/test%20set.parquet"
    fo.data.fetch(offer({"own/test.parquet": (address, sha256(ROWS))}), tmp_path, say=print)
    assert asked == [("some/set", "data/test set.parquet", "dataset", "abc123")]
    assert there(tmp_path) == {"own/test.parquet": ROWS}


def test_what_is_only_had_by_hand(home: str, offer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"fetched must be fetched by hand: a.csv, .*, from https://example.org/home"):
        fo.data.fetch(offer({"a.csv": ("", None)}), tmp_path, say=print)
    said: list[str] = []
    either = offer({"a.csv": ("", None), "b.csv": (f"{home}/rows.csv", None)}, whole=False)
    fo.data.fetch(either, tmp_path, say=said.append)
    assert there(tmp_path) == {"b.csv": ROWS}
    assert "a.csv is not fetched: only by hand" in said[-1]


@pytest.mark.parametrize(
    ("name", "message"), [("phantom_pairs", "which has none"), ("nonsense", "name must be one of")]
)
def test_a_benchmark_without_files(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        fo.data.fetch(name, tmp_path)


def test_the_folder_is_named_or_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FAIROPT_DATA", raising=False)
    assert base.data_folder() == tmp_path / "cache" / "fairopt" / "data"
    monkeypatch.setenv("FAIROPT_DATA", str(tmp_path / "named"))
    assert base.data_folder() == tmp_path / "named"
    assert base.data_folder(tmp_path) == tmp_path


def test_what_is_missing_names_the_command(home: str, offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = offer({"a.csv": (f"{home}/rows.csv", None)})
    monkeypatch.setenv("FAIROPT_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"get it by `fairopt data fetch fetched` \(from https://example.org/home\)"):
        fo.data.path(name)
    with pytest.raises(InputError, match=r"fairopt data fetch fetched --data '.*a b'`"):
        fo.data.path(name, tmp_path / "a b")
    with pytest.raises(
        InputError, match=r"fairopt data fetch 'lambada\?version=original'`"
    ):  # another file than lambada's
        fo.data.path("lambada?version=original")


def test_the_command_line(home: str, offer, tmp_path: Path) -> None:
    name = offer({"a.csv": (f"{home}/rows.csv", sha256(ROWS))})
    run = partial(CliRunner().invoke, app, env={"FAIROPT_DATA": str(tmp_path)})
    listed = json.loads(run(["data", "list", "--json"]).stdout)
    (own,) = [entry for entry in listed if entry["benchmark"] == name]
    assert not own["ready"]
    assert own["files"] == [{"name": "a.csv", "url": f"{home}/rows.csv", "sha256": sha256(ROWS), "present": False}]
    assert re.search("^fetched +1 +fetch it", run(["data", "list"]).stdout, re.MULTILINE)
    assert run(["data", "path", name]).exit_code == 2
    fetched = run(["data", "fetch", name])
    assert fetched.exit_code == 0
    assert "Licence: CC BY 4.0" in fetched.stdout
    assert run(["data", "path", name]).stdout == f"{tmp_path / 'a.csv'}\n"
    assert re.search("^fetched +1 +ready", run(["data", "list"]).stdout, re.MULTILINE)
    assert run(["data", "fetch", "phantom_pairs"]).exit_code == 2


def test_every_address_is_pinned_and_of_a_file_that_is_known() -> None:
    """A branch's name would let the content change under the checksum; a commit's does not."""
    for one in fo.data.list():
        source = benchmarks.get(one.benchmark).source
        assert source is not None
        assert set(source.urls) <= set(source.files), one.benchmark
        for file in one.files:
            assert not file.sha256 or len(file.sha256) == 64, file.name
            assert not file.url or file.url.startswith("https://"), file.name
            pinned = re.search(r"/[0-9a-f]{40}/", file.url)
            assert not file.url or pinned or file.sha256, f"{file.url} must name a commit, or its file a checksum"
