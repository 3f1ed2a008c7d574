"""Your own data as a benchmark: ``file:PATH?column=NAME&...``, CSV, TSV, JSONL or Parquet.

Two kinds of rows, told apart by the columns that the name mentions:

* *labelled texts* (the default): ``text`` with the right ``label``. The answer is the likeliest of several words after
  the text (``.../acc``, summed log-likelihood; ``.../acc_norm``, per character): those in ``choices``, or all labels of
  the file. Rows with the same ``pair`` are versions of one text, such as a name swapped: the share of pairs that get
  one answer is described beside the accuracy.
* *pairs of texts*: naming ``more`` or ``less`` makes each row a pair, ``more`` being the text that a fair-minded reader
  would not want to gain (``.../ll_sum``, ``.../ll_mean``, as for CrowS-Pairs).

Every row has a ``group``; ``id``, ``pair`` and ``cluster`` are optional.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, Score, Source
from fairopt.benchmarks.likelihood.crows_pairs import preference_metric
from fairopt.benchmarks.rows import Row, read_csv, read_jsonl, read_parquet
from fairopt.errors import InputError

_OP = "own_file"
SEPARATOR = "|"  # between the words of a ``choices`` field
_TEXT = {"text": "text", "label": "label", "choices": "choices"}
_PAIR = {"more": "text_more", "less": "text_less"}
_BOTH = {"group": "group", "id": "id", "pair": "pair", "cluster": "cluster"}
_OPTIONAL = ("id", "pair", "cluster", "choices")
_READERS: Mapping[str, Callable[[str, Path], Iterator[Row]]] = {
    ".csv": read_csv,
    ".tsv": lambda name, path: read_csv(name, path, delimiter="\t"),
    ".jsonl": read_jsonl,
    ".parquet": read_parquet,
}


@dataclass(frozen=True)
class _Spec:
    """A name, taken apart."""

    path: Path
    columns: Mapping[str, str]  # what a column is for -> its name in the file
    named: frozenset[str]  # what the user named: such a column must be there
    pairs: bool

    @classmethod
    def parse(cls, name: str) -> _Spec:
        location, _, query = name.partition(":")[2].partition("?")
        try:
            given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise InputError(f"benchmark: columns must be given as ?text=NAME&label=NAME, got {query!r}") from None
        pairs = any(use in _PAIR for use, _ in given)
        known = (_PAIR if pairs else _TEXT) | _BOTH
        for use, column in given:
            if use not in known or not column:
                raise InputError(
                    f"benchmark: columns of {name!r} must be named for {', '.join(known)}, got {use}={column}"
                )
        if len(dict(given)) < len(given):
            raise InputError(f"benchmark: columns of {name!r} must be named once each, got {query!r}")
        path = Path(location).expanduser()
        if path.suffix.lower() not in _READERS:
            raise InputError(f"benchmark: file must end in {', '.join(_READERS)}, got {location!r}")
        return cls(path, known | dict(given), frozenset(dict(given)), pairs)

    def has(self, use: str, row: Row) -> bool:
        """Whether an optional column is there; one that was named has to be."""
        return use in self.named or self.columns[use] in row.fields


class OwnFile(Benchmark):
    """Rows of one file; see the module."""

    title = "Your own data"
    version = "1"
    caveats: Sequence[str] = ("What your own data measures is for you to say; only its form was checked.",)

    def __init__(self, name: str) -> None:
        self.name = name
        self._spec = _Spec.parse(name)
        stem = re.sub(r"[^\w-]", "_", self._spec.path.stem)
        self.title = f"Your own data: {self._spec.path.name}"
        self.source = Source(home=str(self._spec.path), licence="your own", files={})
        self.metrics = _pair_metrics(stem) if self._spec.pairs else _label_metrics(stem)
        if not self._spec.pairs:
            self.scores = (
                Score(f"{stem}/pair_agreement", "Pairs with one answer", _pair_agreement, (0.0, 1.0), ideal=1.0),
            )
            self.confidence = lambda columns: (columns["confidence"], columns["lead"] > 0)

    def items(self, data: Path | None) -> list[Item]:
        """One item a row, in the file's order; ``data`` is not used.

        Raises:
            InputError: naming the file, the line and the column that cannot be used.
        """
        spec = self._spec
        rows = list(_READERS[spec.path.suffix.lower()](_OP, spec.path))
        if not rows:
            raise InputError(f"{_OP}: {str(spec.path)!r} must hold at least one row, got none")
        words = [] if spec.pairs else sorted({row.name(spec.columns["label"]) for row in rows})
        items: list[Item] = []
        seen: set[str] = set()
        for number, row in enumerate(rows):
            item = _item(spec, row, f"{number:06d}", words)
            if item.id in seen:
                raise row.error(spec.columns["id"], "distinct", item.id)
            seen.add(item.id)
            items.append(item)
        return items

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Of pairs: log-likelihood (nats) and tokens of both texts. Of labelled texts: see :func:`_label_evidence`."""
        if not self._spec.pairs:
            return _label_evidence(item, answers)
        more, less = answers
        tokens = {"n_tokens_more": more.n_tokens, "n_tokens_less": less.n_tokens}
        return {"ll_more": more.ll, "ll_less": less.ll, **tokens}


def _item(spec: _Spec, row: Row, number: str, words: Sequence[str]) -> Item:
    def optional(use: str, otherwise: str) -> str:
        return row.name(spec.columns[use]) if spec.has(use, row) else otherwise

    item_id = optional("id", number)
    pair = optional("pair", item_id)
    if spec.pairs:
        more, less = (row.text(spec.columns[use]) for use in ("more", "less"))
        requests: tuple[tuple[str, str], ...] = (("", more), ("", less))
        fields: dict[str, str | int | float] = {"pair": pair}
    else:
        choices = _choices(spec, row, words)
        label = row.name(spec.columns["label"])
        if label not in choices:
            raise row.error(spec.columns["label"], f"one of {', '.join(choices)}", label)
        text = row.text(spec.columns["text"]).rstrip()  # the space before a word belongs to the word
        requests = tuple((text, f" {choice}") for choice in choices)
        fields = {"pair": pair, "label": label, "label_index": choices.index(label)}
    return Item(
        id=item_id,
        group=row.name(spec.columns["group"]),
        axis=spec.columns["group"],
        cluster=optional("cluster", pair),
        requests=requests,
        fields=fields,
    )


def _choices(spec: _Spec, row: Row, words: Sequence[str]) -> list[str]:
    column = spec.columns["choices"]
    if not spec.has("choices", row):
        own, column = list(words), spec.columns["label"]
    elif isinstance(row.fields.get(column), list):
        own = row.texts(column)
    else:
        own = row.text(column).split(SEPARATOR)
    choices = [choice.strip() for choice in own]
    if len(choices) < 2 or len(set(choices)) < len(choices) or not all(choices):
        raise row.error(column, f"at least two distinct words, separated by {SEPARATOR!r}", SEPARATOR.join(choices))
    return choices


# ---- pairs of texts ----


def _pair_metrics(stem: str) -> tuple[Metric, ...]:
    return (
        preference_metric(f"{stem}/ll_sum", "crows/ll_sum", "Preference for the first text"),
        preference_metric(
            f"{stem}/ll_mean",
            "crows/ll_mean",
            "Preference for the first text per token",
            instead_of=f"{stem}/ll_sum",
        ),
    )


# ---- labelled texts ----


def _label_evidence(item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
    """Which choice is the likeliest, and by how much the label leads the best other choice (nats).

    ``chosen`` is an index into the choices, -1 without a score; ``confidence`` its softmax probability. The same lead
    per character of the choice is ``lead_norm``. A tie is no lead.
    """
    label = int(item.fields["label_index"])
    scores = np.array([answer.ll for answer in answers])
    characters = np.array([len(choice) - 1 for _, choice in item.requests])  # without the leading space
    chosen = -1 if np.isnan(scores).any() or np.isneginf(scores).all() else int(np.argmax(scores))
    return {
        "ll_label": answers[label].ll,
        "n_tokens_label": answers[label].n_tokens,
        "chosen": chosen,
        "lead": _lead(scores, label),
        "lead_norm": _lead(scores / characters, label),
        "confidence": math.nan if chosen < 0 else float(1 / np.exp(scores - scores.max()).sum()),
    }


def _lead(scores: npt.NDArray[np.float64], label: int) -> float:
    others = np.delete(scores, label)
    return float(scores[label] - others.max())


def _label_metrics(stem: str) -> tuple[Metric, ...]:
    return (
        _accuracy(f"{stem}/acc", "Accuracy", "lead"),
        _accuracy(f"{stem}/acc_norm", "Accuracy per character", "lead_norm", instead_of=f"{stem}/acc"),
    )


def _accuracy(name: str, title: str, lead: str, *, instead_of: str = "") -> Metric:
    def value(columns: Columns) -> npt.NDArray[np.float64]:
        return np.where(np.isnan(columns[lead]), np.nan, columns[lead] > 0)

    def preference(columns: Columns) -> npt.NDArray[np.float64]:
        return np.asarray(columns[lead], dtype=np.float64)

    return Metric(
        id=name,
        title=title,
        kind="binary",
        unit="share",
        harm="lower",
        value=value,
        preference=preference,
        range=(0.0, 1.0),
        gated=not instead_of,
        instead_of=instead_of,
        margin=0.02,
        group_margin=0.10,
        large_group_margin=0.05,
    )


def _pair_agreement(columns: Columns) -> float:
    """Share of the pairs whose rows all get the same choice; NaN without pairs or where a row has no score."""
    chosen, pair = columns["chosen"], columns["pair"]
    if len(chosen) == 0 or (chosen < 0).any():
        return math.nan
    _, code, size = np.unique(pair, return_inverse=True, return_counts=True)
    lowest, highest = np.full(len(size), chosen.max()), np.full(len(size), -1)
    np.minimum.at(lowest, code, chosen)
    np.maximum.at(highest, code, chosen)
    pairs = size > 1
    return float(np.mean(lowest[pairs] == highest[pairs])) if pairs.any() else math.nan
