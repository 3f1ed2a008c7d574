"""Answers as tables: one row an item, and back, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fairopt.benchmarks import Answer, Cosine, Text, Words

_ANSWER = ("ll", "n_tokens", "greedy")


def to_table(item_ids: Sequence[str], given: Sequence[Sequence[Any]]) -> Any:
    """A :class:`pyarrow.Table`; all answers are of one kind, each item has one a request."""
    import pyarrow as pa

    table = {"item_id": pa.array(item_ids, pa.string())}
    kind = next((type(answer) for own in given for answer in own), Answer)
    if kind is Answer:
        types = zip(_ANSWER, (pa.float64(), pa.int64(), pa.bool_()), strict=True)
        for name, of in types:
            table[name] = pa.array([[getattr(answer, name) for answer in own] for own in given], pa.list_(of))
    elif kind is Cosine:
        table["cosine"] = pa.array([[answer.mean for answer in own] for own in given], pa.list_(pa.float64()))
    elif kind is Words:
        words = [[list(answer.words) for answer in own] for own in given]
        table["words"] = pa.array(words, pa.list_(pa.list_(pa.string())))
    else:
        texts = [
            [[asdict(text) | {"scores": list(text.scores.items())} for text in one] for one in own] for own in given
        ]
        table["texts"] = pa.array(texts, pa.list_(pa.list_(_text_type())))
    return pa.table(table)


def _text_type() -> Any:
    import pyarrow as pa

    return pa.struct(
        {
            "text": pa.string(),
            "n_tokens": pa.int64(),
            "ll": pa.float64(),
            "finish": pa.string(),
            "base_ll": pa.float64(),
            "base_tokens": pa.int64(),
            "scores": pa.map_(pa.string(), pa.float64()),
        }
    )


def from_table(table: Any) -> tuple[list[str], list[list[Any]]]:
    """Ids of the items, and the answers of each."""
    rows = table.to_pydict()
    if "cosine" in rows:
        given: list[list[Any]] = [[Cosine(mean) for mean in own] for own in rows["cosine"]]
    elif "words" in rows:
        given = [[Words(tuple(words)) for words in own] for own in rows["words"]]
    elif "texts" in rows:
        given = [
            [tuple(Text(**text | {"scores": dict(text["scores"])}) for text in one) for one in own]
            for own in rows["texts"]
        ]
    else:
        columns = (rows[name] for name in _ANSWER)
        given = [[Answer(*answer) for answer in zip(*own, strict=True)] for own in zip(*columns, strict=True)]
    return rows["item_id"], given
