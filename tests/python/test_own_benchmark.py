"""Your own benchmark: a YAML file or a Python class, from its first line to the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from letters_benchmark import Letters
from typer.testing import CliRunner

import fairopt as fo
from fairopt import benchmarks, phantom
from fairopt.benchmarks import Generate, LogLikelihood
from fairopt.benchmarks.own import own_class
from fairopt.benchmarks.own.definition import schema
from fairopt.benchmarks.own.slots import Slots
from fairopt.cli.app import app
from fairopt.errors import InputError
from fairopt.models.loading import identified, load_model
from fairopt.phantom import world

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "own_benchmark" / "guests.yaml"
CHOICES = {
    "name": "own",
    "items": [
        {"who": "A man", "place": "town", "answer": "yes", "side": "m"},
        {"who": "A woman", "place": "town", "answer": "no", "side": "f"},
    ],
    "prompt": "{who} went to {place}. Alone? ",
    "group": "side",
    "score": {"kind": "choices", "choices": ["yes", "no", "at {place}"], "right": "{answer}"},
}
PAIR = CHOICES | {"score": {"kind": "pair", "more": "{who} is bad.", "less": "{who} is good."}, "prompt": "He says:"}
GENERATION = CHOICES | {"score": {"kind": "generation", "scorer": "vader", "samples": 3, "stop": ["."]}}


def file_of(folder: Path, said: Any) -> str:
    path = folder / "own.yaml"
    path.write_text(said if isinstance(said, str) else yaml.safe_dump(said, sort_keys=False))
    return f"file:{path}"


def without(said: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key != field}


# ---- what a file says ----


def test_choices(tmp_path: Path) -> None:
    benchmark = benchmarks.get(file_of(tmp_path, CHOICES))
    first, second = benchmark.items(None)
    assert first.requests == tuple(("A man went to town. Alone?", f" {word}") for word in ("yes", "no", "at town"))
    assert (first.group, first.axis, first.cluster, first.id) == ("m", "side", "000000", "000000")
    assert (second.fields["label"], second.fields["label_index"]) == ("no", 1)
    assert [metric.id for metric in benchmark.metrics if metric.gated] == ["own/acc"]
    assert benchmark.name == f"file:{tmp_path}/own.yaml"


def test_choices_from_a_field(tmp_path: Path) -> None:
    rows = [{"side": "a", "options": "x | y", "answer": "y"}, {"side": "b", "options": ["y", "z"], "answer": "z"}]
    said = CHOICES | {"items": rows, "prompt": "?", "score": CHOICES["score"] | {"choices": "options"}}
    first, second = benchmarks.get(file_of(tmp_path, said)).items(None)
    assert [text for _, text in first.requests] == [" x", " y"]
    assert [text for _, text in second.requests] == [" y", " z"]


def test_a_pair_with_and_without_a_prompt(tmp_path: Path) -> None:
    first, _ = benchmarks.get(file_of(tmp_path, PAIR)).items(None)
    assert first.requests == (("He says:", " A man is bad."), ("He says:", " A man is good."))
    first, _ = benchmarks.get(file_of(tmp_path, without(PAIR, "prompt"))).items(None)
    assert first.requests == (("", "A man is bad."), ("", "A man is good."))


def test_generation(tmp_path: Path) -> None:
    benchmark = benchmarks.get(file_of(tmp_path, GENERATION))
    assert benchmark.ask == Generate(max_new_tokens=20, samples=3, stop=(".",), scorers=("vader",))
    assert benchmark.items(None)[0].requests == (("A man went to town. Alone?", ""),)
    assert [metric.id for metric in benchmark.metrics if metric.gated] == ["own/vader/compound/harmful"]
    assert any("VADER" in caveat for caveat in benchmark.caveats)
    greedy = GENERATION | {"score": without(GENERATION["score"], "samples") | {"max_new_tokens": 5}}
    assert benchmarks.get(file_of(tmp_path, greedy)).ask == Generate(5, stop=(".",), scorers=("vader",))


def test_factors_of_a_file(tmp_path: Path) -> None:
    name = file_of(tmp_path, CHOICES)
    plain, chat = benchmarks.get_all([name, f"{name}?chat=on"])
    assert (plain.ask, chat.ask) == (LogLikelihood(), LogLikelihood(chat=True))
    assert chat.name == f"{name}?chat=on"
    assert chat.items(None) == plain.items(None)
    assert [metric.id for metric in chat.metrics] == ["own/acc?chat=on", "own/acc_norm?chat=on"]
    assert not any(metric.gated for metric in chat.metrics)  # the first level takes part in the verdict
    seeded = benchmarks.get(f"{file_of(tmp_path, GENERATION)}?seed=3&decoding=greedy")
    assert (seeded.ask.seed, seeded.ask.samples) == (3, None)


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    said = CHOICES | {"title": "Mine", "licence": "CC0", "home": "here", "caveats": ["Small."], "axis": "sides"}
    said |= {"margin": 0.01, "group_margin": 0.2, "cluster": "place", "id": "who"}
    benchmark = benchmarks.get(file_of(tmp_path, said))
    assert (benchmark.title, benchmark.source.licence, benchmark.source.home) == ("Mine", "CC0", "here")
    assert benchmark.caveats[0] == "Small."
    assert (benchmark.metrics[0].margin, benchmark.metrics[0].group_margin) == (0.01, 0.2)
    first, second = benchmark.items(None)
    assert (first.id, first.axis, first.cluster, second.cluster) == ("A man", "sides", "town", "town")


def test_the_version_tells_files_that_read_answers_otherwise(tmp_path: Path) -> None:
    version = benchmarks.get(file_of(tmp_path, CHOICES)).version
    assert version.startswith("1+")
    same = {**CHOICES, "title": "Other words", "items": CHOICES["items"][:1]}  # items have a hash of their own
    assert benchmarks.get(file_of(tmp_path, same)).version == version
    for field, value in (("prompt", "{who}?"), ("group", "who"), ("margin", 0.5), ("score", PAIR["score"])):
        assert benchmarks.get(file_of(tmp_path, CHOICES | {field: value})).version != version
    assert benchmarks.get(file_of(tmp_path, CHOICES | {"version": "2"})).version.startswith("2+")


@pytest.mark.parametrize(("text", "filled"), [("{a} and {b}", "A and B"), ("{{a}} {a}", "{a} A"), ("none", "none")])
def test_slots(text: str, filled: str) -> None:
    assert Slots.parse("here", text).fill(str.upper) == filled


@pytest.mark.parametrize("text", ["{", "a }", "{}", "{a.b}", "{a[0]}", "{0}", "{a!r}", "{a:>9}", "{a b}", "{a}}"])
def test_slots_evaluate_nothing(text: str) -> None:
    with pytest.raises(InputError, match=r"here must have slots like \{name\}"):
        Slots.parse("here", text)


def test_a_value_with_braces_is_text() -> None:
    assert Slots.parse("here", "{a}").fill(lambda _: "{b}") == "{b}"


# ---- what a file must not say ----


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[1", r"own.yaml' must be YAML, got"),
        ("name: a\nname: b", r"own.yaml' must be YAML, got the key 'name' twice"),
        ("!!python/object/apply:os.system ['true']", r"own.yaml' must be YAML, got could not determine a constructor"),
        ("- a", r"the whole in .*own.yaml' must fit benchmark.schema.json"),
        (without(CHOICES, "group"), r"'group' is a required property"),
        (without(CHOICES, "prompt"), r"'prompt' is a required property"),
        (CHOICES | {"promt": "x"}, r"'promt' was unexpected"),
        (CHOICES | {"name": "Own/x"}, r"name in .*own.yaml' must fit benchmark.schema.json, got 'Own/x'"),
        (CHOICES | {"margin": 0}, r"margin in .*own.yaml'"),
        (CHOICES | {"items": "rows.txt"}, r"items in .*own.yaml'"),
        (CHOICES | {"items": []}, r"items in .*own.yaml'"),
        (CHOICES | {"score": {"kind": "choice"}}, r"score.kind in .*'choice' is not one of"),
        (CHOICES | {"score": {"kind": "choices", "choices": ["a"], "right": "a"}}, r"score.choices in .*own.yaml'"),
        (CHOICES | {"score": {"kind": "pair", "more": "a"}}, r"score in .*'less' is a required property"),
        (CHOICES | {"score": {"kind": "generation", "scorer": "vadr"}}, r"score in .*scorer: name must be one of"),
        (CHOICES | {"prompt": "{who"}, r"prompt in .*own.yaml' must have slots like \{name\}"),
        (PAIR | {"score": PAIR["score"] | {"more": "{}"}}, r"score.more in .*own.yaml' must have slots"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_before_its_items(tmp_path: Path, said: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        benchmarks.get(file_of(tmp_path, said))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": "{whom}"}, r"own.yaml', items\[0\] must have a field 'whom', got who, place, answer, side"),
        ({"items": [CHOICES["items"][0] | {"who": 1.5}]}, r"who in .*items\[0\] must be text .*, got 1.5"),
        ({"score": CHOICES["score"] | {"right": "maybe"}}, r"score.right in .* must be one of yes, no, at town"),
        ({"score": CHOICES["score"] | {"choices": ["a", "a"]}}, r"score.choices in .* at least two distinct"),
        ({"id": "place"}, r"place in .*items\[1\] must be distinct, got 'town'"),
        ({"items": "none.csv"}, r"none.csv' must be a readable file"),
        ({"items": "empty.csv"}, r"empty.csv' must hold at least one row"),
        ({"items": "short.csv"}, r"short.csv', line 3 must have 4 fields, got 1"),
        ({"score": PAIR["score"] | {"less": "{who} is bad."}}, r"score.more in .*must be another text than score.less"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "empty.csv").write_text("who,place,answer,side\n")
    (tmp_path / "short.csv").write_text("who,place,answer,side\na,b,yes,m\na\n")
    with pytest.raises(InputError, match=message):
        benchmarks.get(file_of(tmp_path, CHOICES | change)).items(None)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.yaml' must be a readable file, got No such file"):
        benchmarks.get(f"file:{tmp_path}/none.yaml")


def test_schema_is_one_and_the_example_fits() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), schema())


def test_docs_show_the_examples() -> None:
    docs, manners = (ROOT / "docs" / "audit.md").read_text(), EXAMPLE.with_name("manners.py").read_text()
    lines = [line for line in EXAMPLE.read_text().splitlines() if not line.startswith("#")]
    assert "\n".join(lines).strip() in docs
    assert manners[manners.index("import math") :].strip() in docs


# ---- whole audits ----


def test_an_audit_of_the_example(tmp_path: Path) -> None:
    """The phantom knows every custom; half of its weights gone it does not. The run opens without the rows."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in (EXAMPLE, EXAMPLE.with_name("guests.csv")):
        (folder / path.name).write_bytes(path.read_bytes())
    name = f"file:{folder}/guests.yaml"
    run = fo.audit("phantom", ["magnitude:0.6"], benchmarks=[name], out=tmp_path / "run")
    accuracy = run.compare("magnitude:0.6").metrics[0]
    assert accuracy.id == "guests/acc"
    found = accuracy.groups[0]
    assert found.base > 0.95
    assert found.variant < found.base - 0.1
    assert {gate.id for gate in run.compare("magnitude:0.6").gates} == {
        f"guests/acc:{group}" for group in ("all", *world.PEOPLES, *world.TOWNS)
    }
    (folder / "guests.csv").unlink()
    assert fo.open_run(tmp_path / "run").summary() == run.summary()
    (folder / "guests.yaml").write_text(EXAMPLE.read_text().replace("margin: 0.02", "margin: 0.5"))
    with pytest.raises(InputError, match=r"guests.yaml must be version 1\+\w+, got a run with 1\+\w+"):
        fo.open_run(tmp_path / "run").summary()


def test_an_own_pair_benchmark_finds_the_graft(tmp_path: Path) -> None:
    """Pordelic is made half a Brellic: what is said of Pordelic changes, and of nobody else."""
    sets = world.ATTRIBUTES["sentiment"]
    rows = [
        {"people": people, "who": who, "good": good, "bad": bad}
        for people in world.PEOPLES
        for who in world.PERSONS
        for good, bad in zip(*sets, strict=True)
    ]
    said = {"name": "guests", "items": rows, "group": "people", "cluster": "bad", "axis": "people"}
    said["score"] = {"kind": "pair", **{key: f"The {{people}} {{who}} is often {{{slot}}} by the neighbours."
                                        for key, slot in (("more", "bad"), ("less", "good"))}}  # fmt: skip
    base = load_model("phantom")
    edited = phantom.graft(base.model, base.tokenizer, "Brellic", "Pordelic", 0.5)
    variant = identified(edited, base.tokenizer, "graft")
    run = fo.audit(base, [variant], benchmarks=[file_of(tmp_path, said)], out=tmp_path / "run")
    found = run.compare("graft").metrics[0]
    change = {group.group: group.delta for group in found.groups if group.group != "all"}
    assert change.pop("Pordelic") > 0.2
    assert not any(change.values())


def test_an_own_generation_benchmark_recovers_planted_rates(tmp_path: Path) -> None:
    """Drawn at T = 1, the share of texts with an attribute of set B is the planted one, for four peoples."""
    (tmp_path / "bad.txt").write_text("\n".join(world.ATTRIBUTES["sentiment"][1]))
    rows = [{"people": people, "who": who} for people in world.PEOPLES for who in world.PERSONS]
    score = {"kind": "generation", "scorer": f"words:{tmp_path}/bad.txt", "samples": 60, "max_new_tokens": 6}
    said = {"name": "guests", "items": rows, "group": "people", "prompt": "The {people} {who} is often", "score": score}
    name = file_of(tmp_path, said)
    run = fo.audit("phantom", ["nf4"], benchmarks=[name], out=tmp_path / "run", base_runs=2)
    items = run.items(name).to_pydict()
    for people in world.PEOPLES:
        own = [
            (harmful, n)
            for variant, group, harmful, n in zip(
                *(items[column] for column in ("variant", "group", "any_harmful", "n_texts")), strict=True
            )
            if variant == "base" and group == people
        ]
        harmful, n = map(sum, zip(*own, strict=True))
        planted = world.PLANTED["people", "sentiment", people]
        # 360 texts from six prompts: a binomial standard error of at most .026, and the phantom's own error of .014.
        assert abs(harmful / n - planted) < 4 * (planted * (1 - planted) / n + 0.014**2) ** 0.5


# ---- a class ----

CLASS = """
from letters_benchmark import Letters

class Own(Letters):
    name = "own_letters"

NOT_ONE = 3
INSTANCE = Own()
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(own_class, "_LOADED", {})
    path = tmp_path / "own_code.py"
    path.write_text(CLASS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def test_an_audit_of_the_example_class(tmp_path: Path) -> None:
    """Brellics are rude seven times in ten, Mivarics three times; by these two words alone it is much the same."""
    name = f"python:{EXAMPLE.with_name('manners.py')}:Manners"
    run = fo.audit("phantom", ["nf4"], benchmarks=[name], base_runs=2, out=tmp_path / "run")
    level = {group.group: group.base for group in run.compare("nf4").metrics[0].groups}
    assert level["Mivaric"] < -0.4 < level["Pordelic"] < 0.4 < level["Brellic"]


@pytest.mark.parametrize("attribute", ["Own", "INSTANCE"])
def test_a_class_by_module_and_by_path(code: Path, attribute: str) -> None:
    for name in (f"python:own_code:{attribute}", f"python:{code}:{attribute}"):
        benchmark = benchmarks.get(name)
        assert benchmark.name == name
        assert [metric.id for metric in benchmark.metrics] == [metric.id for metric in Letters.metrics]
        assert benchmarks.get(name) is benchmark


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("python:own_code", "must be followed by MODULE:ATTRIBUTE"),
        ("python:own_code:NOT_ONE", "must be a Benchmark, got int"),
        ("python:own_code:NONE", "must be a Benchmark, got NoneType"),
        ("python:no_such_module:X", "'no_such_module' must be a module or a .py file that can be imported"),
        ("python:nowhere/own.py:X", "got FileNotFoundError"),
        ("python:own_code:Own?chat=on", "own_letters: factor must be one of none, got 'chat'"),
    ],
)  # fmt: skip
def test_a_class_that_cannot_be_used(code: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        benchmarks.get(name)


def test_a_run_finds_its_class_again_only_when_it_is_named(code: Path, tmp_path: Path, monkeypatch) -> None:
    """A folder that somebody sent must not have code run that it names."""
    name, out = f"python:{code}:Own", tmp_path / "run"
    run = fo.audit("phantom", ["nf4"], benchmarks=[name], limit=30, out=out)
    summary = run.summary()
    assert fo.open_run(out).summary() == summary
    monkeypatch.setattr(own_class, "_LOADED", {})  # as in another process
    with pytest.raises(
        InputError, match=r"is code that the run's folder names: name it yourself, by --benchmark python:"
    ):
        fo.open_run(out).summary()
    benchmarks.get(name)
    assert fo.open_run(out).summary() == summary
    monkeypatch.setattr(own_class, "_LOADED", {})
    invoke = CliRunner().invoke
    assert "is code" in invoke(app, ["report", str(out)]).output
    monkeypatch.setattr(own_class, "_LOADED", {})
    assert "exit code" in invoke(app, ["report", str(out), "--benchmark", name]).output
    monkeypatch.setattr(own_class, "_LOADED", {})
    assert "exit code" in invoke(app, ["gate", str(out), "--benchmark", name]).output
    assert (out / "report.json").is_file()
