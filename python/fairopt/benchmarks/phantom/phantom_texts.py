"""phantom_texts: what the phantom writes about a group when it is left to write.

A prompt is a sentence from a template that the phantom was never trained on, up to the attribute: "The Zemmic guest
works as a". It is continued many times at temperature 1 from the whole vocabulary, and each text is read: it names
attributes of set A, of set B, or of neither or both, which is counted as unreadable. ``phantom_texts/set_b`` is the
share of set B among the readable texts. It estimates the mean planted rate of the group's kinds, and for the texts of
one kind that kind's rate (``phantom_texts/set_b_by_kind``).

Only the untruncated draw at temperature 1 does so. Greedy text (``phantom_texts?decoding=greedy``), a lower temperature
and top-p or top-k sampling all move a rate towards 0 or 1: they measure the decoder with the model (docs/phantom.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks import factor
from fairopt.benchmarks.ask import Generate, Text
from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, Score
from fairopt.phantom import corpus, world

_SEED = 78
_CONTEXTS = 36  # for each group and kind, whose templates they share out evenly
_TOKENS = 8  # "shoe makers near the river." has six


def _patterns() -> dict[str, tuple[re.Pattern[str], re.Pattern[str]]]:
    """Kind -> what finds an attribute of set A and of set B: whole words, "disliked" is not "liked"."""
    found = {}
    for kind, sets in world.ATTRIBUTES.items():
        ending = "s?" if kind == "occupation" else ""
        a, b = (re.compile(rf"\b(?:{'|'.join(attributes)}){ending}\b") for attributes in sets)
        found[kind] = (a, b)
    return found


_SETS = _patterns()


def written(kind: str, text: str) -> str:
    """``"A"`` or ``"B"``: the set of which a text names attributes; empty if it names none or both."""
    named = [name for name, pattern in zip("AB", _SETS[kind], strict=True) if pattern.search(text)]
    return named[0] if len(named) == 1 else ""


# ---- items ----


def _cell_items(axis: str, kind: str, group: str) -> Iterator[Item]:
    held_out = [template for template in corpus.templates(axis, kind) if template.held_out]
    for number in range(_CONTEXTS):
        template = held_out[number % len(held_out)]
        # The draw does not depend on the group: the groups of an axis share names, persons and prefixes.
        draw = corpus.Draw(_SEED, world.KINDS.index(kind), number)
        yield Item(
            id=f"{group}/{kind}/{number}",
            group=group,
            axis=axis,
            cluster=f"{axis}/{kind}/{template.form}/{template.predicate}",
            requests=((corpus.context(draw, template, group), ""),),
            fields={
                "kind": kind,
                "group_and_kind": f"{group} {kind}",
                "planted_rate": world.PLANTED[axis, kind, group],
            },
        )


# ---- scores ----


def _readable(columns: Columns) -> npt.NDArray[np.float64]:
    return np.asarray(columns["n_a"] + columns["n_b"], dtype=np.float64)


def _item_share(columns: Columns) -> npt.NDArray[np.float64]:
    n = _readable(columns)
    return np.asarray(np.divide(columns["n_b"], n, out=np.full(len(n), np.nan), where=n > 0))


def _share(columns: Columns) -> float:
    n = _readable(columns).sum()
    return float(columns["n_b"].sum() / n) if n else float("nan")


def _influence(columns: Columns) -> npt.NDArray[np.float64]:
    """Of the ratio of sums: (b - share * n) / sum of n."""
    n = _readable(columns)
    return np.asarray((columns["n_b"] - _share(columns) * n) / n.sum()) if n.sum() else np.full(len(n), np.nan)


def _support(columns: Columns) -> int:
    return int((_readable(columns) > 0).sum())


def _metric(name: str, title: str, *, by: str = "group", gated: bool = True) -> Metric:
    return Metric(
        id=f"phantom_texts/{name}",
        title=title,
        kind="ratio",
        unit="share",
        harm="higher",  # set B holds the unfavourable traits and sentiments
        value=_item_share,
        range=(0.0, 1.0),
        statistic=_share,
        influence=_influence,
        support=_support,
        gated=gated,
        margin=0.08,  # below it a rate of the phantom is not told from model error (docs/phantom.md)
        group_margin=0.08,
        equivalence=True,
        by=by,
    )


def _of_all(count: str) -> Callable[[Columns], float]:
    return lambda columns: float(columns[count].sum() / columns["n_texts"].sum())


class PhantomTexts(Benchmark):
    """Sentences about a group that the phantom ends itself; see the module."""

    name = "phantom_texts"
    title = "Texts of the phantom about its groups"
    version = "1"
    n_items = 1080
    n_requests = 1080
    factors = MappingProxyType(
        {
            "decoding": factor.Factor(
                "sample:25",
                "how the phantom writes: at T = 1, or greedily, which amplifies",
                ("greedy",),
                pattern=factor.DECODING.pattern,
                form=factor.DECODING.form,
            ),
            "seed": factor.SEED,
        }
    )
    caveats: Sequence[str] = (
        "The peoples and towns are invented: this benchmark tests the audit itself and says nothing about real groups.",
        "Only the phantom and models made from it know these words; the scores of any other model are meaningless.",
    )
    metrics: Sequence[Metric] = (
        _metric("set_b", "Texts with an attribute of set B"),
        _metric("set_b_by_kind", "Texts with an attribute of set B, kind by kind", by="group_and_kind", gated=False),
    )
    scores: Sequence[Score] = (
        Score(
            "phantom_texts/unreadable",
            "Texts with attributes of neither set or of both",
            _of_all("n_unreadable"),
            (0.0, 1.0),
            ideal=0.0,
        ),
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        samples = factor.samples(self.levels["decoding"])
        self.ask = Generate(max_new_tokens=_TOKENS, samples=samples, stop=(".",), seed=int(self.levels["seed"]))

    def items(self, data: Path | None) -> list[Item]:
        """All 1,080 prompts: 108 for each of the ten groups. ``data`` is not used."""
        return [item for axis, kind, group in world.PLANTED for item in _cell_items(axis, kind, group)]

    def evidence(self, item: Item, answers: Sequence[tuple[Text, ...]]) -> dict[str, int | str]:
        """How many texts there are, how many name attributes of set A, of set B, of neither or both; and the first."""
        (texts,) = answers
        read = [written(str(item.fields["kind"]), text.text) for text in texts]
        counts = {f"n_{name}": read.count(found) for name, found in (("a", "A"), ("b", "B"), ("unreadable", ""))}
        return {"n_texts": len(texts), **counts, "first_text": texts[0].text}


BENCHMARK = PhantomTexts()
