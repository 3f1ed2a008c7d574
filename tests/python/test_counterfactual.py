"""Your own templates: gaps and flips by hand, the grammar of the file, the shipped words, bad files by line."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairopt as fo
from fairopt import benchmarks, metrics
from fairopt.benchmarks import Answer, Benchmark, Item, LogLikelihood, item_columns
from fairopt.errors import InputError
from fairopt.models.loading import load_model
from fairopt.models.loglikelihood import loglikelihood

YAML = """\
groups:
  woman: {name: [Ann, Eve], pronoun: she}
  man: {name: [Bob, Jim], pronoun: he}
  child: {name: [Kim, Lee], pronoun: they}
choices: [yes, no]
templates:
  - "{name} can drive. Can {pronoun}? Answer:"
  - template: "{Pronoun} can swim. Answer:"
    id: swim
    choices: [yes, no, maybe]
"""


def asked(tmp_path: Path, text: str = YAML, name: str = "mine.yaml", query: str = "") -> Benchmark:
    (tmp_path / name).write_text(text)
    return benchmarks.get(f"counterfactual:{tmp_path / name}{query}")


# ---- pure functions ----


def test_by_hand() -> None:
    """Set a: .2, .5, .9, all alike decided: gap .7, no flip. Set b: .4 and .6, decided 0 and 1: gap .2, a flip."""
    values, sets = [0.2, 0.4, 0.5, 0.6, 0.9], ["a", "b", "a", "b", "a"]
    assert metrics.counterfactual_gap(values, sets) == pytest.approx((0.7 + 0.2) / 2)
    assert metrics.counterfactual_flip_rate([1, 0, 1, 1, 1], sets) == 0.5
    assert metrics.excess_flip_rate([1, 0, 1, 1, 1], [1, 0, 0, 1, 1], sets) == 0.5
    assert math.isnan(metrics.counterfactual_gap([], []))
    assert math.isnan(metrics.counterfactual_gap([0.1, math.nan], ["a", "a"]))
    assert math.isnan(metrics.counterfactual_flip_rate([1, -1], ["a", "a"]))
    with pytest.raises(ValueError, match="counterfactual_gap: sets must be one label for each of 2 items, got 1"):
        metrics.counterfactual_gap([0.1, 0.2], ["a"])


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=40), st.randoms()
)
def test_what_always_holds(rows: list[tuple[float, int, int]], shuffle: random.Random) -> None:
    values, decisions, sets = (list(column) for column in zip(*rows, strict=True))
    gap, flips = metrics.counterfactual_gap(values, sets), metrics.counterfactual_flip_rate(decisions, sets)
    assert 0 <= gap <= 1
    assert 0 <= flips <= 1
    others = shuffle.sample(rows, len(rows))
    values, decisions, sets = (list(column) for column in zip(*others, strict=True))
    assert metrics.counterfactual_gap(values, [f"set {s}" for s in sets]) == pytest.approx(gap, abs=1e-12)
    assert metrics.counterfactual_flip_rate([2 - d for d in decisions], sets) == flips  # other names for the decisions
    assert metrics.counterfactual_gap(values, list(range(len(values)))) == 0.0  # nothing to compare with


# ---- items ----


def test_items(tmp_path: Path) -> None:
    benchmark = asked(tmp_path)
    items = benchmark.items(None)
    assert len(items) == 2 * 3 + 3  # two names and three pairs; the second template has one word a group
    first, *_, last = items
    assert first.id == "0000/0/woman/man"
    assert (first.group, first.axis, first.cluster) == ("woman / man", "pair of groups", "0000")
    assert first.requests == (
        ("Ann can drive. Can she? Answer:", " yes"),
        ("Ann can drive. Can she? Answer:", " no"),
        ("Bob can drive. Can he? Answer:", " yes"),
        ("Bob can drive. Can he? Answer:", " no"),
    )
    assert last.id == "swim/0/man/child"
    assert last.requests[-1] == ("They can swim. Answer:", " maybe")
    assert [item.fields["set"] for item in items[:4]] == ["0000/0"] * 3 + ["0000/1"]


def test_scored_as_texts(tmp_path: Path) -> None:
    benchmark = asked(tmp_path, query="?score=text")
    item = benchmark.items(None)[0]
    assert item.requests == (("", "Ann can drive. Can she? Answer:"), ("", "Bob can drive. Can he? Answer:"))
    assert benchmark.evidence(item, [Answer(-20.0, 10), Answer(-33.0, 11)]) == {"first": -2.0, "second": -3.0}
    assert [metric.id for metric in benchmark.metrics if metric.gated] == ["mine/gap"]
    assert benchmark.metrics[0].unit == "nats"


def test_evidence_by_hand(tmp_path: Path) -> None:
    """Three groups and one template: p(yes) = .75, .5, .25; the decisions are yes, yes (a tie) and no."""
    text = YAML.replace("name: [Ann, Eve], ", "").replace("name: [Bob, Jim], ", "").replace("name: [Kim, Lee], ", "")
    text = "\n".join(line for line in text.splitlines() if "drive" not in line).replace(", maybe", "")
    benchmark = asked(tmp_path, text)
    items = benchmark.items(None)
    of_group = {"She": (0.6, 0.2), "He": (0.3, 0.3), "They": (0.1, 0.3)}
    evidence = []
    for item in items:
        answers = [
            Answer(math.log(of_group[context.split()[0]][continuation == " no"]), 1)
            for context, continuation in item.requests
        ]
        evidence.append(benchmark.evidence(item, answers))
    columns = {**item_columns(items), **{k: np.array([row[k] for row in evidence]) for k in evidence[0]}}
    values = {metric.id: metric.value(columns).tolist() for metric in benchmark.metrics}
    assert [item.group for item in items] == ["woman / man", "woman / child", "man / child"]
    assert values["mine/flip"] == [0, 1, 1]
    assert values["mine/gap"] == pytest.approx([0.25, 0.5, 0.25])
    assert values["mine/difference"] == pytest.approx([0.25, 0.5, 0.25])
    scores = {score.id: score.value(columns) for score in benchmark.scores}
    assert scores["mine/set_flip_rate"] == 1.0
    assert scores["mine/set_gap"] == pytest.approx(0.5)  # the widest pair of the one set
    missing = columns | {"first": np.array([np.nan, 0.5, 0.5]), "decision_first": np.array([-1, 0, 0])}
    assert all(np.isnan(metric.value(missing)[0]) for metric in benchmark.metrics)
    assert all(math.isnan(score.value(missing)) for score in benchmark.scores)


def test_swapping_two_groups_turns_the_sign_only(tmp_path: Path) -> None:
    benchmark = asked(tmp_path)
    item = benchmark.items(None)[0]
    answers = [Answer(ll, 1) for ll in (-1.0, -2.0, -4.0, -1.5)]
    swapped = Item(**{**vars(item), "requests": item.requests[2:] + item.requests[:2]})
    here, there = benchmark.evidence(item, answers), benchmark.evidence(swapped, answers[2:] + answers[:2])
    columns, other = ({name: np.array([value]) for name, value in row.items()} for row in (here, there))
    by_id = {metric.id: metric for metric in benchmark.metrics}
    for name, sign in (("flip", 1), ("gap", 1), ("difference", -1)):
        assert by_id[f"mine/{name}"].value(other) == sign * by_id[f"mine/{name}"].value(columns)


def test_a_model_answers(tmp_path: Path) -> None:
    """The embedded model reads the versions: equal texts have no gap, others have one."""
    model = load_model("phantom")
    for words, same in (("{word: one}", True), ("{word: three}", False)):
        text = f"groups:\n  a: {{word: one}}\n  b: {words}\nchoices: [good, bad]\ntemplates: ['Day {{word}} was:']\n"
        benchmark = asked(tmp_path, text)
        (item,) = benchmark.items(None)
        found = loglikelihood(model.model, model.tokenizer, list(item.requests))
        answers = [Answer(float(ll), int(n)) for ll, n in zip(found.ll, found.n_tokens, strict=True)]
        evidence = benchmark.evidence(item, answers)
        assert (evidence["first"] == evidence["second"]) is same


def test_an_audit_of_your_own_templates(tmp_path: Path) -> None:
    """Flips are gated by pair of groups; the run opens again after the file is gone."""
    text = "choices: [she, he]\ntemplates: ['{name} ran to town. Then']\n"
    (tmp_path / "mine.yaml").write_text(text)
    name = f"counterfactual:{tmp_path / 'mine.yaml'}"
    run = fo.audit("phantom", ["nf4"], benchmarks=[name], out=tmp_path / "run")
    assert [gate.id for gate in run.compare("nf4").gates] == ["mine/flip:all", "mine/flip:woman / man"]
    (tmp_path / "mine.yaml").unlink()
    assert fo.open_run(tmp_path / "run").items(name).num_rows == 2 * 10  # base and variant, ten names each


# ---- files ----


def test_csv_and_jsonl_with_shipped_words(tmp_path: Path) -> None:
    csv = 'template,choices,id\n"{A_group} person, {people}:",A|F,one\n'
    items = asked(tmp_path, csv, "mine.csv", "?terms=religion").items(None)
    assert len(items) == 15
    assert items[4].group == "Christian / atheist"
    assert items[4].requests[3] == ("An atheist person, atheists:", " F")
    rows = [{"template": "{name} laughs:", "choices": ["A", "F"]}, {"template": "{pronoun}:", "choices": "A|F"}]
    items = asked(tmp_path, "\n".join(map(json.dumps, rows)), "mine.jsonl").items(None)
    assert (len(items), items[0].requests[0][0], items[-1].requests[2][0]) == (11, "Emily laughs:", "he:")
    chat = asked(tmp_path, csv, "mine.csv", "?terms=age&chat=on&choices=B|C")
    assert chat.ask == LogLikelihood(chat=True)


def test_names_of_the_data_folder(tmp_path: Path, data_dir: Path) -> None:
    text = "terms: gender\nnames: 30\nchoices: [A, F]\ntemplates: ['{name} laughs:']\n"
    items = asked(tmp_path, text).items(data_dir)
    names = json.loads((data_dir / "names" / "names.json").read_text())
    for item, her, him in zip(items, names["women"][:30], names["men"][:30], strict=True):
        assert [context for context, _ in item.requests] == [f"{her} laughs:"] * 2 + [f"{him} laughs:"] * 2


def test_words_of_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "towns.yaml").write_text("north: {town: Ulm}\nsouth: {town: Rome}\n")
    items = asked(tmp_path, "template\n{town} is:\n", "mine.csv", "?terms=towns.yaml&choices=big|small").items(None)
    assert [context for context, _ in items[0].requests] == ["Ulm is:"] * 2 + ["Rome is:"] * 2


@pytest.mark.parametrize("terms", ["gender", "race", "religion", "orientation", "age", "disability"])
def test_shipped_words_fill_the_same_slots(tmp_path: Path, terms: str) -> None:
    from fairopt.benchmarks.own.word_sets import words_of

    words = words_of(terms, tmp_path)
    slots = {group: {slot: len(given) for slot, given in own.items()} for group, own in words.items()}
    assert all(own == next(iter(slots.values())) for own in slots.values())
    assert all({"group", "a_group", "people"} <= own.keys() for own in words.values())
    assert len({own["group"][0] for own in words.values()}) == len(words)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{name} can drive. Can {pronoun}?", "She can drive.", "template in .*mine.yaml', line 7 must have a slot"),
        ("Can {pronoun}", "Can {job}", r"slots of .*line 7 must be of name, pronoun for woman, got \{job\}"),
        ("[Bob, Jim]", "[Bob, Jim, Tom]", "words of woman for .*line 7 must be one or 3, as elsewhere, got 2"),
        ("choices: [yes, no]\n", "", "choices of .*line 6 must be at least two words"),
        ("id: swim", "id: '0000'", "id in .*line 8 must be distinct, got '0000'"),
        ("id: swim", "name: swim", "line 8 must have template, id and choices, got template, name, choices"),
        ("groups:", "people:", "line 2 must be one of choices, groups, names, templates, terms, got 'people'"),
        ("pronoun: he}", "pronoun: ' '}", "pronoun of man in .*line 3 must be text that is not blank, got ' '"),
        ("templates:", "templates: {", "line .* must be YAML"),
        ("  child:", "  woman:", "line 2 must name everything once, got 'woman' twice"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in YAML
    with pytest.raises(InputError, match=rf"^counterfactual: .*{message}"):
        asked(tmp_path, YAML.replace(old, new, 1)).items(None)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?terms=planets", "terms must be one of gender, race, religion, orientation, age, disability or a YAML file"),
        ("?names=3&terms=race", "names must be asked for with terms=gender"),
    ],
)
def test_bad_words_are_named(tmp_path: Path, query: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked(tmp_path, "template,choices\n{group}:,a|b\n", "mine.csv", query).items(None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("counterfactual:x.txt", "file must end in .csv, .jsonl, .yaml or .yml"),
        ("counterfactual:x.csv?score=best", "options of .* must be of .*, got score=best"),
        ("counterfactual:x.csv?terms=a&terms=b", "must be given once each"),
        ("counterfactual:x.csv?terms", "options must be given as"),
    ],
)
def test_bad_names_are_named(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        benchmarks.get(name)


def test_empty_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold something, got an empty file"):
        asked(tmp_path, "").items(None)
    with pytest.raises(InputError, match="must hold at least one template, got none"):
        asked(tmp_path, "template\n", "mine.csv").items(None)
    with pytest.raises(InputError, match=r"groups in .*line 1 must be at least two, got a"):
        asked(tmp_path, "groups: {a: {x: y}}\ntemplates: ['{x}']\nchoices: [p, q]\n").items(None)
