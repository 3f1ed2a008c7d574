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

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from fairopt.benchmarks.ask import Answer
from fairopt.benchmarks.base import Benchmark, Item, Score, Source
from fairopt.benchmarks.own.likelihood_scores import label_evidence, label_metrics, pair_agreement, pair_metrics
from fairopt.benchmarks.rows import Row, read_csv, read_jsonl, read_parquet
from fairopt.errors import InputError

_OP = "own_file"
SEPARATOR = "|"  # between the words of a ``choices`` field
_TEXT = {"text": "text", "label": "label", "choices": "choices"}
_PAIR = {"more": "text_more", "less": "text_less"}
_BOTH = {"group": "group", "id": "id", "pair": "pair", "cluster": "cluster"}
_OPTIONAL = ("id", "pair", "cluster", "choices")
READERS: Mapping[str, Callable[[str, Path], Iterator[Row]]] = {
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
        if path.suffix.lower() not in READERS:
            raise InputError(f"benchmark: file must end in {', '.join(READERS)}, got {location!r}")
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
        self.metrics = pair_metrics(stem) if self._spec.pairs else label_metrics(stem)
        if not self._spec.pairs:
            self.scores = (
                Score(f"{stem}/pair_agreement", "Pairs with one answer", pair_agreement, (0.0, 1.0), ideal=1.0),
            )
            self.confidence = lambda columns: (columns["confidence"], columns["lead"] > 0)

    def items(self, data: Path | None) -> list[Item]:
        """One item a row, in the file's order; ``data`` is not used.

        Raises:
            InputError: naming the file, the line and the column that cannot be used.
        """
        spec = self._spec
        rows = list(READERS[spec.path.suffix.lower()](_OP, spec.path))
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
        """Of pairs: log-likelihood (nats) and tokens of both texts. Of labelled texts: see :func:`label_evidence`."""
        if not self._spec.pairs:
            return label_evidence(item, answers)
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
