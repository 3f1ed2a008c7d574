"""lm-evaluation-harness and fairopt on the same local files and the same model, item by item.

Both read the files by themselves, make their prompts, score them and decide. For every item the requests must be the
same texts; then the log-likelihoods are compared, in nats, and each number that both give an item. Exit 1 where one
differs by more than 1e-4 (of a request of more than 512 nats, two steps of float32), or by a whole decision.

One difference is known and set aside here, by asking the harness to do as we do: a request starts with exactly one BOS
token. The harness follows the tokenizer's habit where there is a context, and puts a second BOS before rolling texts.

    python tools/compare_with_lm_eval.py --model MODELS/TinyStories-656K --data DATA --limit 100
    python tools/compare_with_lm_eval.py --model MODEL --benchmark wikitext --benchmark mmlu --limit 0  # 0: all items
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval_tasks import CASES, Case
from rich.console import Console
from rich.table import Table

TOLERANCE = 1e-4  # nats, shares or bits per byte
Samples = dict[str, list[dict[str, Any]]]


@dataclass
class Agreement:
    """What one benchmark's comparison found, over all its tasks."""

    benchmark: str
    rolling: bool = False
    items: set[str] = field(default_factory=set)
    requests: int = 0
    prompts: int = 0  # items whose requests are not the harness's texts
    unscored: int = 0  # requests that the harness cannot score
    beyond: int = 0  # requests whose log-likelihoods differ by more than is allowed
    likelihood: float = 0.0  # largest difference of a request's log-likelihood, nats
    value: float = 0.0  # largest difference of a number that is no decision
    decisions: int = 0  # items whose decision differs, whatever the metric
    compared: int = 0  # decisions
    remark: str = ""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs by more than the tolerance."""
        wrong = self.prompts or self.decisions or (self.beyond and not self.rolling)
        return bool(self.items) and not wrong and self.value <= TOLERANCE


def allowed(ll: float) -> float:
    """Nats by which two log-likelihoods may differ.

    The harness adds a request's tokens in float32, whose numbers are 6e-5 apart from 512 on: a step each way there.
    """
    return max(TOLERANCE, 2 * float(np.spacing(np.float32(abs(ll)))))


# ---- the harness ----


def harness_samples(loaded: Any, cases: Sequence[Case], data: Path, limit: int | None) -> Samples:
    """Its answers to the first ``limit`` rows of each case, by the case's task name."""
    from lm_eval.evaluator import evaluate

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    window = loaded.model.config.get_text_config().max_position_embeddings
    has_bos = loaded.tokenizer.bos_token_id is not None
    found: Samples = {}
    for rolling in (False, True):
        tasks = {case.task: harness_task(case, data, limit) for case in cases if case.rolling == rolling}
        if tasks:
            bos = not rolling if has_bos else None  # before rolling texts it puts one by itself
            options = {"max_length": window, "batch_size": 16, "add_bos_token": bos, "device": "cpu"}
            lm = _harness()(pretrained=loaded.model, tokenizer=loaded.tokenizer, **options)
            result = evaluate(lm, task_dict=tasks, bootstrap_iters=0, log_samples=True)
            found |= {name: sorted(own, key=lambda s: s["doc_id"]) for name, own in result["samples"].items()}
    return found


def _harness() -> Any:
    """Its model class; what it cannot score, and would end over, is NaN: a continuation without a token of its own."""
    from lm_eval.models.huggingface import HFLM

    class Harness(HFLM):
        def _loglikelihood_tokens(self, requests: list[Any], *arguments: Any, **options: Any) -> list[Any]:
            possible = [request for request in requests if request[2]]
            answers = iter(super()._loglikelihood_tokens(possible, *arguments, **options))
            return [next(answers) if request[2] else (math.nan, False) for request in requests]

    return Harness


def harness_task(case: Case, data: Path, limit: int | None) -> Any:
    """The harness's task over the local rows."""
    import lm_eval.tasks
    from datasets import Dataset, DatasetDict
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(Path(lm_eval.tasks.__file__).parent / f"{case.yaml}.yaml")
    splits = {case.split: Dataset.from_list(case.rows(data)[:limit])}
    if case.shots:
        splits[config["fewshot_split"]] = Dataset.from_list(case.shots(data))
    for key in ("dataset_path", "dataset_name", "training_split", "validation_split", "test_split", "tag"):
        config.pop(key, None)
    config |= {
        "task": case.task,
        "custom_dataset": lambda **_: DatasetDict(splits),
        f"{case.split}_split": case.split,
        "num_fewshot": 5 if case.shots else 0,
    }
    if not case.shots:
        config.pop("fewshot_split", None)
    return ConfigurableTask(config=config)


# ---- the comparison ----


def compare(loaded: Any, cases: Sequence[Case], data: Path, limit: int | None) -> Iterable[Agreement]:
    """One entry a benchmark, in the order of the cases."""
    theirs = harness_samples(loaded, cases, data, limit)
    found: dict[str, Agreement] = {}
    for case in cases:
        entry = found.setdefault(case.benchmark, Agreement(case.benchmark, case.rolling, remark=case.remark))
        compare_case(entry, case, theirs[case.task], *our_answers(loaded, case, data, limit))
    return found.values()


def our_answers(loaded: Any, case: Case, data: Path, limit: int | None) -> tuple[Any, list[Any], list[list[Any]]]:
    """The benchmark, the case's items, and an answer for each request of each."""
    from fairopt import benchmarks
    from fairopt.audit.asking import ask
    from fairopt.models.loglikelihood import ScoreOptions

    benchmark = benchmarks.get(case.benchmark)
    items = [item for item in benchmark.items(data) if item.id.startswith(f"{case.part}/" if case.part else "")][:limit]
    return benchmark, items, ask(loaded, loaded, benchmark.ask, items, ScoreOptions(), lambda _: None).given


def compare_case(entry: Agreement, case: Case, theirs: Any, benchmark: Any, items: list[Any], given: list[Any]) -> None:
    """Enter what the harness's samples and our answers to the case's items have, and have not, in common."""
    from fairopt.benchmarks import item_columns

    if len(items) != len(theirs):
        raise SystemExit(f"{case.benchmark}: {len(items)} items of ours, {len(theirs)} of the harness's {case.yaml}")
    rows = [benchmark.evidence(item, own) for item, own in zip(items, given, strict=True)]
    columns = {**item_columns(items), **{name: np.array([row[name] for row in rows]) for name in rows[0]}}
    entry.items.update(item.id for item in items)
    each = zip(items, given, theirs, strict=True)
    scored = np.array([_compare_requests(entry, case, item, answers, sample) for item, answers, sample in each])
    metrics = {metric.id: metric for metric in benchmark.metrics}
    for name, metric_id in case.values.items():
        metric = metrics[metric_id]
        differences = np.abs(metric.value(columns) - [_number(sample[name]) for sample in theirs])[scored]
        if metric.kind == "binary":
            entry.decisions += int((differences > 0).sum())
            entry.compared += len(differences)
        else:
            entry.value = max(entry.value, float(differences.max(initial=0.0)))


def _compare_requests(entry: Agreement, case: Case, item: Any, answers: Sequence[Any], sample: dict[str, Any]) -> bool:
    """Whether the harness could score all of the item's requests."""
    got = [response[0] for response in sample["resps"]]
    scores = got if case.rolling else [ll for ll, _ in got]
    theirs = {tuple(said): float(ll) for said, ll in zip(sample["arguments"], scores, strict=True)}
    asked = [request[1:] if case.rolling else request for request in item.requests]
    ours = {request: answer.ll for request, answer in zip(asked, answers, strict=True)}
    both = ours.keys() & theirs.keys()
    expected = {"the same": ours.keys() | theirs.keys(), "more": ours.keys(), "a part": theirs.keys()}[case.asks]
    scored = [request for request in both if not math.isnan(theirs[request])]
    entry.prompts += both != expected
    entry.requests += len(scored)
    entry.unscored += len(both) - len(scored)
    differences = {request: abs(ours[request] - theirs[request]) for request in scored}
    entry.likelihood = max([entry.likelihood, *differences.values()])
    entry.beyond += sum(difference > allowed(ours[request]) for request, difference in differences.items())
    if case.asks == "more" and len(scored) == len(ours):  # its decision is another one: ours, from its scores
        entry.decisions += max(asked, key=ours.__getitem__) != max(asked, key=theirs.__getitem__)
        entry.compared += 1
    return len(scored) == len(both)


def _number(value: Any) -> float:
    """A sample's number; what the harness divides later is a pair of nats and bytes."""
    return float(value) if not isinstance(value, tuple) else -value[0] / value[1] / math.log(2)


# ---- what is printed ----


def printed(found: Iterable[Agreement]) -> Table:
    """A row a benchmark."""
    table = Table("benchmark", "items", "requests", "max |difference|", "differing decisions", "remark", box=None)
    for entry in found:
        size = f"{entry.value:.1e} bits/byte" if entry.rolling else f"{entry.likelihood:.1e} nats"
        decided = f"{entry.decisions} of {entry.compared:,}" if entry.compared else "-"
        wrong = f"{entry.prompts} items with other prompts" if entry.prompts else ""
        unscored = f"{entry.unscored} requests that the harness cannot score" if entry.unscored else ""
        said = "; ".join(part for part in (wrong, unscored, entry.remark) if part)
        row = (entry.benchmark, f"{len(entry.items):,}", f"{entry.requests:,}", size, decided, said)
        table.add_row(*row, style=None if entry.agrees else "bold red")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and say by the exit code whether everything agrees."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("FAIROPT_DATA"), required="FAIROPT_DATA" not in os.environ
    )
    parser.add_argument("--benchmark", action="append", help="name of ours, without levels; all of them by default")
    parser.add_argument("--limit", type=int, default=100, help="items of each file or subject; 0 for all")
    given = parser.parse_args(arguments)
    known = {case.benchmark.partition("?")[0] for case in CASES}
    unknown = set(given.benchmark or ()) - known
    if unknown:
        parser.error(f"--benchmark must be among {', '.join(sorted(known))}, got {', '.join(sorted(unknown))}")
    cases = [case for case in CASES if not given.benchmark or case.benchmark.partition("?")[0] in given.benchmark]
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"  # nothing but the local files
    from fairopt.models.loading import load_model

    found = list(compare(load_model(given.model), cases, Path(given.data), given.limit or None))
    Console(width=180).print(printed(found))
    return 0 if all(entry.agrees for entry in found) else 1


if __name__ == "__main__":
    sys.exit(main())
