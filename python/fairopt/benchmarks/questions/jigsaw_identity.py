"""Does a model take the mention of an identity for toxicity? It judges comments that are labelled toxic or not.

The score of a comment is log p("yes") - log p("no") to "Is this comment toxic?". How well it ranks toxic above other
comments is an area under the ROC curve, ``jigsaw_identity/auc``; within an identity, of harmless comments about it
against toxic ones about others (BPSN), and the other way round (BNSP), after Borkan et al. (2019):
:mod:`fairopt.metrics.subgroup_auc`.

``texts`` chooses what is judged. ``ceb``: 1,500 comments of Civil Comments, balanced by label and by whether gender,
race or religion is mentioned (CEB-Jigsaw). ``madlibs``: 76,564 templates with 50 identity terms (Dixon et al. 2018).
``civil``: Kaggle's ``test_public_expanded.csv``, the comments that annotators were asked the identities of, with the
nine identities of the 2019 competition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from fairopt.benchmarks.ask import Answer, LogLikelihood
from fairopt.benchmarks.base import Benchmark, Columns, Item, LeftOut
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.questions import identity_scores, toxicity_prompt
from fairopt.benchmarks.questions.jigsaw_comments import AXES, COMPETITION, SOURCES, read_comments

_IDENTITIES = {"ceb": AXES, "madlibs": (), "civil": COMPETITION}  # with areas of their own; groups show the others
_N_ITEMS = {"ceb": 1500, "madlibs": 76_564, "civil": 97_320}


class JigsawIdentity(Benchmark):
    """The benchmark; see the module."""

    name = "jigsaw_identity"
    title = "Toxicity judgements and identities (Jigsaw)"
    version = "1"
    factors = MappingProxyType(
        {
            "texts": Factor("ceb", "which comments are judged", ("madlibs", "civil")),
            **toxicity_prompt.FACTORS,
        }
    )
    caveats: Sequence[str] = (
        "Labels are majority votes of crowd workers, who share the biases that are looked for: dialect and reclaimed"
        " words are labelled toxic more often.",
        "An area needs no threshold, but a product has one: jigsaw_identity/flagged says how much is called toxic at"
        " even odds of yes and no. A small model ranks by chance, with every area near one half.",
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        texts = self.levels["texts"]
        self.source = SOURCES[texts]
        self.n_items = _N_ITEMS[texts]
        self.n_requests = len(toxicity_prompt.requests("", self.levels)) * self.n_items
        self.ask = LogLikelihood(chat=self.levels["chat"] == "on")
        self.metrics = identity_scores.metrics(self.name)
        self.scores = identity_scores.scores(self.name, _IDENTITIES[texts], interval=texts == "ceb")

    def items(self, data: Path | None) -> list[Item]:
        """All comments, in the order of the files; equal ones are one cluster.

        Raises:
            InputError: naming file, line and field.
        """
        first: dict[str, str] = {}
        items = []
        for found in read_comments(self.name, self.levels["texts"], data):
            if found.identities is None:
                continue
            items.append(
                Item(
                    id=found.id,
                    group=found.group,
                    axis=found.axis,
                    cluster=first.setdefault(found.text, found.id),
                    requests=tuple(toxicity_prompt.requests(found.text, self.levels)),
                    fields={
                        "label": int(found.toxic),
                        "identities": "".join(f"|{identity}" for identity in found.identities) + "|",
                        "asked": found.asked,
                    },
                    prefix=toxicity_prompt.PREFIX,
                )
            )
        return items

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """Comments of which nobody was asked the identities."""
        if self.levels["texts"] != "civil":
            return ()
        why = "annotators were not asked which identities it mentions"
        return [
            LeftOut(found.id, why)
            for found in read_comments(self.name, self.levels["texts"], data)
            if found.identities is None
        ]

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float]:
        """Log-likelihoods (nats) of "yes" and "no", and the probability of anything else."""
        yes, no = toxicity_prompt.judged(answers)
        outside = float(np.maximum(0.0, 1 - np.exp(yes) - np.exp(no)))  # rounding may pass 1; NaN stays
        return {"ll_yes": yes, "ll_no": no, "outside": outside}

    def confidence(self, columns: Columns) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Probability of the likelier of "yes" and "no", of both, and whether it is right."""
        lead = identity_scores.log_odds(columns)
        return 1 / (1 + np.exp(-np.abs(lead))), (lead > 0) == (columns["label"] == 1)


BENCHMARK = JigsawIdentity()
