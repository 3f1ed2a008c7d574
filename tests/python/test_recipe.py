"""The recipe grammar of docs/recipes.md: what it reads, what it says when it cannot."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairopt.compress.prune_options import (
    PRUNERS,
    Fisher,
    Gblm,
    Hgla,
    KeepNOfM,
    Magnitude,
    Random,
    SparseGpt,
    Taylor,
    Wanda,
)
from fairopt.compress.recipe import (
    QUANTIZERS,
    WORD_OF_FORMAT,
    Chain,
    DynamicInt8,
    Hadamard,
    KVCache,
    LlmInt8,
    Override,
    Quantize,
    Recipe,
    SmoothQuant,
    Step,
)
from fairopt.compress.recipe_text import WORDS, parse
from fairopt.compress.solver_options import Awq, Gptq, Hqq, RangeSearch, Rtn, SignRound
from fairopt.compress.structure_options import Experts, Ffn, Heads, Hidden, Layers
from fairopt.errors import InputError

NF4 = Quantize("nf4", 64)


def only(*steps: Step) -> Recipe:
    return Recipe(Chain(steps))


@pytest.mark.parametrize(
    ("text", "recipe"),
    [
        ("nf4", only(NF4)),
        ("nf4:block=64,dq", only(Quantize("nf4", 64, double_quant=True))),
        ("fp8", only(Quantize("fp8", None))),
        ("int4:g=32,int8=0.05", only(Quantize("int4_sym", 32, int8_share=0.05))),
        ("int3", only(Quantize("int3_sym", 128))),
        ("int8:row", only(Quantize("int8", None))),
        ("int4:sym_signed8,g=32", only(Quantize("int4_sym_signed8", 32))),
        ("gptq:int4,g=32", only(Quantize("int4_sym", 32, solver=Gptq()))),
        ("gptq:int4,act_order=none,g=32", only(Quantize("int4_sym", 32, solver=Gptq("none")))),
        ("awq:int4,clip=false", only(Quantize("int4_sym", 128, solver=Awq(clip=False)))),
        ("hqq:int4", only(Quantize("int4_asym_float", 128, solver=Hqq()))),
        ("w8a8", only(DynamicInt8())),
        ("smoothquant:w8a8", only(SmoothQuant(), DynamicInt8())),
        ("smoothquant:alpha=0.8+int8", only(SmoothQuant(0.8), Quantize("int8", 128))),
        ("hadamard:int4,g=32", only(Hadamard(), Quantize("int4_sym", 32))),
        ("llm_int8", only(LlmInt8(6.0))),
        ("kv4", Recipe(None, kv_cache=KVCache(4))),
        ("kv8:group=64,residual=128", Recipe(None, kv_cache=KVCache(8))),
        ("int4+kv4;keep=a", Recipe(Chain((Quantize("int4_sym", 128),)), (), ("a",), KVCache(4))),
        ("nf4:block=32", only(Quantize("nf4", 32))),
        ("fp4", only(Quantize("fp4", 64))),
        ("int8", only(Quantize("int8", 128))),
        ("int8:g=64,pad", only(Quantize("int8", 64, pad=True))),
        ("int4", only(Quantize("int4_sym", 128))),
        ("int4:sym", only(Quantize("int4_sym", 128))),
        ("int4:g=32,asym", only(Quantize("int4_asym", 32))),
        ("int4:asym,g=32", only(Quantize("int4_asym", 32))),
        ("magnitude:0.5", only(Magnitude(0.5))),
        ("magnitude:.25", only(Magnitude(0.25))),
        ("magnitude:2:4", only(Magnitude(KeepNOfM(2, 4)))),
        ("magnitude:2:4+int4:g=32", only(Magnitude(KeepNOfM(2, 4)), Quantize("int4_sym", 32))),
        ("magnitude:0.5,scope=model", only(Magnitude(0.5, "model"))),
        ("random:0", only(Random(0.0))),
        ("wanda:0.6,owl", only(Wanda(0.6, owl=True))),
        ("wanda:0.6,owl,owl_m=3,steps=4,schedule=linear", only(Wanda(0.6, 4, "linear", True, 3.0))),
        ("wanda:4:8", only(Wanda(KeepNOfM(4, 8)))),
        ("gblm:0.5,alpha=10", only(Gblm(0.5, alpha=10.0))),
        ("hgla:0.5+taylor:0.6,order=2+fisher:0.7", only(Hgla(0.5), Taylor(0.6, order=2), Fisher(0.7))),
        (
            "sparsegpt:2:4,damp=0.1,float64+int4",
            only(SparseGpt(KeepNOfM(2, 4), 0.1, True), Quantize("int4_sym", 128)),
        ),
        (" magnitude : 0.5 + nf4 ", only(Magnitude(0.5), NF4)),
        (
            "nf4;*.down_proj=int8:g=64;keep=lm_head,*.layers.0.*",
            Recipe(
                Chain((NF4,)),
                (Override("*.down_proj", Chain((Quantize("int8", 64),))),),
                ("lm_head", "*.layers.0.*"),
            ),
        ),
        ("*.up_proj=magnitude:0.5+nf4", Recipe(None, (Override("*.up_proj", Chain((Magnitude(0.5), NF4))),))),
        ("nf4;keep=a;keep=b", Recipe(Chain((NF4,)), (), ("a", "b"))),
    ],
)
def test_text_reads_as_recipe(text: str, recipe: Recipe) -> None:
    assert parse(text) == recipe


def test_canonical_text_leaves_defaults_out_and_orders_options() -> None:
    assert str(parse("int4:asym,g=128")) == "int4:asym"
    assert str(parse("nf4:block=64")) == "nf4"
    assert str(parse("int4:pad,asym,g=32")) == "int4:g=32,asym,pad"
    assert str(parse("nf4 ; keep = b , a")) == "nf4;keep=b,a"


blocks = st.integers(1, 256).map(lambda n: 16 * n)
solvers = st.sampled_from(
    [
        Rtn(),
        RangeSearch(),
        RangeSearch(20, 2.0),
        Gptq(),
        Gptq("static", 0.05),
        Gptq("dynamic"),
        Awq(clip=False),
    ]
)
formats = st.sampled_from(sorted(WORD_OF_FORMAT))
integers = formats.filter(lambda name: name.startswith("int"))
quantizers = (
    st.builds(Quantize, formats, st.none() | blocks, st.booleans(), st.booleans(), solvers)
    | st.builds(Quantize, integers, st.none() | blocks, st.booleans(), st.booleans(), st.just(SignRound(50)))
    | st.builds(Quantize, st.sampled_from(["int2_asym_float", "int4_asym_float"]), blocks, solver=st.just(Hqq(0.5)))
    | st.builds(Quantize, formats, blocks, st.booleans(), int8_share=st.sampled_from([0.05, 0.5]))
    | st.just(DynamicInt8())
    | st.builds(LlmInt8, st.sampled_from([6.0, 5.5, 100.0]))
)
transforms = st.builds(SmoothQuant, st.sampled_from([0.0, 0.5, 0.75, 1.0])) | st.builds(Hadamard, st.booleans())
caches = st.builds(
    lambda bits, group, flushes: KVCache(bits, group, flushes * group),
    st.sampled_from([2, 3, 4, 8]),
    st.sampled_from([16, 32, 64]),
    st.integers(0, 4),
)
n_of_m = st.integers(2, 32).flatmap(lambda m: st.builds(KeepNOfM, st.integers(1, m - 1), st.just(m)))
ratios = st.floats(0, 1, exclude_max=True)
growing = st.builds(dict, steps=st.integers(1, 9), schedule=st.sampled_from(["cubic", "linear"]))
pruners = (
    st.builds(Magnitude, ratios, st.sampled_from(["layer", "row", "model"]))
    | st.builds(lambda cls, amount: cls(amount), st.sampled_from(list(PRUNERS.values())), ratios | n_of_m)
    | st.builds(SparseGpt, ratios | n_of_m, st.sampled_from([0.01, 0.1]), st.booleans())
    | st.builds(
        lambda make, ratio, options: make(ratio, **options),
        st.sampled_from([Wanda, Gblm, Hgla, Taylor, Fisher, partial(Gblm, alpha=10.0), partial(Taylor, order=2)]),
        ratios,
        growing,
    )
    | st.builds(
        Wanda, ratios, owl=st.just(True), owl_m=st.sampled_from([3.0, 5.0]), owl_lambda=st.sampled_from([0.0, 0.08])
    )
)
chains = st.builds(
    lambda steps, last: Chain((*steps, last)), st.lists(pruners | transforms, max_size=2), quantizers | pruners
)
structures = st.lists(
    st.builds(Heads, ratios, st.sampled_from(["l2", "act"]), scope=st.sampled_from(["layer", "model"]))
    | st.builds(Ffn, ratios, st.just("fasp"), st.sampled_from([0.5, 0.25]), round=st.sampled_from([1, 64]))
    | st.builds(Hidden, ratios, round=st.sampled_from([1, 16]))
    | st.builds(Experts, ratios, st.sampled_from(["l1", "knockout"]))
    | st.builds(Layers, st.integers(1, 9), st.sampled_from(["cosine", "random"]), protect=st.integers(0, 2)),
    min_size=1,
    max_size=2,
).map(tuple)
globs = st.text("abcdefghij_.*?[]!-0123456789", min_size=1).filter(lambda glob: glob != "keep")
overrides = st.lists(st.builds(Override, globs, chains), max_size=3).map(tuple)
keeps = st.lists(globs, max_size=3).map(tuple)
recipes = (
    st.builds(Recipe, chains, overrides, keeps, st.none() | caches)
    | st.builds(Recipe, st.none(), overrides.filter(bool), keeps)
    | st.builds(Recipe, st.none(), overrides, keeps, caches)
    | st.builds(Recipe, st.none() | chains, overrides, keeps, st.none() | caches, structures)
)


@given(recipes)
def test_every_recipe_is_its_own_text(recipe: Recipe) -> None:
    assert parse(str(recipe)) == recipe


@given(recipes)
def test_the_mapping_of_a_recipe_reads_as_the_recipe(recipe: Recipe) -> None:
    if len({override.glob for override in recipe.overrides}) < len(recipe.overrides):
        return  # a mapping has each glob once
    mapping = {
        "default": "+".join(map(str, filter(None, (*recipe.structure, recipe.chain, recipe.kv_cache)))) or None,
        "overrides": {override.glob: str(override.chain) for override in recipe.overrides},
        "keep": list(recipe.keep),
    }
    assert parse(mapping) == recipe


@given(st.text(max_size=40) | st.text("nf4int8magnitudekeep:=,;+. 0123*", max_size=40))
def test_any_text_is_a_recipe_or_an_input_error(text: str) -> None:
    try:
        recipe = parse(text)
    except InputError:
        return
    assert parse(str(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "step must be a word, got nothing at column 1 of ''"),
        (
            "nf5",
            f"step must be one of {', '.join(sorted(WORDS))}, got 'nf5' at column 1 of 'nf5'; "
            "did you mean nf4 or int5?",
        ),
        (
            "nf4:g=32",
            "nf4 option must be one of block=, dq, int8=, pad, row, got 'g' at column 5 of 'nf4:g=32'; "
            "did you mean block=?",
        ),
        (
            "magnitude:0.5+int4:asim",
            "int4 option must be one of asym, asym_float, dq, g=, int8=, pad, row, sym, sym_7, sym_no_clip, "
            "sym_signed8, tinygemm, got 'asim' at column 20 of 'magnitude:0.5+int4:asim'; did you mean asym or sym?",
        ),
        ("int4:g=32,g=64", "int4 option must be given once, got 'g' at column 11 of 'int4:g=32,g=64'"),
        ("int4:sym,asym", "int4 option must be given once, got 'asym' at column 10 of 'int4:sym,asym'"),
        ("int8:g=x", "int8 g must be whole numbers, got 'x' at column 6 of 'int8:g=x'"),
        ("nf4:block=60", "nf4 block must be a multiple of 16 from 16, got 60 at column 1 of 'nf4:block=60'"),
        ("int8:g=0", "int8 g must be a multiple of 16 from 16, got 0 at column 1 of 'int8:g=0'"),
        ("int8:g=32,row", "int8 option must be given once, got 'row' at column 11 of 'int8:g=32,row'"),
        ("int4:int8=x", "int4 int8 must be a share of the groups (0.05), got 'x' at column 6 of 'int4:int8=x'"),
        ("int4:int8=1", "int8 share must be at least 0 and below 1, got 1.0 at column 1 of 'int4:int8=1'"),
        ("gptq", f"gptq format must be one of {', '.join(QUANTIZERS)}, got nothing at column 5 of 'gptq'"),
        ("gptq:int4,damp=x", "gptq damp must be a number, got 'x' at column 1 of 'gptq:int4,damp=x'"),
        ("awq:int4,clip=no", "awq clip must be one of true, false, got 'no' at column 1 of 'awq:int4,clip=no'"),
        ("hqq:nf4", "hqq format must have float zero points, got 'nf4' at column 1 of 'hqq:nf4'"),
        ("hadamard", "hadamard must be followed by a quantiser, got nothing after it at column 1 of 'hadamard'"),
        ("kv4:residual=9", "kv4 residual must be a multiple of group = 64, got 9 at column 1 of 'kv4:residual=9'"),
        ("kv4+nf4", "text must be '+' or ';' or the end, got '+' at column 4 of 'kv4+nf4'"),
        ("nf4:pad=1", "nf4 option must be one of block=, dq, int8=, pad, row, got 'pad' at column 5 of 'nf4:pad=1'"),
        (
            "magnitude",
            "magnitude amount must be a ratio (0.5) or n:m (2:4), got 'magnitude' at column 1 of 'magnitude'",
        ),
        ("wanda:owl", "wanda amount must be a ratio (0.5) or n:m (2:4), got 'owl' at column 7 of 'wanda:owl'"),
        ("magnitude:1.5", "magnitude ratio must be at least 0 and below 1, got 1.5 at column 1 of 'magnitude:1.5'"),
        ("wanda:1", "wanda ratio must be at least 0 and below 1, got 1.0 at column 1 of 'wanda:1'"),
        ("wanda:4:2", "n:m must be 0 < n < m <= 32, got 4:2 at column 1 of 'wanda:4:2'"),
        ("wanda:2:x", "n:m must be whole numbers, got 'x' at column 9 of 'wanda:2:x'"),
        (
            "wanda:2:4,owl",
            "wanda owl must be with a ratio, of which it gives each block another, got 2:4 "
            "at column 1 of 'wanda:2:4,owl'",
        ),
        (
            "wanda:.5,owl_m=3",
            "wanda owl_m and owl_lambda must be with owl, got no owl at column 1 of 'wanda:.5,owl_m=3'",
        ),
        (
            "gblm:2:4,steps=2",
            "gblm steps must be 1 for n:m, which is no share that can grow, got 2 at column 1 of 'gblm:2:4,steps=2'",
        ),
        ("taylor:.5,order=3", "taylor order must be 1 or 2, got 3 at column 1 of 'taylor:.5,order=3'"),
        (
            "magnitude:2:4,scope=row",
            "magnitude scope must be layer for n:m, which chooses along rows, got row "
            "at column 1 of 'magnitude:2:4,scope=row'",
        ),
        (
            "random:.5,steps=2",
            "random option must be none, got 'steps' at column 11 of 'random:.5,steps=2'",
        ),
        ("magnitude:4:4", "n:m must be 0 < n < m <= 32, got 4:4 at column 1 of 'magnitude:4:4'"),
        (
            "int8+nf4",
            "chain must have at most one quantiser, as its last step, got 'int8+nf4' at column 1 of 'int8+nf4'",
        ),
        (
            "nf4;*=int8+magnitude:0.5",
            "chain must have at most one quantiser, as its last step, got 'int8+magnitude:0.5' "
            "at column 7 of 'nf4;*=int8+magnitude:0.5'",
        ),
        ("nf4+", "step must be a word, got nothing at column 5 of 'nf4+'"),
        ("nf4 int8", "text must be '+' or ';' or the end, got 'int8' at column 5 of 'nf4 int8'"),
        ("nf4;int8", "clause must be glob=chain or keep=globs, got 'int8' at column 5 of 'nf4;int8'"),
        ("nf4;keep=", "glob must be a word, got nothing at column 10 of 'nf4;keep='"),
        (
            "int4+heads:0.5",
            "heads step must be among the first steps of a recipe, before those of layers: it changes the whole model, "
            "got 'heads' at column 6 of 'int4+heads:0.5'",
        ),
        ("heads:1", "heads ratio must be at least 0 and below 1, got 1.0 at column 1 of 'heads:1'"),
        ("layers:0.5", "layers amount must be a count (2), got '0.5' at column 8 of 'layers:0.5'"),
        ("ffn:0.2:big", "ffn score must be one of act, fasp, knockout, l1, l2, output, random, taylor, taylor2, got "
         "'big' at column 9 of 'ffn:0.2:big'"),
        ("ffn:0.2,gamma=0.1", "ffn gamma must be left out with other scores than fasp, got 0.1 at column 1 of "
         "'ffn:0.2,gamma=0.1'"),
        ("keep=lm_head", "text must have a chain or an override, got 'keep=lm_head' at column 1 of 'keep=lm_head'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_column(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(text)
    assert str(error.value) == f"recipe: {message}"


@pytest.mark.parametrize("word", ["bonsai:0.5", "kv5"])
def test_words_of_other_methods_are_unknown(word: str) -> None:
    with pytest.raises(InputError, match="step must be one of awq, experts, ffn, fisher, fp4, fp8"):
        parse(word)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"defaults": "nf4"}, "keys must be default, overrides, keep, got 'defaults'"),
        ({"default": "nf4", "keep": "lm_head"}, "keep must be a list of globs, got 'lm_head'"),
        ({"default": "nf4", "overrides": ["int8"]}, r"overrides must be a mapping from glob to chain, got \['int8'\]"),
        ({"default": "nf4", "overrides": {"a;b": "int8"}}, "glob must be a layer name .* got 'a;b'"),
        ({"default": "nf4;keep=a"}, "text must be '\\+' or the end, got ';' at column 4"),
        ({"keep": ["lm_head"]}, "must have a chain or an override"),
    ],
)
def test_what_a_mapping_cannot_say(mapping: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(mapping)


def test_objects_are_checked_like_text() -> None:
    with pytest.raises(InputError, match=r"format must be one of nf4, fp4, fp8, .*, got 'int4'"):
        Quantize("int4", 64)
    with pytest.raises(InputError, match="at most one quantiser"):
        Chain((NF4, NF4))
    with pytest.raises(InputError, match="other than the word 'keep'"):
        Override("keep", Chain((NF4,)))


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("int4:group=32", "g="),
        ("int4:block=32", "g="),
        ("nf4:g=32", "block="),
        ("INT4:g=32", "int4 or "),
        ("GPTQ:int4", "gptq"),
    ],
)
def test_the_size_of_a_block_and_capitals_find_the_word_that_is_meant(text: str, near: str) -> None:
    with pytest.raises(InputError, match=rf"; did you mean {near}"):
        parse(text)
