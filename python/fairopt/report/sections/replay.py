"""Where the result comes from: sources, hashes, versions."""

from __future__ import annotations

from collections.abc import Mapping

from fairopt.audit.result import AuditResult
from fairopt.report.text import visible

COMMAND_LENGTH = 4000


def command(result: AuditResult) -> str:
    """What repeats the audit."""
    return visible(result.command, COMMAND_LENGTH)


def provenance(result: AuditResult) -> tuple[tuple[str, str], ...]:
    """Name and value of everything that identifies the run."""
    policy = f"{result.policy_name}, {result.policy_hash}"
    hashes = [("run", result.run_id), ("descriptor", result.descriptor_hash), ("policy", policy)]
    weights = [("base weights", result.base_weights_hash)]
    weights += [(f"weights of {v.name}", v.weights_hash) for v in result.variants]
    tokens = [(f"calibration of {v.name}", _calibration(v.calibrated_on)) for v in result.variants if v.calibrated_on]
    rows = [*hashes, *weights, *tokens, *result.versions.items()]
    return tuple((visible(name), visible(value)) for name, value in rows)


def sources(result: AuditResult) -> tuple[tuple[str, str], ...]:
    """Title of every benchmark, with where it comes from."""
    return tuple((visible(b.get("title", name)), _source(b)) for name, b in result.benchmarks.items())


def thousands(text: str) -> str:
    """``1508`` as ``1,508``."""
    return f"{int(text):,}" if text.isascii() and text.isdigit() and len(text) < 20 else visible(text)


def _calibration(of: Mapping[str, str]) -> str:
    """``2,048 tokens, 16 sequences, seed 0, sha256 ...``."""
    counts = [f"{thousands(of[name])} {name}" for name in ("tokens", "sequences") if name in of]
    return ", ".join([*counts, *(f"{name} {of[name]}" for name in ("seed", "sha256") if name in of)])


def _source(benchmark: Mapping[str, str]) -> str:
    parts = [("version {}", "version"), ("{} items", "n_items"), ("{}", "licence"), ("{}", "home")]
    return " · ".join(form.format(thousands(benchmark[key])) for form, key in parts if benchmark.get(key))
