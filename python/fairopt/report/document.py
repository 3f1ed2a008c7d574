"""The report as JSON, schema :data:`~fairopt.report.schema.SCHEMA` (``schema/report.schema.json``).

Everything of :class:`~fairopt.audit.result.AuditResult` at full precision, and the sentences of the page. A number that
is not finite is ``null``; a ``reason`` stands beside it where the audit gave one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from fairopt.audit.result import AuditResult
from fairopt.report.page import Page
from fairopt.report.schema import SCHEMA


def document(result: AuditResult, page: Page) -> dict[str, Any]:
    """Plain dicts, lists, strings, numbers and nulls, in a fixed order."""
    forests = page.sections.forests if page.sections else ()
    return {
        "schema": SCHEMA,
        "decision": page.decision,
        "exit_code": page.exit_code,
        "headline": page.headline,
        "lead": page.lead,
        "base": {"name": result.base, "weights_hash": result.base_weights_hash},
        "run": {
            "id": result.run_id,
            "descriptor_hash": result.descriptor_hash,
            "policy_name": result.policy_name,
            "policy_hash": result.policy_hash,
            "alpha": result.alpha,
            "command": result.command,
            "versions": plain(result.versions),
        },
        "benchmarks": plain(result.benchmarks),
        "comparable": {
            name: [{**plain(check), "same": check.same} for check in checks]
            for name, checks in result.comparable.items()
        },
        "variants": [
            {**plain(result.variants[card.key]), "why": card.why, "settle": card.settle} for card in page.cards
        ],
        "left_out": plain(result.left_out),
        "scorers": plain(result.scorers),
        "trends": plain(result.trends if page.cards else ()),
        "notes": [{"metric": f.metric, **plain(note)} for f in forests for note in f.notes],
        "limits": list(page.limits),
    }


def plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as JSON knows them; numbers that are not finite as ``None``."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dumps(value: dict[str, Any]) -> str:
    """The text of ``report.json``. Lone surrogates of broken texts are escaped, so that the file is valid UTF-8."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def script_block(value: dict[str, Any]) -> str:
    """The same for a ``<script type="application/json">`` block: nothing in it can end the block or start a tag."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
