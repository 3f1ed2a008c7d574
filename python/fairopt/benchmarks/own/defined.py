"""The benchmark that a :class:`~fairopt.benchmarks.own.definition.Definition` defines, by its kind of score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from fairopt.benchmarks.ask import Answer, LogLikelihood
from fairopt.benchmarks.base import Benchmark, Item, Metric, Source
from fairopt.benchmarks.factor import CHAT
from fairopt.benchmarks.own.definition import Definition, Fields, Requests, read_definition
from fairopt.benchmarks.own.likelihood_scores import label_evidence, label_metrics, pair_metrics
from fairopt.benchmarks.own.own_file import SEPARATOR
from fairopt.benchmarks.own.slots import Slots
from fairopt.benchmarks.rows import Row
from fairopt.benchmarks.texts.continuations import Continuations, continuation_factors
from fairopt.errors import InputError

_CAVEAT = "What {title} measures is for its author to say; only its form was checked."


def defined(name: str) -> Benchmark:
    """The benchmark of ``file:PATH.yaml``.

    Raises :class:`~fairopt.errors.InputError` naming the file and the field that cannot be used.
    """
    definition = read_definition(Path(name.partition(":")[2]).expanduser())
    return _KINDS[definition.score["kind"]](name, definition, {})


def _describe(benchmark: Benchmark, definition: Definition) -> None:
    """What every kind takes from the file; the name is the definition's until metrics are made."""
    said = definition.said
    benchmark.name = definition.name
    benchmark.title = said.get("title", definition.name)
    benchmark.version = definition.version
    benchmark.source = Source(said.get("home", str(definition.path)), said.get("licence", "your own"), files={})
    benchmark.caveats = (*said.get("caveats", ()), _CAVEAT.format(title=benchmark.title))


def _limited(metrics: Sequence[Metric], definition: Definition) -> list[Metric]:
    """The file's margins in the place of the defaults."""
    said = definition.said
    return [
        replace(
            metric,
            margin=said.get("margin", metric.margin),
            group_margin=said.get("group_margin", metric.group_margin),
            large_group_margin=None if "group_margin" in said else metric.large_group_margin,
        )
        for metric in metrics
    ]


def _filled(slots: Slots, row: Row) -> str:
    return slots.fill(row.name)


class _Defined(Benchmark):
    """What is made from a definition."""

    _definition: Definition

    def _made(self, levels: Mapping[str, str]) -> Benchmark:
        return _KINDS[self._definition.score["kind"]](self.name, self._definition, levels)


class _Choices(_Defined):
    """The likeliest of several answers after the prompt."""

    factors = MappingProxyType({"chat": CHAT})

    def __init__(self, name: str, definition: Definition, levels: Mapping[str, str]) -> None:
        _describe(self, definition)
        super().__init__(levels)
        self.name, self._definition = name, definition
        self.ask = LogLikelihood(chat=self.levels["chat"] == "on")
        self.metrics = _limited(label_metrics(definition.name), definition)
        self.confidence = lambda columns: (columns["confidence"], columns["lead"] > 0)
        choices = definition.score["choices"]
        self._prompt = definition.slots("prompt", definition.said["prompt"])
        self._right = definition.slots("score.right", definition.score["right"])
        self._choices = () if isinstance(choices, str) else [definition.slots("score.choices", c) for c in choices]
        self._field = choices if isinstance(choices, str) else ""

    def items(self, data: Path | None) -> list[Item]:
        """One item a row; ``data`` is not used. Raises :class:`~fairopt.errors.InputError` naming file and field."""
        return self._definition.items(self._asked)

    def _asked(self, row: Row) -> tuple[Requests, Fields]:
        choices = [choice.strip() for choice in self._choices_of(row)]
        if len(choices) < 2 or len(set(choices)) < len(choices) or not all(choices):
            raise row.error("score.choices", "at least two distinct texts", choices)
        right = _filled(self._right, row)
        if right not in choices:
            raise row.error("score.right", f"one of {', '.join(choices)}", right)
        prompt = _filled(self._prompt, row).rstrip()  # the space before a word belongs to the word
        return [(prompt, f" {choice}") for choice in choices], {"label": right, "label_index": choices.index(right)}

    def _choices_of(self, row: Row) -> Sequence[str]:
        if not self._field:
            return [_filled(choice, row) for choice in self._choices]
        if isinstance(row.fields.get(self._field), list):
            return row.texts(self._field)
        return row.text(self._field).split(SEPARATOR)

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """See :func:`~fairopt.benchmarks.own.likelihood_scores.label_evidence`."""
        return label_evidence(item, answers)


class _Pair(_Defined):
    """Which of two texts the model prefers."""

    def __init__(self, name: str, definition: Definition, levels: Mapping[str, str]) -> None:
        _describe(self, definition)
        super().__init__(levels)
        self.name, self._definition = name, definition
        self.metrics = _limited(pair_metrics(definition.name), definition)
        self._prompt = definition.slots("prompt", definition.said.get("prompt", ""))
        self._texts = [definition.slots(f"score.{one}", definition.score[one]) for one in ("more", "less")]

    def items(self, data: Path | None) -> list[Item]:
        """One item a row; ``data`` is not used. Raises :class:`~fairopt.errors.InputError` naming file and field."""
        return self._definition.items(self._asked)

    def _asked(self, row: Row) -> tuple[Requests, Fields]:
        prompt = _filled(self._prompt, row).rstrip()
        texts = [_filled(text, row) for text in self._texts]
        if len(set(texts)) < len(texts):
            raise row.error("score.more", "another text than score.less", texts[0])
        return [(prompt, f" {text}" if prompt else text) for text in texts], {}

    def evidence(self, item: Item, answers: Sequence[Answer]) -> dict[str, float | int]:
        """Log-likelihood (nats) and tokens of both texts."""
        more, less = answers
        tokens = {"n_tokens_more": more.n_tokens, "n_tokens_less": less.n_tokens}
        return {"ll_more": more.ll, "ll_less": less.ll, **tokens}


class _Generation(_Defined, Continuations):
    """What the model writes after the prompt."""

    def __init__(self, name: str, definition: Definition, levels: Mapping[str, str]) -> None:
        _describe(self, definition)
        score, own = definition.score, self.caveats
        factors = dict(continuation_factors(score["scorer"], str(score.get("max_new_tokens", 20))))
        if "samples" in score:
            factors["decoding"] = replace(factors["decoding"], default=f"sample:{score['samples']}", levels=("greedy",))
        self.factors, self.stop = factors, tuple(score.get("stop", ()))
        try:
            super().__init__(levels)
        except InputError as error:
            raise InputError(f"own_benchmark: score in {str(definition.path)!r}: {error}") from None
        self.name, self._definition = name, definition
        self.caveats = (*own, *self._scorer.caveats)
        self.metrics = _limited(self.metrics, definition)
        self._prompt = definition.slots("prompt", definition.said["prompt"])

    def prompts(self, data: Path | None) -> list[Item]:
        """One item a row; ``data`` is not used."""
        return self._definition.items(lambda row: ([(_filled(self._prompt, row).rstrip(), "")], {}))


_KINDS: Mapping[str, Callable[[str, Definition, Mapping[str, str]], Benchmark]] = {
    "choices": _Choices,
    "pair": _Pair,
    "generation": _Generation,
}
