"""What both ways to ask HONEST share: templates, lexicon and the share of hurtful answers (Nozza et al. 2021).

Templates in six languages name a person, female or male, or, in English, people by queer and other identities. Answers
are looked up in HurtLex (Bassignana et al. 2018) as the authors' package does: lemmas of the level "conservative",
accents aside, case not. The score is the share of all answers that hurt.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.base import Benchmark, Columns, Item, Metric, Score, Source, verified
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.rows import Row, read_csv
from fairopt.errors import InputError

_SHA256 = {
    "binary/en_template.tsv": "31cc5a89729638975eaf0de3457ed87c6c7da67ef9058119f53d931f8e26727c",
    "binary/es_template.tsv": "4595b6eba4cea86207d457a726c368805f62cfc7fdaaf355c83689454a354e1c",
    "binary/fr_template.tsv": "093f3d68ef0f7f6d52b2cdb6bf0d11633c9631dc5cd6560b35529b15a461f739",
    "binary/it_template.tsv": "c1927758ac720c93ee52a3ecef47058991a8b9c452df7ec7bc9a715058870953",
    "binary/pt_template.tsv": "e84f9f40974ede186b1f0ce83317c8faacd826fa674fecf3ffd5c30e476eb9b0",
    "binary/ro_template.tsv": "14011c7d85e6f85eb7aba7005a7f554aa1231d4d123971ad1d096d63d1a2e769",
    "queer_nonqueer/en_template.tsv": "29fb950897942d26b99d1485a18739c8a22ceb9326a548fd14b17bc335191100",
}
_RAW = "https://raw.githubusercontent.com/MilaNLProc/honest/6efc7817cbeb36e61bba51a34bbce13ecc8af69f/resources/"
_HURTLEX = "https://raw.githubusercontent.com/valeriobasile/hurtlex/10ae72a48a4d9266d0d0d72ed2f90d63ae6fdcae/lexica/"
_SLOT = "[M]"
_LEVELS = ("conservative", "inclusive")


def _share(columns: Columns) -> npt.NDArray[np.float64]:
    """Of the answers to each template that hurt; NaN without answers."""
    n = columns["n_answers"].astype(np.float64)
    return np.asarray(columns["n_hurtful"] / np.where(n > 0, n, np.nan))


def _empty(columns: Columns) -> float:
    """Share of the answers without a word."""
    n = columns["n_answers"]
    return float(columns["n_empty"].sum() / n.sum()) if len(n) and (n > 0).all() else float("nan")


class HonestTemplates(Benchmark):
    """One set of templates in one language; see the module. Subclasses ask, and read the answers."""

    version = "1"
    variant: ClassVar[str]  # id of the headline metric
    factors: Mapping[str, Factor] = MappingProxyType(
        {
            "language": Factor("en", "language of the templates and of the lexicon", ("es", "fr", "it", "pt", "ro")),
            "templates": Factor("binary", "women and men, or queer and other identities", ("queer_nonqueer",)),
            "k": Factor("20", "how many answers the model gives", pattern=r"[1-9]\d{0,2}", form="a whole number"),
        }
    )
    caveats: Sequence[str] = (
        "HurtLex sees words, not their use: it holds names of animals, plants and professions, and what groups call"
        " themselves; a word that hurts and is not in it counts as harmless. Case counts, as in the authors' package.",
        'Templates outside of English are translations; some sentences are not grammatical ("They has earned").',
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        language, templates = self.levels["language"], self.levels["templates"]
        self._templates = f"{templates}/{language}_template.tsv"
        if self._templates not in _SHA256:
            raise InputError(f"{self.name}: language must be en for templates {templates!r}, got {language!r}")
        queer, longer = templates == "queer_nonqueer", language in ("pt", "ro")
        self.n_items = self.n_requests = 705 if queer else 840 if longer else 810
        self._lexicon = f"honest/hurtlex_{language.upper()}.tsv"
        self.source = _source(self._templates, language.upper(), self._lexicon)
        self.metrics = _metrics(self.variant)
        self.scores = (Score(f"{self.name}/empty", "Answers without a word", _empty, (0.0, 1.0), ideal=0.0),)

    def items(self, data: Path | None) -> list[Item]:
        """One a template, in the file's order. Raises :class:`~fairopt.errors.InputError` naming file, line, field."""
        assert self.source is not None
        found = verified(self.name, self.source, data)
        lexicon = "\n".join(read_hurtlex(found[self._lexicon]))
        return read_items(found[f"honest/{self._templates}"], lexicon)


def _source(templates: str, language: str, lexicon: str) -> Source:
    return Source(
        home="https://github.com/MilaNLProc/honest (resources/*, as honest/*); the lexicon is HurtLex 1.2,"
        f" https://github.com/valeriobasile/hurtlex (lexica/{language}/1.2/hurtlex_{language}.tsv, as {lexicon})",
        licence="MIT; HurtLex: see its repository",
        files={f"honest/{templates}": _SHA256[templates], lexicon: None},
        urls={
            f"honest/{templates}": _RAW + templates,
            lexicon: f"{_HURTLEX}{language}/1.2/hurtlex_{language}.tsv",
        },
    )


def _metrics(name: str) -> tuple[Metric, ...]:
    share = Metric(
        id=name,
        title="Hurtful answers",
        kind="continuous",
        unit="share",
        harm="higher",
        value=_share,
        range=(0.0, 1.0),
        margin=0.01,  # one answer in a hundred
        group_margin=0.02,
    )
    return share, replace(share, id=f"{name}_by_type", title="Hurtful answers by topic", gated=False, by="type")


def read_items(path: Path, lexicon: str) -> list[Item]:
    """The templates of one file. Raises :class:`~fairopt.errors.InputError` naming file, line and field."""
    return [_item(index, row, lexicon) for index, row in enumerate(read_csv("honest", path, delimiter="\t"))]


def _item(index: int, row: Row, lexicon: str) -> Item:
    template, category = row.text("template_masked"), row.text("category")
    if template.count(_SLOT) != 1:
        raise row.error("template_masked", f"a text with one {_SLOT}", template)
    return Item(
        id=f"{index:03d}",
        group=category,
        axis="identity",
        cluster=row.text("raw"),
        requests=((template.replace(_SLOT, "BLANK"), lexicon),),
        fields={"identity": row.text("identity"), "number": row.text("number"), "type": row.text("type")},
    )


def read_hurtlex(path: Path) -> list[str]:
    """The conservative lemmas, each once, in order. Raises :class:`~fairopt.errors.InputError` for another layout."""
    lemmas = {
        without_accents(row.text("lemma"))
        for row in read_csv("honest", path, delimiter="\t")
        if row.one_of("level", _LEVELS) == "conservative"
    }
    if not lemmas:
        raise InputError(f"honest: {str(path)!r} must hold lemmas of the level conservative, got none")
    return sorted(lemmas)


@lru_cache(maxsize=8)
def entries(item_lexicon: str) -> frozenset[str]:
    """The words of a lexicon as it is in an item's request."""
    return frozenset(item_lexicon.split("\n"))


def without_accents(text: str) -> str:
    """Letters without their marks. The authors' ``unidecode`` also writes other scripts and ligatures in ASCII."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
