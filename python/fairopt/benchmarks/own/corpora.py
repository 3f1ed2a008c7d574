"""Your own texts as a benchmark: ``corpus:FOLDER``, one text file a group, such as a dialect or a community.

Each ``NAME.txt`` of the folder is a group; ``?unit=`` says what a document is: a ``line`` (the default: tweets, posts),
a ``paragraph`` (between blank lines) or the whole ``file``. Every document is scored by itself, whatever its length,
and bits per byte are those of all its group's documents together: unrelated texts are never joined into one stream.

``FOLDER/bits_per_byte`` is gated for all texts, and for each group beyond the mean of the others: log2 of the group's
degradation ratio rho per byte, less the others'. Two groups that a model always found differently hard are alike here
as long as compression costs both the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

from fairopt.benchmarks.ask import Answer, Rolling
from fairopt.benchmarks.base import Benchmark, Item, Source
from fairopt.benchmarks.bits_per_byte import GAP_MARGIN, MARGIN, bits_metric
from fairopt.benchmarks.rows import read_text
from fairopt.errors import InputError

_OP = "corpora"
_UNITS = {"line": r"\n", "paragraph": r"\n\s*\n", "file": r"\Z"}  # what separates two documents


class Corpora(Benchmark):
    """Text files of one folder; see the module."""

    version = "1"
    ask = Rolling()
    caveats: Sequence[str] = (
        "Bits per byte of different groups differ by genre, topic and spelling as much as by who writes: compare the"
        " changes, not the levels.",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        location, _, query = name.partition(":")[2].partition("?")
        self._folder = Path(location).expanduser()
        self._unit = dict(parse_qsl(query, keep_blank_values=True)).get("unit", "line")
        if (query and query != f"unit={self._unit}") or self._unit not in _UNITS or not location:
            wanted = f"corpus:FOLDER or corpus:FOLDER?unit={'|'.join(_UNITS)}"
            raise InputError(f"benchmark: texts of your own must be named {wanted}, got {name!r}")
        stem = re.sub(r"[^\w-]", "_", self._folder.name)
        self.title = f"Your own texts: {self._folder.name}"
        self.source = Source(home=str(self._folder), licence="your own", files={})
        self.metrics = (
            bits_metric(
                f"{stem}/bits_per_byte",
                "Bits per byte",
                margin=MARGIN,
                group_margin=GAP_MARGIN,
                axis_gate=True,
            ),
        )

    def items(self, data: Path | None) -> list[Item]:
        """One item a document, group by group in the order of their names; ``data`` is not used.

        Raises:
            InputError: for a folder without text files, or a file without text.
        """
        if not self._folder.is_dir():
            raise InputError(f"{_OP}: folder must be a folder of text files, got {str(self._folder)!r}")
        paths = sorted(self._folder.glob("*.txt"))
        if not paths:
            raise InputError(f"{_OP}: {str(self._folder)!r} must hold files named GROUP.txt, got none")
        return [item for path in paths for item in self._documents(path)]

    def _documents(self, path: Path) -> Iterator[Item]:
        texts = [text.strip() for text in re.split(_UNITS[self._unit], read_text(_OP, path))]
        texts = [text for text in texts if text]
        if not texts:
            raise InputError(f"{_OP}: {str(path)!r} must hold text, got none")
        for number, text in enumerate(texts):
            name = f"{path.stem}/{number:06d}"
            yield Item(
                id=name,
                group=path.stem,
                axis="corpus",
                cluster=name,
                requests=(("", text),),
                fields={"n_bytes": len(text.encode())},
            )

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log-likelihood (nats) and number of tokens of the document."""
        (answer,) = answers
        return {"ll": answer.ll, "n_tokens": answer.n_tokens}
