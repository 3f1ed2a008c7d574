"""The audit over every way to ask, with levels, suites and what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import asking_benchmarks
import numpy as np
import pytest
import random_models
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fairopt import audit
from fairopt.audit.run import open_run
from fairopt.benchmarks import Benchmark, Item, LeftOut, suites
from fairopt.benchmarks.suites import Entry
from fairopt.errors import InputError
from fairopt.models.chat import chat_prompt, takes_system
from fairopt.models.loglikelihood import loglikelihood

TEMPLATE = (
    "{% for m in messages %}{{ '<' + m['role'] + '> ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>\n' }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + TEMPLATE


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    asking_benchmarks.register()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A base model with a chat template, and a variant whose weights were shaken a little."""
    root = tmp_path_factory.mktemp("models")
    model = random_models.llama()
    base = random_models.save(model, root / "base")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.05 * torch.randn_like(parameter))
    variant = random_models.save(model, root / "variant")
    for folder in (base, variant):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained(folder)
    return str(base), str(variant)


def run(pair: tuple[str, str], out: Path, *names: str, **options: Any) -> Any:
    return audit(pair[0], [], models=[pair[1]], benchmarks=list(names), out=out, **options)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "claims" not in path.parts
    }


def test_texts_come_back_whole_and_the_same_after_a_break(pair: tuple[str, str], tmp_path: Path) -> None:
    names = ("written?decoding=sample:2", "documents")
    whole = run(pair, tmp_path / "whole", *names)
    stored = files(tmp_path / "whole")
    shards = [name for name in stored if name.startswith("shards/")]
    assert len(shards) == 4 * 2 + 4  # three base runs and the variant: texts in shards of 32, documents in one
    for lost in shards[::3]:
        (tmp_path / "whole" / lost).unlink()
    run(pair, tmp_path / "whole", *names)
    assert files(tmp_path / "whole") == stored
    table = whole.items(names[0])
    assert set(table.column_names) >= {"text", "length"}
    result = whole.compare(whole.descriptor.variants[0].name)
    assert {health.group for health in result.texts} == {"all", "north", "south"}
    assert {health.benchmark for health in result.texts} == {names[0]}
    assert result.texts[0].n == asking_benchmarks.N_ITEMS * 2
    assert not result.shift  # nothing asked how likely a continuation is


def test_texts_bring_their_likelihood_under_the_base_model(pair: tuple[str, str], tmp_path: Path) -> None:
    found = run(pair, tmp_path / "run", "written")
    base, variant = found._store, found.descriptor
    from fairopt.audit.jobs import passes, score_jobs

    own, *_, other = passes(variant)
    written = [text for given in base.read_answers(score_jobs(variant, own)).given for (text,) in given]
    assert any(text.text.strip() for text in written)
    for text in written:  # the base model reads its own texts as it wrote them
        assert np.isnan(text.base_ll) == (not text.text.strip())
        if text.text.strip():
            assert text.base_ll == pytest.approx(text.ll, abs=1e-4)  # rounding of two orders of summation
    strange = [text for given in base.read_answers(score_jobs(variant, other)).given for (text,) in given]
    assert any(abs(text.base_ll - text.ll) > 1e-2 for text in strange if text.text.strip())


def test_a_level_of_chat_puts_the_template_around(pair: tuple[str, str], tmp_path: Path) -> None:
    found = run(pair, tmp_path / "run", "chatted", factors={"chat": ["on"]})
    assert [spec.name for spec in found.descriptor.benchmarks] == ["chatted", "chatted?chat=on"]
    plain, chat = (found.items(name).to_pylist()[0] for name in ("chatted", "chatted?chat=on"))
    tokenizer, model = AutoTokenizer.from_pretrained(pair[0]), AutoModelForCausalLM.from_pretrained(pair[0])
    for row, request, keep in (
        (plain, ("abc 0", " no"), False),
        (chat, ("<user> abc 0\n<assistant>\n", "no"), True),
    ):
        expected = loglikelihood(model, tokenizer, [request], keep_spaces=keep, advance=lambda _: None)
        assert row["nats"] == pytest.approx(-expected.ll[0], abs=1e-4)
    gates = {gate.benchmark for gate in found.descriptor.gates}
    assert gates == {"chatted"}  # the first level that is named takes part in the verdict
    levels = {(level.level, level.id): level for level in found.compare(found.descriptor.variants[0].name).factors}
    assert set(levels) == {("defaults", "chatted/nats"), ("chat=on", "chatted/nats")}
    assert levels["chat=on", "chatted/nats"].base != levels["defaults", "chatted/nats"].base
    plain, chat = found.compare(found.descriptor.variants[0].name).shift  # of the texts as they were asked
    assert (plain.benchmark, chat.benchmark) == ("chatted", "chatted?chat=on")
    assert plain.kl_mean != chat.kl_mean


def test_a_chat_needs_a_template(tmp_path: Path) -> None:
    bare = [str(random_models.save(random_models.llama(seed), tmp_path / f"m{seed}")) for seed in range(2)]
    with pytest.raises(InputError, match=r"chatted\?chat=on: model must be a tokenizer with a chat template, got "):
        run((bare[0], bare[1]), tmp_path / "run", "chatted?chat=on")
    assert not (tmp_path / "run").exists()


def test_system_texts_go_where_the_template_wants_them() -> None:
    tokenizer = random_models.tokenizer()
    tokenizer.chat_template = TEMPLATE
    assert takes_system(tokenizer)
    said = chat_prompt(tokenizer, "U", system="S", prefix="P")
    assert said == "<system> S\n<user> U\n<assistant>\nP"
    tokenizer.chat_template = NO_SYSTEM
    assert not takes_system(tokenizer)
    assert chat_prompt(tokenizer, "U", system="S") == "<user> S\n\nU\n<assistant>\n"
    tokenizer.chat_template = TEMPLATE.replace("<assistant>\n", "<assistant>")
    assert chat_prompt(tokenizer, "U", prefix="P") == "<user> U\n<assistant> P"
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="chat: tokenizer must have a chat template"):
        chat_prompt(tokenizer, "U")


class Partial(asking_benchmarks.Documents):
    """Knows of a row that it cannot ask."""

    name = "partial"
    metrics = (replace(asking_benchmarks.Documents.metrics[0], id="partial/nats"),)

    def left_out(self, data: Path | None) -> list[LeftOut]:
        return [LeftOut("line 7", "it holds no text")]

    def request(self, text: str) -> tuple[str, str]:
        return ("", text)


class Absent(Partial):
    name = "absent"
    metrics = (replace(asking_benchmarks.Documents.metrics[0], id="absent/nats"),)

    def items(self, data: Path | None) -> list[Item]:
        from fairopt.errors import MissingData

        raise MissingData("absent: data must hold absent.csv, got none")


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> str:
    from fairopt import benchmarks

    def add(benchmark: Benchmark) -> None:
        monkeypatch.setitem(benchmarks._REGISTERED, benchmark.name, benchmark)

    add(Partial())
    add(Absent())
    entries = (Entry("partial", 10), Entry("absent"), Entry("chatted?chat=on", 4))
    monkeypatch.setitem(suites.SUITES, "tried", suites.Suite("tried", "Tried", "A test.", entries))
    return "tried"


def test_a_suite_goes_on_without_what_cannot_be_asked(suite: str, tmp_path: Path) -> None:
    bare = [str(random_models.save(random_models.llama(seed), tmp_path / f"m{seed}")) for seed in range(2)]
    found = audit(bare[0], [], models=[bare[1]], suite=suite, out=tmp_path / "run", limit=20)
    assert [(spec.name, spec.n_items) for spec in found.descriptor.benchmarks] == [("partial", 10)]
    omitted = {(one.benchmark, one.why): one for one in open_run(tmp_path / "run").result.left_out}
    by_why = {(name, why.split(",")[0]): (one.n, one.examples) for (name, why), one in omitted.items()}
    assert by_why["absent", "absent: data must hold absent.csv"] == (0, ())
    assert by_why["partial", "it holds no text"] == (1, ("line 7",))
    assert by_why["partial", "suite tried asks 10 items"][0] == asking_benchmarks.N_ITEMS - 10
    assert ("chatted?chat=on", "chatted?chat=on: model must be a tokenizer with a chat template") in by_why
    found.report()
    lines = (tmp_path / "run" / "csv" / "left_out.csv").read_text().splitlines()
    assert len(lines) == 1 + 1 + 1 + 1 + 30
    assert "--suite tried" in found.result.command


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"suite": "nowhere"}, "suite: name must be one of"),
        ({"factors": {"shots": ["5"]}}, "factor must be one that a benchmark of this audit has, got 'shots'"),
        ({"factors": {"chat": ["loud"]}}, "chatted: chat must be one of off, on, got 'loud'"),
    ],
)
def test_bad_choices_leave_nothing(pair: tuple[str, str], tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        run(pair, tmp_path / "run", "chatted", **options)
    assert not (tmp_path / "run").exists()


def test_what_a_suite_did_not_ask_is_said_beside_the_verdict(suite: str, tmp_path: Path) -> None:
    bare = [str(random_models.save(random_models.llama(seed), tmp_path / f"m{seed}")) for seed in range(2)]
    found = audit(bare[0], [], models=[bare[1]], suite=suite, out=tmp_path / "run")
    said = "2 of 3 benchmarks were not asked and had no part in this: absent and chatted?chat=on."
    assert said in " ".join(found.summary().split())
    assert said in " ".join(found.report().with_suffix(".md").read_text().split())


def test_a_suite_wants_a_data_folder_that_exists(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"audit: data must be a folder \(--data or FAIROPT_DATA\), got '.*nowhere'"):
        audit("phantom", ["nf4"], suite="core", data=tmp_path / "nowhere", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_with_a_weight_that_is_no_number_is_refused(tmp_path: Path) -> None:
    import torch

    broken = random_models.llama(1)
    with torch.no_grad():
        broken.model.layers[0].self_attn.q_proj.weight[0, 0] = float("nan")
    good, bad = (
        str(random_models.save(model, tmp_path / name))
        for name, model in (("good", random_models.llama(0)), ("bad", broken))
    )
    for base, variant in ((good, bad), (bad, good)):
        with pytest.raises(
            InputError, match=r"weights of .*bad must be finite, got NaN or infinity in 'model\.layers\.0"
        ):
            audit(base, [], models=[variant], benchmarks=["open_pairs"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_benchmark_at_other_levels_says_so_in_its_title() -> None:
    from fairopt import benchmarks

    assert benchmarks.get("mmlu?shots=5").title == "MMLU (shots=5)"


def test_two_levels_of_one_benchmark_say_their_caveats_once(tmp_path: Path) -> None:
    names = ["open_pairs", "open_pairs?decoding=sample:5"]
    caveats = audit("phantom", ["nf4"], benchmarks=names, out=tmp_path / "run", limit=2).result.caveats
    assert len(caveats) == len(set(caveats)) > 1


def test_what_is_left_out_does_not_say_where_the_data_lies(data_dir: Path) -> None:
    from fairopt.audit.selection import select

    found = select(["winobias", "real_toxicity_prompts"], None, {}, data=data_dir, limit=5)
    assert {one.benchmark for one in found.omitted if ", line " in one.what} == {"winobias", "real_toxicity_prompts"}
    assert not [one for one in found.omitted if str(data_dir) in one.what + one.why]
