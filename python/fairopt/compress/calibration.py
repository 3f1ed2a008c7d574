"""The text that solvers measure a model's activations on: which tokens, chosen how, and a hash that says so.

Pieces of the documents are put in an order by a hash of the seed and their own tokens, then joined and cut: adding or
removing a document moves no other piece, and the same seed picks the same tokens on every machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from fairopt.errors import InputError

SAMPLES, LENGTH = 128, 512  # of the first GPTQ release, a quarter of its length: 65,536 tokens

Document: TypeAlias = str | Sequence[int] | torch.Tensor  # a text, or token ids


@dataclass(frozen=True)
class Calibration:
    """Token sequences to run through a model. Make one with :meth:`of`; ``compress`` does when it is given texts."""

    sequences: tuple[torch.Tensor, ...]  # int64, one dimension each; all of one length but perhaps the last
    seed: int
    sha256: str  # of the sequences

    @classmethod
    def of(
        cls,
        documents: Iterable[Document],
        *,
        tokenizer: Any = None,
        samples: int = SAMPLES,
        length: int = LENGTH,
        seed: int = 0,
    ) -> Calibration:
        """At most ``samples`` sequences of ``length`` tokens out of ``documents``.

        Args:
            documents: texts, or token ids as lists or integer tensors of one dimension. Empty ones are skipped.
            tokenizer: of the model; needed for texts, which get the special tokens that it adds itself.
            samples: how many sequences at most; the last may be short when the documents run out before.
            length: tokens of a sequence; there must be enough for one.
            seed: of the choice, when there is more text than that.

        Raises:
            InputError: for documents with fewer than ``length`` tokens, or that are neither texts nor ids; texts
                without a tokenizer.
        """
        for name, value in (("samples", samples), ("length", length)):
            if value < 1:
                raise InputError(f"calibration: {name} must be at least 1, got {value}")
        if isinstance(documents, (str, bytes)):
            raise InputError("calibration: documents must be a list of texts or of token ids, got one text")
        pieces = [piece for ids in _token_ids(documents, tokenizer) for piece in torch.split(ids, length)]
        chosen = _first(sorted(pieces, key=lambda piece: _key(seed, piece)), samples * length)
        if not chosen:
            raise InputError("calibration: documents must hold at least one token, got none")
        tokens = torch.cat(chosen)[: samples * length]
        if len(tokens) < length:
            raise InputError(
                f"calibration: documents must hold at least one sequence of {length} tokens, got {len(tokens)}"
                " (give more text, or a smaller length)"
            )
        sequences = torch.split(tokens, length)
        return cls(sequences, seed, _hash(sequences))

    @classmethod
    def for_model(cls, model: nn.Module, source: CalibrationSource, *, tokenizer: Any, seed: int = 0) -> Calibration:
        """The tokens of any source, by default 128 sequences of 512 tokens or of as many as the model has positions.

        Raises :class:`~fairopt.errors.InputError` as :meth:`of` and :meth:`check_fits` do.
        """
        if not isinstance(source, Calibration):
            samples, length = SAMPLES, min(LENGTH, _positions(model) or LENGTH)
            if isinstance(source, CalibrationFile):
                samples, length = source.samples, source.length or length
                source = read_documents(source.path)
            source = cls.of(source, tokenizer=tokenizer, samples=samples, length=length, seed=seed)
        source.check_fits(model)
        return source

    @property
    def tokens(self) -> int:
        """How many tokens there are in all sequences."""
        return sum(map(len, self.sequences))

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(map(len, self.sequences))

    def batches(self, tokens: int) -> Iterator[torch.Tensor]:
        """The sequences in order as int64 [n, length], of at most ``tokens`` tokens but at least one sequence."""
        batch: list[torch.Tensor] = []
        for sequence in self.sequences:
            if batch and (len(sequence) != len(batch[0]) or (len(batch) + 1) * len(sequence) > tokens):
                yield torch.stack(batch)
                batch = []
            batch.append(sequence)
        yield torch.stack(batch)

    def check_fits(self, model: nn.Module) -> None:
        """Refuse ids that the model has no embedding for, and sequences longer than its positions."""
        reads = getattr(model, "main_input_name", "input_ids")
        if reads != "input_ids":
            raise InputError(f"calibration: model must read token ids, got {type(model).__name__}, which reads {reads}")
        try:
            embeddings = getattr(model, "get_input_embeddings", lambda: None)()
        except NotImplementedError:  # several kinds of input
            raise InputError(f"calibration: model must read token ids alone, got {type(model).__name__}") from None
        rows = getattr(embeddings, "num_embeddings", None)
        most = max(int(sequence.max()) for sequence in self.sequences)
        if rows is not None and most >= rows:
            raise InputError(
                f"calibration: token ids must be below the {rows} of the model's vocabulary, got {most}"
                " (was it made with another model's tokenizer?)"
            )
        positions = _positions(model)
        if positions is not None and self.length > positions:
            raise InputError(
                f"calibration: length must be at most the {positions} positions of the model, got {self.length}"
            )

    def describe(self) -> dict[str, int | str]:
        """What a record says of it."""
        return {"tokens": self.tokens, "sequences": len(self.sequences), "seed": self.seed, "sha256": self.sha256}


@dataclass(frozen=True)
class CalibrationFile:
    """A file to take the tokens from (:func:`read_documents`), and how many."""

    path: str | os.PathLike[str]
    samples: int = SAMPLES
    length: int | None = None  # None: what Calibration.for_model takes


CalibrationSource: TypeAlias = Calibration | CalibrationFile | Iterable[Document]


def required(calibration: CalibrationSource | None, door: str, recipe: object) -> CalibrationSource:
    """The calibration that a recipe needs; :class:`~fairopt.errors.InputError` in the name of ``door`` without one."""
    if calibration is None:
        raise InputError(f"{door}: calibration must be given for '{recipe}', which looks at activations, got None")
    return calibration


def _positions(model: nn.Module) -> int | None:
    """Tokens that the model has positions for: RoBERTa and its kin number them from the padding token's id on."""
    limit: int | None = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
    padding = getattr(getattr(embeddings, "position_embeddings", None), "padding_idx", None)
    return limit if limit is None or padding is None else limit - padding - 1


def _token_ids(documents: Iterable[Document], tokenizer: Any) -> Iterator[torch.Tensor]:
    for i, document in enumerate(documents):
        ids = _encode(document, tokenizer) if isinstance(document, str) else _as_ids(document, i)
        if len(ids):
            yield ids


def _encode(text: str, tokenizer: Any) -> torch.Tensor:
    if tokenizer is None:
        raise InputError("calibration: tokenizer must be given for texts, got None")
    return torch.tensor(tokenizer(text, truncation=False, verbose=False)["input_ids"], dtype=torch.int64)


def _as_ids(document: Any, index: int) -> torch.Tensor:
    try:
        ids = torch.as_tensor(document)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"calibration: documents must be texts or token ids, got {type(document).__name__} at {index}"
        ) from None
    if ids.dim() != 1 or (len(ids) and (ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool)):
        what = f"{str(ids.dtype).removeprefix('torch.')} {list(ids.shape)}"
        raise InputError(f"calibration: token ids must be integers of one dimension, got {what} at {index}")
    if len(ids) and int(ids.min()) < 0:
        raise InputError(f"calibration: token ids must not be negative, got {int(ids.min())} at {index}")
    return ids.to("cpu", torch.int64)


def _bytes(ids: torch.Tensor) -> bytes:
    return ids.numpy().astype("<i8").tobytes()


def _key(seed: int, piece: torch.Tensor) -> bytes:
    return hashlib.sha256(f"{seed}:".encode() + _bytes(piece)).digest()


def _first(pieces: Iterable[torch.Tensor], tokens: int) -> list[torch.Tensor]:
    """As many as hold ``tokens`` tokens."""
    chosen: list[torch.Tensor] = []
    for piece in pieces:
        if tokens <= 0:
            break
        chosen.append(piece)
        tokens -= len(piece)
    return chosen


def _hash(sequences: Iterable[torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(f"{len(sequence)}:".encode() + _bytes(sequence))
    return digest.hexdigest()


def read_documents(file: str | os.PathLike[str]) -> list[str]:
    """The texts of a calibration file.

    ``.txt``: documents apart by blank lines, or one a line where there is none. ``.jsonl``: objects with "text".
    ``.parquet``: the column "text", or the only one of strings.

    Raises :class:`~fairopt.errors.InputError` for a file that cannot be read so, or without a text.
    """
    path = Path(file)
    readers = {".txt": _read_txt, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
    reader = readers.get(path.suffix)
    if reader is None:
        raise InputError(f"calibration: file must be one of *{', *'.join(readers)}, got '{path}'")
    try:
        texts = [text for text in reader(path) if text.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"calibration: '{path}' must be readable, got {error}") from None
    if not texts:
        raise InputError(f"calibration: '{path}' must hold at least one text, got none")
    return texts


def _read_txt(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if all(line.strip() for line in lines):
        return lines
    documents: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            documents[-1].append(line)
        else:
            documents.append([])
    return ["\n".join(document) for document in documents]


def _read_jsonl(path: Path) -> list[str]:
    texts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row: Mapping[str, Any] = json.loads(line)
            text = row["text"]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise InputError(
                f"calibration: '{path}' must hold an object with a \"text\" on each line, got {line[:60]!r} "
                f"on line {number}"
            )
        texts.append(text)
    return texts


def _read_parquet(path: Path) -> list[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
        strings = [f.name for f in schema if pyarrow.types.is_string(f.type) or pyarrow.types.is_large_string(f.type)]
        column = "text" if "text" in strings else strings[0] if len(strings) == 1 else None
        if column is None:
            found = ", ".join(strings) or "none"
            raise InputError(f"calibration: '{path}' must have a column \"text\" of strings, got {found}")
        rows = parquet.read_table(path, columns=[column])[column].to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"calibration: '{path}' must be a Parquet file, got {error}") from None
    return [text for text in rows if text is not None]
