"""Small benchmarks over the alphabet of ``random_models``, one for each way to ask."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from fairopt import benchmarks
from fairopt.benchmarks import Benchmark, Generate, Item, LogLikelihood, Metric, Rolling
from fairopt.benchmarks.factor import CHAT, DECODING, SEED, samples

N_ITEMS = 40  # texts come in shards of 32
GROUPS = ("north", "south")
WORDS = ["abc", "the", "xyz ", "in it", "Q.", "he", "no 7"]


def metric(name: str, column: str) -> Metric:
    return Metric(
        id=f"{name}/{column}",
        title=f"{column} of {name}",
        kind="continuous",
        unit="score",
        harm="higher",
        value=lambda c: np.asarray(c[column], dtype=float),
        range=(-np.inf, np.inf),
        margin=0.1,
    )


class _Asking(Benchmark):
    version = "1"

    def items(self, data):
        return [
            Item(f"{i:03d}", GROUPS[i % 2], f"{i // 2}", (self.request(f"{WORDS[i % 7]} {i}"),), axis="point")
            for i in range(N_ITEMS)
        ]

    def request(self, text: str) -> tuple[str, str]:
        raise NotImplementedError


class Documents(_Asking):
    name = "documents"
    title = "Documents"
    ask = Rolling()
    metrics = (metric("documents", "nats"),)

    def request(self, text):
        return ("", text * 20)

    def evidence(self, item, answers):
        return {"nats": -answers[0].ll / answers[0].n_tokens}


class Chatted(_Asking):
    name = "chatted"
    title = "Said in a chat"
    factors = MappingProxyType({"chat": CHAT})
    metrics = (metric("chatted", "nats"),)

    def __init__(self, levels=()):
        super().__init__(dict(levels))
        self.ask = LogLikelihood(chat=self.levels["chat"] == "on")

    def request(self, text):
        return (text, " no")

    def evidence(self, item, answers):
        return {"nats": -answers[0].ll}


class Written(_Asking):
    name = "written"
    title = "Written texts"
    factors = MappingProxyType({"decoding": DECODING, "seed": SEED})
    metrics = (metric("written", "length"),)

    def __init__(self, levels=()):
        super().__init__(dict(levels))
        self.ask = Generate(
            8, samples=samples(self.levels["decoding"]), seed=int(self.levels["seed"]), scorers=("vader",)
        )

    def request(self, text):
        return (text, "")

    def evidence(self, item, answers):
        texts = answers[0]
        assert set(texts[0].scores) >= {"vader/compound"}
        return {"length": float(np.mean([len(text.text) for text in texts])), "text": texts[0].text}


def register() -> None:
    """Let ``benchmarks.get`` find them in this process."""
    for benchmark in (Documents(), Chatted(), Written()):
        benchmarks.register(benchmark)
