"""How BBQ's questions are put to a model, whichever way it answers: data, wording, demonstrations, chat."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from fairopt.benchmarks.base import Benchmark, Item, LeftOut, Source, verified
from fairopt.benchmarks.factor import CHAT, SEED, Factor
from fairopt.benchmarks.questions.bbq_items import (
    CATEGORIES,
    METADATA,
    NO_TARGET,
    Question,
    read_questions,
    read_targets,
)
from fairopt.errors import InputError, MissingData

_DIGESTS = {
    "Age": "46e805b3fc2d8cbd26eeb8e8430d98cf7b2dc9c83574ff3674e8ce4f0fca2a60",
    "Disability_status": "375d40d9b71f056150264445ec189b13934998f3f49a1e311aa7578eb3b45e5f",
    "Gender_identity": "8b5adbb368510a97d5775dc43e1c719e0249fe2da33f13c83e3e29edafec7a00",
    "Nationality": "a583e74666aec0341ded8aa3983e7cad694eb24de72c254d28b2df3035720090",
    "Physical_appearance": "e48d7e13508565f4801574e611043470c25c95a0a62af3699cb5ee7cb02608fb",
    "Race_ethnicity": "4a9f1214cfaa115ce7f0bdb40609122e431f5152c71b8ca64d665e483b946ae6",
    "Race_x_SES": "af8e2ae3d0e5be9ebcbfe7149e591d47ff649e263307f4548f7fb12f6a6d83e8",
    "Race_x_gender": "e5dbba782f8c4e25b99dd5470b5136e2db73dbf401cf6d4a5a3ed31b02f95696",
    "Religion": "cb9555f9f3454a52cd2df85956b59bd7fcca5aa922c8527693b1164d08417616",
    "SES": "9f92754bb037b0982604b9112705fb81d60a19d9e759c67e4a85e484a070f528",
    "Sexual_orientation": "2c71036b9e7584fe589c42aef32c1a42bc01b9a5e9b1b8704342630cdb08cefd",
}
_RAW = "https://raw.githubusercontent.com/nyu-mll/BBQ/bea11bd97d79217245b5871acd247b9d6eb24598"
SOURCE = Source(
    home="https://github.com/nyu-mll/BBQ (data/*.jsonl and analysis_scripts/additional_metadata.csv, below bbq/)",
    licence="CC BY 4.0",
    # The metadata are checked by what they say: a file of the earlier orientation is told from one that is broken.
    files={f"bbq/data/{category}.jsonl": digest for category, digest in _DIGESTS.items()} | {METADATA: None},
    whole=False,
    urls={
        f"bbq/{path}": f"{_RAW}/{path}"
        for path in (*(f"data/{category}.jsonl" for category in CATEGORIES), METADATA.removeprefix("bbq/"))
    },
)
N_QUESTIONS = 58_492  # in the eleven official files
FACTORS: Mapping[str, Factor] = MappingProxyType(
    {
        "template": Factor(
            "lm_eval", 'wording: "Q: ... A:", or "Context: ... Question: ... Answer:"', ("beyond_perplexity",)
        ),
        "chat": CHAT,
        "shots": Factor("0", "answered questions of the category shown before", pattern=r"[1-9]", form="a digit"),
        "seed": Factor(SEED.default, "which questions are shown", pattern=SEED.pattern, form=SEED.form),
    }
)
_WORDS = {  # before the question, before the answer
    "lm_eval": ("{context}\n\nQ: {question}", "A:"),
    "beyond_perplexity": ("Context: {context}\nQuestion: {question}", "Answer:"),
}
_FOLDS = 3  # as in the second study: what is shown comes from other folds, so from other templates


class BbqBenchmark(Benchmark):
    """What the ways to ask have in common."""

    source = SOURCE
    n_items = N_QUESTIONS
    factors = FACTORS
    slices = MappingProxyType(
        {
            "negative questions only": lambda c: c["polarity"] == "neg",
            "positive questions only": lambda c: c["polarity"] == "nonneg",
        }
    )

    def items(self, data: Path | None) -> list[Item]:
        """All questions of the category files that are there, at least one of the eleven, in the order of their names.

        Raises:
            InputError: naming file, line and field; or for metadata of the orientation before July 2022.
        """
        files = verified(self.name, SOURCE, data)
        metadata = files.pop(METADATA, None)
        if not files:
            raise MissingData(f"{self.name}: data must hold one of {', '.join(SOURCE.files)}, got {METADATA} alone")
        targets = read_targets(metadata) if metadata else None
        questions = [question for path in files.values() for question in read_questions(path, targets)]
        shown = self.demonstrations(questions)
        return [self.item(question, shown[question.category, question.template]) for question in questions]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """The category files that are not there."""
        found = verified(self.name, SOURCE, data)
        missing = [name for name in SOURCE.files if name not in found and name != METADATA]
        return [LeftOut(name, "the data folder does not hold it") for name in missing]

    def notes(self, items: Sequence[Item]) -> Sequence[str]:
        """Categories that were not there, and items whose target could not be told."""
        categories = {item.group.removesuffix(" (names)") for item in items}
        missing = sorted(set(CATEGORIES) - categories)
        lost = Counter(item.group for item in items if item.fields["target"] == NO_TARGET)
        said = [f"BBQ: not asked, because the data folder does not hold them: {', '.join(missing)}."] if missing else []
        if lost:
            counts = ", ".join(f"{category} {n}" for category, n in sorted(lost.items()))
            said.append(f"BBQ: the bias scores leave out items whose stereotyped group is not told apart: {counts}.")
        return said

    @abstractmethod
    def item(self, question: Question, shown: str) -> Item:
        """The item that asks a question, after the demonstrations."""

    def body(self, question: Question) -> str:
        """What is said before the answer's own line."""
        return _WORDS[self.levels["template"]][0].format(context=question.context, question=question.question)

    @property
    def prefix(self) -> str:
        """How the answer's line begins."""
        return _WORDS[self.levels["template"]][1]

    def solution(self, question: Question) -> str:
        """The right answer, as it goes on after :attr:`prefix`."""
        return f" {question.answers[question.label]}"

    def context(self, question: Question, shown: str) -> str:
        """The whole prompt or, in a chat, what the user says."""
        body = shown + self.body(question)
        return body if self.levels["chat"] == "on" else f"{body}\n{self.prefix}"

    def demonstrations(self, questions: Sequence[Question]) -> Mapping[tuple[str, str], str]:
        """What is shown before the questions of each template: the same for all of its fold."""
        shots = int(self.levels["shots"])
        if not shots:
            return defaultdict(str)
        found: dict[tuple[str, str], str] = {}
        for category in dict.fromkeys(question.category for question in questions):
            own = [question for question in questions if question.category == category]
            fold = {template: k % _FOLDS for k, template in enumerate(dict.fromkeys(q.template for q in own))}
            for number in set(fold.values()):
                others = [question for question in own if fold[question.template] != number]
                if len(others) < shots:
                    raise InputError(
                        f"{self.name}: shots must be at most the {len(others)} questions of other templates of"
                        f" {category}, got {shots}"
                    )
                seed = [int(self.levels["seed"]), CATEGORIES.index(category), number]
                drawn = np.random.default_rng(seed).choice(len(others), shots, replace=False)
                text = "".join(
                    f"{self.body(others[k])}\n{self.prefix}{self.solution(others[k])}\n\n" for k in drawn.tolist()
                )
                found |= {(category, template): text for template, own_fold in fold.items() if own_fold == number}
        return found
