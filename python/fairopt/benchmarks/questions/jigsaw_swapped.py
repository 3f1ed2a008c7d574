"""Does a model judge a comment's toxicity otherwise when another identity is named in it? Real comments, in pairs.

Jigsaw's "fuzzed" test set holds 1,492 comments of Wikipedia's talk pages a second time, in half of them with the words
for one identity replaced by those for another. The label does not change, and the judgement should not either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from types import MappingProxyType

from fairopt.benchmarks.ask import Answer, LogLikelihood
from fairopt.benchmarks.base import Benchmark, Item, LeftOut, Source, verified
from fairopt.benchmarks.questions import toxicity_prompt
from fairopt.benchmarks.questions.counterfactual_scores import Pairs, of_choices
from fairopt.benchmarks.rows import read_csv
from fairopt.errors import InputError

_ORIGINAL, _SWAPPED = (f"jigsaw_identity/toxicity_{kind}_testset.csv" for kind in ("nonfuzzed", "fuzzed"))
_RAW = (
    "https://raw.githubusercontent.com/conversationai/unintended-ml-bias-analysis"
    "/9c7d91aaa53406a362354661a93e07956d95e59a/archive/unintended_ml_bias/eval_datasets"
)


class JigsawSwapped(Benchmark):
    """Pairs of comments; see the module."""

    name = "jigsaw_swapped"
    title = "Toxicity judgements with identities swapped (Jigsaw)"
    version = "1"
    n_items = 707
    n_requests = 707 * 24
    factors = toxicity_prompt.FACTORS
    source = Source(
        home="https://github.com/conversationai/unintended-ml-bias-analysis"
        " (archive/unintended_ml_bias/eval_datasets, as jigsaw_identity)",
        licence="CC BY 4.0",
        files={
            _ORIGINAL: "c11caefa0c487cb7a7fc0726cb53358d4e5463bd071d65979398af59fa80f881",
            _SWAPPED: "382f8698edc67dc0ebd521406d9b4fb27b0192a0d09559503bd965609382685c",
        },
        urls={path: f"{_RAW}/{path.rpartition('/')[2]}" for path in (_ORIGINAL, _SWAPPED)},
    )
    caveats: Sequence[str] = (
        "Words were replaced by a program: case is lost, and some sentences no longer make sense (a church that becomes"
        " heterosexual), so that a change of judgement can be right. Read the change against the base.",
        "A model that calls every comment toxic, or none, never flips: read jigsaw_identity/auc beside it.",
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self.ask = LogLikelihood(chat=self.levels["chat"] == "on")
        pairs = Pairs(self.name, 'probability of "yes, toxic"', decided=True)
        self.metrics = pairs.metrics
        self.scores = pairs.scores

    def items(self, data: Path | None) -> list[Item]:
        """One a comment with a swapped identity, in the files' order.

        Raises:
            InputError: naming file, line and field; or where the files are not about the same comments.
        """
        return [
            Item(
                id=number,
                group=terms[0] if len(terms) == 1 else "several",
                axis="identity in the original",
                cluster=number,
                requests=tuple(request for text in texts for request in toxicity_prompt.requests(text, self.levels)),
                fields={"set": number, "label": int(toxic)},
                prefix=toxicity_prompt.PREFIX,
            )
            for number, texts, toxic, terms in self._pairs(data)
            if terms
        ]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """Comments without another identity."""
        return [
            LeftOut(number, "the two texts are equal" if texts[0] == texts[1] else "the two texts differ in case only")
            for number, texts, _, terms in self._pairs(data)
            if not terms
        ]

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Probability of "yes" against "no" of both comments, and the decision: 0 toxic, 1 not."""
        half = len(answers) // 2
        (first, chosen), (second, other) = (
            of_choices([Answer(ll, 1) for ll in toxicity_prompt.judged(side)])
            for side in (answers[:half], answers[half:])
        )
        return {"first": first, "second": second, "decision_first": chosen, "decision_second": other}

    def _pairs(self, data: Path | None) -> Iterator[tuple[str, tuple[str, str], bool, list[str]]]:
        """Number, both texts, label, and the terms of the original that were replaced."""
        files = verified(self.name, self.source, data)
        rows = [list(read_csv(self.name, files[path])) for path in (_ORIGINAL, _SWAPPED)]
        if len(rows[0]) != len(rows[1]):
            raise InputError(f"{self.name}: {_SWAPPED!r} must hold {len(rows[0])} comments, got {len(rows[1])}")
        for original, swapped in zip(*rows, strict=True):
            number = original.name("rev_id")
            if swapped.name("rev_id") != number:
                raise swapped.error("rev_id", f"{number}, as in {original.place}", swapped.fields["rev_id"])
            toxic = original.one_of("toxic", ("True", "False")) == "True"
            texts = (original.text("comment"), swapped.text("comment"))
            yield number, texts, toxic, _replaced(*texts)


def _replaced(original: str, swapped: str) -> list[str]:
    """Words of the original that the other text has not in their place, letter case aside."""
    if original == swapped:
        return []
    first, second = (re.findall(r"\w+", text.lower()) for text in (original, swapped))
    if len(first) == len(second):
        return sorted({one for one, other in zip(first, second, strict=True) if one != other})
    changes = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    return sorted({" ".join(first[i:j]) for kind, i, j, _, _ in changes if kind != "equal"})


BENCHMARK = JigsawSwapped()
