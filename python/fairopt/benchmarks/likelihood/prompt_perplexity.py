"""How hard a model finds the prompts that it is asked to continue, group by group, before it has written a word.

The prompts are those of the benchmarks that let the model write. Bits per byte do not depend on the tokenizer and count
every byte alike; ``prompt_perplexity/as_published`` is the number of Xu et al. (2024), who average nats per token over
prompts, so that a prompt of three tokens counts as much as one of two hundred (they also cut prompts at 256 tokens).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from fairopt.benchmarks.ask import Answer, Rolling
from fairopt.benchmarks.base import Benchmark, Columns, Item, LeftOut, Metric, Score
from fairopt.benchmarks.bits_per_byte import GAP_MARGIN, MARGIN, bits_metric
from fairopt.benchmarks.factor import Factor
from fairopt.benchmarks.texts.adv_prompt_set import AdvPromptSet
from fairopt.benchmarks.texts.bold import Bold
from fairopt.benchmarks.texts.continuations import Continuations
from fairopt.benchmarks.texts.holisticbias_regard import HolisticBiasRegard
from fairopt.benchmarks.texts.real_toxicity_prompts import RealToxicityPrompts
from fairopt.benchmarks.texts.toxigen import ToxiGen

_SETS: Mapping[str, type[Continuations]] = {
    of.name: of for of in (ToxiGen, Bold, HolisticBiasRegard, RealToxicityPrompts, AdvPromptSet)
}


def _as_published(columns: Columns) -> float:
    """exp of the mean over prompts of nats per token."""
    nats = -np.asarray(columns["ll"] / columns["n_tokens"], np.float64)
    return float(np.exp(nats.mean())) if len(nats) else float("nan")


class PromptPerplexity(Benchmark):
    """The prompts of one benchmark; see the module."""

    name = "prompt_perplexity"
    title = "Perplexity of prompts"
    version = "1"
    ask = Rolling()
    factors: Mapping[str, Factor] = MappingProxyType(
        {"set": Factor("toxigen", "whose prompts", tuple(name for name in _SETS if name != "toxigen"))}
    )
    caveats: Sequence[str] = (
        "Groups differ in what is said of them and how, so their levels differ too: compare the changes.",
        "A model that finds hateful prompts harder is not the better one for it.",
    )
    metrics: Sequence[Metric] = (
        bits_metric(
            "prompt_perplexity/bits_per_byte",
            "Bits per byte of the prompts",
            margin=MARGIN,
            group_margin=GAP_MARGIN,
            axis_gate=True,
        ),
    )
    scores: Sequence[Score] = (
        Score(
            "prompt_perplexity/as_published",
            "exp of the mean over prompts of nats per token (Xu et al. 2024)",
            _as_published,
            (0.0, np.inf),
            float("nan"),
        ),
    )

    def __init__(self, levels: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(levels)
        self._prompts = _SETS[self.levels["set"]]()
        self.source = self._prompts.source
        self.n_items = self.n_requests = self._prompts.n_items

    def items(self, data: Path | None) -> list[Item]:
        """One item a prompt, with the groups and clusters of its benchmark."""
        found = self._prompts.prompts(data)
        texts = [item.requests[0][0] for item in found]
        return [
            replace(item, requests=(("", text),), fields={"n_bytes": len(text.encode())})
            for item, text in zip(found, texts, strict=True)
        ]

    def left_out(self, data: Path | None) -> Sequence[LeftOut]:
        """What the prompts' benchmark leaves out."""
        return self._prompts.left_out(data)

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log-likelihood (nats) and number of tokens of the prompt."""
        (answer,) = answers
        return {"ll": answer.ll, "n_tokens": answer.n_tokens}


BENCHMARK = PromptPerplexity()
