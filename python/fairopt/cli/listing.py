"""What ``fairopt list`` prints: the names that the command line understands, as tables."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from fairopt.errors import InputError

if TYPE_CHECKING:
    from fairopt.benchmarks import Benchmark

Rows = list[dict[str, Any]]  # one a line, the same keys in each

RECIPES: dict[str, tuple[str, str]] = {
    "nf4": (
        "nf4, nf4:block=64,dq",
        "normal-float 4 bit (QLoRA), a scale for every 64 weights; dq stores scales in 8 bits",
    ),
    "fp4": ("fp4, fp4:block=32", "4 bit float, the bitsandbytes table"),
    "fp8": ("fp8, fp8:g=128", "8 bit float (e4m3), a scale for every row"),
    "int2": ("int2:g=32, int2:g=64,asym", "2 bit integers"),
    "int3": ("int3, int3:g=32,asym", "3 bit integers"),
    "int4": ("int4, int4:g=32,asym", "4 bit integers; seven dialects (fairopt list formats)"),
    "int5": ("int5, int5:g=64", "5 bit integers"),
    "int6": ("int6, int6:g=64", "6 bit integers"),
    "int8": ("int8, int8:row", "8 bit integers"),
    "mse": ("mse:int4, mse:int3,g=32", "round to nearest in the range that loses least"),
    "gptq": ("gptq:int4, gptq:int4,g=32,act_order=none", "second order rounding; needs calibration texts"),
    "awq": ("awq:int4, awq:int4,g=32", "activation-aware scales and clipping; needs calibration texts"),
    "hqq": ("hqq:int4, hqq:int3,g=64", "float zero points by half-quadratic splitting; needs no data"),
    "signround": ("signround:int4, signround:int4,g=32,steps=200", "learned rounding; needs calibration texts"),
    "smoothquant": ("smoothquant+w8a8, smoothquant:alpha=0.8+w8a8", "move outliers from activations to weights first"),
    "hadamard": ("hadamard+int4, hadamard:online+int4:g=32", "rotate activations and weights first"),
    "w8a8": ("w8a8, smoothquant+w8a8", "8 bit weights and activations"),
    "llm_int8": ("llm_int8, llm_int8:threshold=5", "8 bit weights and activations, outliers in floating point"),
    "magnitude": ("magnitude:0.5, magnitude:2:4", "set the smallest half, or the smallest 2 of every 4, to zero"),
    "random": ("random:0.5", "set weights drawn at random to zero: the control"),
    "wanda": (
        "wanda:0.5, wanda:0.6,owl, wanda:2:4+int4",
        "set to zero what little goes through; needs texts",
    ),
    "gblm": ("gblm:0.5", "as wanda, with gradients; needs calibration texts"),
    "hgla": ("hgla:0.5", "high gradient, low activation goes first; needs calibration texts"),
    "taylor": (
        "taylor:0.5, taylor:0.5,order=2",
        "set to zero what should hardly change the loss; needs texts",
    ),
    "fisher": ("fisher:0.5", "as taylor, by squared gradients; needs calibration texts"),
    "sparsegpt": (
        "sparsegpt:0.5, sparsegpt:2:4+int4",
        "what is left makes up for what is pruned; needs texts",
    ),
    "sparse": (
        "wanda:0.5+sparse, magnitude:2:4+sparse:bf16",
        "store a pruned layer without its zeros",
    ),
    "heads": ("heads:0.25, heads:0.25+int8", "remove attention heads, by groups that share keys and values"),
    "ffn": ("ffn:0.25, ffn:0.25+wanda:0.5", "remove neurons of the feed-forward layers"),
    "hidden": ("hidden:0.1", "remove channels of the residual stream"),
    "layers": ("layers:1", "remove decoder blocks: a count"),
    "experts": ("experts:0.25", "remove experts of mixtures"),
    "kv2": ("kv2, int4+kv2", "keys and values of the attention in 2 bits"),
    "kv3": ("kv3, int4+kv3", "keys and values of the attention in 3 bits"),
    "kv4": ("kv4, int4+kv4", "keys and values of the attention in 4 bits"),
    "kv8": ("kv8, kv8:group=32,residual=64", "keys and values of the attention in 8 bits"),
}
OWN = {  # benchmarks of the user's: docs/audit.md
    "file:PATH": "Your own table: CSV, TSV, JSONL or Parquet",
    "file:PATH.yaml": "Your own benchmark, defined by a file",
    "python:MODULE:ATTRIBUTE": "Your own benchmark, a class",
    "corpus:FOLDER": "Your own texts, one file a group",
    "counterfactual:PATH": "Your own templates, filled with words of several groups",
}
LAYOUT = {
    "dense": ("every format", "everything"),
    "bitsandbytes": ("nf4, fp4, with dq too", "transformers, vLLM, PEFT"),
    "bitsandbytes-int8": ("int8:row", "transformers, vLLM"),
    "gptq": ("int2, int3, int4, int8; sym, asym", "AutoGPTQ, GPTQModel, vLLM, ExLlama"),
    "gptq_v2": ("int2, int3, int4, int8; sym, asym", "GPTQModel, vLLM"),
    "awq": ("int4; sym, asym", "AutoAWQ, vLLM"),
    "compressed-tensors": ("integers; sym, asym", "llm-compressor, vLLM, transformers"),
    "hqq": ("int2, int3, int4, int8; asym_float", "hqq"),
    "gguf-q4_0": ("int4:g=32,sym_signed8", "llama.cpp"),
    "gguf-q8_0": ("int8:g=32", "llama.cpp"),
    "gguf-q4_k": ("every format, rounded again", "llama.cpp"),
}
FORMATS = {
    "int8": "8-bit signed codes, scale = absmax / 127",
    "int8_asym": "8-bit codes with an integer zero point",
    "int4_sym": "4-bit codes -8..7, scale = absmax / 7.5 (sym_7_5)",
    "int4_sym_7": "4-bit codes -7..7, scale = absmax / 7",
    "int4_sym_no_clip": "4-bit codes -8..7, the scale that clips neither end",
    "int4_sym_signed8": "4-bit codes -8..7, scale = signed extreme / -8",
    "int4_asym": "4-bit codes with an integer zero point (asym_int)",
    "int4_tinygemm": "4-bit codes around 8, the value of code 8 kept as a float",
    **{f"int{bits}_sym": f"{bits}-bit codes, scale = absmax / {2 ** (bits - 1) - 0.5}" for bits in (2, 3, 5, 6)},
    **{f"int{bits}_asym": f"{bits}-bit codes with an integer zero point" for bits in (2, 3, 5, 6)},
    **{f"int{bits}_asym_float": f"{bits}-bit codes from a minimum kept as a float" for bits in (2, 3, 4, 5, 6, 8)},
    "nf4": "16 quantiles of the normal distribution, scaled by absmax",
    "fp4": "the 16 values of bitsandbytes' FP4, scaled by absmax",
    "fp8": "e4m3fn, scale = absmax / 448",
}


def listing(kind: str, name: str = "") -> Rows:
    """All of one kind, ``benchmarks`` or ``benchmark``; of suites the entries of one, of metrics those of a benchmark.

    Raises :class:`~fairopt.errors.InputError` for another kind or name.
    """
    whole: dict[str, Callable[[], Rows]] = {
        "benchmarks": _benchmarks,
        "metrics": _metrics,
        "suites": _suites,
        "scorers": _scorers,
        "recipes": _recipes,
        "formats": _formats,
        "layouts": _layouts,
    }
    parts: dict[str, Callable[[str], Rows]] = {"suites": _entries, "metrics": _metrics_of}
    found = kind if kind in whole else f"{kind}s"
    if found not in whole:
        near = get_close_matches(kind, whole, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"list: kind must be one of {', '.join(whole)}, got {kind!r}{hint}")
    if not name:
        return whole[found]()
    if found not in parts:
        raise InputError(f"list: name must follow benchmarks, {' or '.join(parts)}, got {kind} {name}")
    return parts[found](name)


def _recipes() -> Rows:
    from fairopt.compress.recipe_text import WORDS

    return [{"word": word, "examples": RECIPES[word][0], "meaning": RECIPES[word][1]} for word in WORDS]


def _formats() -> Rows:
    from fairopt.formats import FORMATS as NAMES

    return [{"format": name, "meaning": FORMATS[name]} for name in NAMES]


def _layouts() -> Rows:
    from fairopt.compress.interchange import LAYOUTS

    return [{"layout": name, "takes": LAYOUT[name][0], "what reads it": LAYOUT[name][1]} for name in LAYOUTS]


def _scorers() -> Rows:
    from fairopt.scorers import KINDS

    return [{"scorer": name, "what it is": what, "needs": needs} for name, (what, needs) in KINDS.items()]


def _benchmarks() -> Rows:
    from fairopt.benchmarks import NAMES, get

    rows = [_row(get(name)) for name in NAMES]
    own = dict.fromkeys(rows[0], "")
    return [*rows, *(own | {"benchmark": name, "title": title} for name, title in OWN.items())]


def _row(benchmark: Benchmark) -> dict[str, Any]:
    from fairopt.benchmarks.about import asks, needs

    return {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "items": benchmark.n_items,
        "requests": benchmark.n_requests,
        "asks for": asks(benchmark.ask),
        "needs": ", ".join(needs(benchmark)),
    }


def _metrics() -> Rows:
    from fairopt.benchmarks import NAMES

    return [row for name in NAMES for row in _metrics_of(name)]


def _metrics_of(benchmark: str) -> Rows:
    from fairopt.benchmarks import get

    return [
        {
            "metric": metric.id,
            "benchmark": benchmark,
            "title": metric.title,
            "unit": metric.unit,
            "harmful": metric.harm,
            "role": f"gated, {metric.margin:g}; a group {metric.group_margin:g}" if metric.gated else "described",
        }
        for metric in get(benchmark).metrics
    ]


def _suites() -> Rows:
    from fairopt.benchmarks.suites import SUITES

    found = []
    for name, suite in SUITES.items():
        entries = _entries(name)
        found.append(
            {
                "suite": name,
                "benchmarks": len(entries),
                "items": sum(entry["items"] for entry in entries),
                "requests": sum(entry["requests"] for entry in entries),
                "what it is for": f"{suite.title}. {suite.about}",
            }
        )
    return found


def _entries(suite: str) -> Rows:
    from fairopt.benchmarks import get
    from fairopt.benchmarks.suites import get as get_suite

    found = []
    for entry in get_suite(suite).entries:
        row = _row(get(entry.benchmark))
        whole = row["items"]
        asked = whole if entry.limit is None else min(whole, entry.limit)
        requests = round(row["requests"] * asked / whole) if whole else 0
        found.append(row | {"items": asked, "requests": requests})
    return found
