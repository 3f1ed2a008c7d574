"""The JSON schema of ``report.json``, read off the dataclasses of :mod:`fairopt.audit.result`.

``tools/make_report_schema.py`` writes it to ``schema/report.schema.json``, so that a reader needs no Python.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from fairopt.audit.result import AuditResult, Check, VariantResult

SCHEMA = "fairopt.report/2"

_TEXT = {"type": "string"}
_DESCRIPTION = (
    "What `fairopt audit` writes as report.json. A null number is not defined; a reason stands beside it where there "
    "is one. `delta` is variant minus base; intervals are two-sided 90 %."
)


def schema() -> dict[str, Any]:
    """The whole schema (draft 2020-12); objects have exactly the properties that are named."""
    definitions: dict[str, Any] = {}
    audit = typing.get_type_hints(AuditResult)
    variant = _of(VariantResult, definitions)
    sentences = _object({"why": _TEXT, "settle": _TEXT})
    _merge(definitions[VariantResult.__name__], sentences)
    _of(Check, definitions)
    _merge(definitions[Check.__name__], _object({"same": {"type": "boolean"}}))
    properties = {
        "schema": {"const": SCHEMA},
        "decision": {"enum": ["SHIP", "HOLD", "INCONCLUSIVE", "NOT COMPARABLE"]},
        "exit_code": {"enum": [0, 1, 3, 4]},
        "headline": _TEXT,
        "lead": _TEXT,
        "base": _object({"name": _TEXT, "weights_hash": _TEXT}),
        "run": _object(
            {
                "id": _TEXT,
                "descriptor_hash": _TEXT,
                "policy_name": _TEXT,
                "policy_hash": _TEXT,
                "alpha": {"type": "number"},
                "command": _TEXT,
                "versions": {"type": "object", "additionalProperties": _TEXT},
            }
        ),
        "benchmarks": _of(audit["benchmarks"], definitions),
        "comparable": _of(audit["comparable"], definitions),
        "variants": {"type": "array", "items": variant},
        "left_out": _of(audit["left_out"], definitions),
        "scorers": _of(audit["scorers"], definitions),
        "trends": _of(audit["trends"], definitions),
        "notes": {"type": "array", "items": _object({"metric": _TEXT, "title": _TEXT, "text": _TEXT})},
        "limits": {"type": "array", "items": _TEXT},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "fairopt audit report",
        "description": _DESCRIPTION,
        **_object(properties),
        "$defs": dict(sorted(definitions.items())),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _merge(definition: dict[str, Any], more: dict[str, Any]) -> None:
    definition["properties"] |= more["properties"]
    definition["required"] += more["required"]


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a value of type ``kind``; dataclasses go to ``definitions``."""
    if is_dataclass(kind):
        return _of_dataclass(typing.cast("type", kind), definitions)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is tuple:  # only tuple[T, ...] in results
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    if origin is types.UnionType:
        return _optional(_of(arguments[0], definitions))
    # A number that is not finite is written as null.
    plain: dict[Any, dict[str, Any]] = {
        str: _TEXT,
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": ["number", "null"]},
    }
    return plain[kind]


def _optional(inner: dict[str, Any]) -> dict[str, Any]:
    if isinstance(inner.get("type"), str) and len(inner) == 1:
        return {"type": [inner["type"], "null"]}
    return {"anyOf": [inner, {"type": "null"}]}


def _of_dataclass(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # known before its fields are read
        hints = typing.get_type_hints(kind)
        made = _object({f.name: _of(hints[f.name], definitions) for f in fields(kind)})
        doc = kind.__doc__ or ""
        described = {} if doc.startswith(f"{kind.__name__}(") else {"description": " ".join(doc.split())}
        definitions[kind.__name__] = described | made
    return {"$ref": f"#/$defs/{kind.__name__}"}
