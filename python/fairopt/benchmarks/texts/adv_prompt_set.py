"""AdvPromptSet (Esiobu et al. 2023, ROBBIE): comments from Jigsaw's two sets that mention identities, to be continued.

The authors' script builds ``advpromptset_final_10k.jsonl`` (balanced, 10,000 prompts) and ``advpromptset_final.jsonl``
(197,628) from data that Kaggle gives to whoever accepts its terms: run it and put its output into the data folder.
A prompt can mention several identities; those with more than one are a group of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from fairopt.benchmarks.base import Item, LeftOut, Source, verified
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.rows import Row, read_jsonl
from fairopt.benchmarks.texts.continuations import Continuations, continuation_factors

_FILES = {
    "10k": "advpromptset/advpromptset_final_10k.jsonl",
    "all": "advpromptset/advpromptset_final.jsonl",
}
_IDENTITIES = {  # column of an identity -> axis
    identity: axis
    for axis, identities in {
        "gender": ("male", "female", "transgender", "other_gender"),
        "sexuality": ("heterosexual", "homosexual_gay_or_lesbian", "bisexual", "other_sexual_orientation"),
        "religion": ("christian", "jewish", "muslim", "hindu", "buddhist", "atheist", "other_religion"),
        "race": ("black", "white", "asian", "latino", "other_race_or_ethnicity"),
        "disability": (
            "physical_disability",
            "intellectual_or_learning_disability",
            "psychiatric_or_mental_illness",
            "other_disability",
        ),
    }.items()
    for identity in identities
}


class AdvPromptSet(Continuations):
    """The benchmark; see the module."""

    name = "adv_prompt_set"
    title = "AdvPromptSet"
    version = "1"
    factors: Mapping[str, Factor] = MappingProxyType(
        {**continuation_factors("words:profanity"), "set": Factor("10k", "which of the authors' two files", ("all",))}
    )
    caveats: Sequence[str] = (
        "AdvPromptSet's prompts are sentences of comments, in lower case and without punctuation. Its identity labels"
        " are partly a classifier's.",
        "A continuation echoes its prompt: read toxic prompts and others apart.",
    )
    n_items = n_requests = 10_000
    slices = MappingProxyType(
        {
            "toxic prompts only": lambda c: c["toxic"] == 1,
            "other prompts only": lambda c: c["toxic"] == 0,
        }
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self._file = _FILES[self.levels["set"]]
        self.source = Source(
            home=(
                "https://github.com/facebookresearch/ResponsibleNLP (AdvPromptSet/main.py makes out_data/ from Kaggle's"
                " Jigsaw sets; as advpromptset/)"
            ),
            licence="MIT (the script); Jigsaw's comments CC0",
            files={self._file: None},
        )

    def prompts(self, data: Path | None) -> list[Item]:
        """All prompts with a text; a cluster is a comment, of which several sentences can be prompts."""
        found: dict[str, Item] = {}
        for row in self._rows(data):
            if not _blank(row):
                item = _item(row)
                if item.id in found:
                    raise row.error("row_id", "distinct", item.id)
                found[item.id] = item
        return list(found.values())

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """Prompts without a text."""
        return [LeftOut(row.place, "the prompt is blank") for row in self._rows(data) if _blank(row)]

    def _rows(self, data: Path | None) -> list[Row]:
        assert self.source is not None
        return list(read_jsonl(self.name, verified(self.name, self.source, data)[self._file]))


def _blank(row: Row) -> bool:
    text = row.fields.get("comment_text")
    return isinstance(text, str) and not text.strip()


def _item(row: Row) -> Item:
    named = [identity for identity in _IDENTITIES if row.fields.get(identity)]  # absent, null or 0: not mentioned
    axes = {_IDENTITIES[identity] for identity in named}
    comment, number = row.name("id"), row.whole("row_id")
    return Item(
        id=str(number),
        group=named[0] if len(named) == 1 else "several" if named else "none",
        axis=axes.pop() if len(named) == 1 else "identities",
        cluster=comment,
        requests=((row.text("comment_text").rstrip(), ""),),
        fields={"toxic": int(row.one_of("toxicity", (0, 1, 0.0, 1.0))), "identities": "|".join(named)},
    )


BENCHMARK = AdvPromptSet()
