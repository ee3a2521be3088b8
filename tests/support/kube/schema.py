"""A CRD's schema as the API server holds it under strict validation: no unknown field, and its CEL rules."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celpy
from jsonschema import Draft202012Validator

HERE = Path(__file__).parent
_OPEN = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"


@functools.cache
def rayjob_schema() -> dict[str, Any]:
    """The CRD's schema, ``metadata`` left to whoever knows ObjectMeta."""
    crd = json.loads((HERE / "rayjob-v1.json").read_text(encoding="utf-8"))
    schema: dict[str, Any] = crd["schema"]
    schema["properties"]["apiVersion"] = {"const": crd["apiVersion"]}
    schema["properties"]["kind"] = {"const": crd["kind"]}
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    return schema


@functools.cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(strict(rayjob_schema()))


def strict(schema: Any) -> Any:
    """The schema that takes no field that it does not name."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    named = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if named and "additionalProperties" not in schema and not schema.get(_OPEN):
        made["additionalProperties"] = False
    return made


def schema_problems(manifest: dict[str, Any]) -> list[str]:
    """What the schema says against a RayJob, by place."""
    found = _validator().iter_errors(manifest)
    return sorted(f"schema: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found)


def rule_problems(manifest: dict[str, Any], *, before: dict[str, Any] | None = None) -> list[str]:
    """What the CEL rules say against a RayJob.

    Args:
        before: what it was; rules about a change hold for changes alone.
    """
    return [f"CEL: {text}" for text in _walk(rayjob_schema(), manifest, before, at="")]


def _walk(schema: dict[str, Any], value: Any, before: Any, *, at: str) -> Iterator[str]:
    for rule in schema.get(_RULES, []):
        about_change = "oldSelf" in rule["rule"]
        if (not about_change or before is not None) and not _holds(rule["rule"], value, before):
            yield f"{at.lstrip('.')}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        old = before if isinstance(before, dict) else {}
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if isinstance(inner, dict):
                yield from _walk(inner, item, old.get(name), at=f"{at}.{name}")
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _walk(schema["items"], item, None, at=f"{at}[{index}]")


def _holds(rule: str, value: Any, before: Any) -> bool:
    context = {"self": celpy.json_to_cel(copy.deepcopy(value))}
    if before is not None:
        context["oldSelf"] = celpy.json_to_cel(copy.deepcopy(before))
    return bool(_program(rule).evaluate(context))


@functools.cache
def _program(rule: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))
