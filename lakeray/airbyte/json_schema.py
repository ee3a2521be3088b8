"""A discovered stream's JSON schema as the columns that Airbyte's Parquet writer makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeray.values.column_types import ColumnType, ListOf, Scalar, Struct
from lakeray.values.names import same_name

_BY_TYPE = {"string": "VARCHAR", "boolean": "BOOLEAN", "integer": "BIGINT", "number": "DOUBLE"}


_BY_FORMAT = {"date": "DATE", "date-time": "TIMESTAMP WITH TIME ZONE", "time": "TIME"}


_JSON_TEXT = Scalar("VARCHAR")


def fields_from_airbyte(json_schema: Mapping[str, Any]) -> dict[str, str]:
    """The record's columns as Airbyte's Parquet writer types them: name to DuckDB type, in the schema's order.

    Args:
        json_schema: a discovered stream's ``json_schema``, with its ``properties``.
    """
    return {name: str(_type_of(schema)) for name, schema in json_schema.get("properties", {}).items()}


def stream_document(document: Mapping[str, Any], *, stream: str) -> Mapping[str, Any]:
    """A stream as Airbyte's catalog has it, from whatever holds it.

    Args:
        document: the stream itself, a catalog or what ``discover`` prints, a configured catalog, or a bare JSON schema.
        stream: its name in a catalog, in any case of letters.

    Raises:
        ValueError: there is no such stream in it, or no schema; says what there is.
    """
    catalog = document.get("catalog", document)
    if isinstance(catalog, Mapping) and isinstance(catalog.get("streams"), list):
        streams = [item.get("stream", item) for item in catalog["streams"]]
        named = {str(item.get("name")): item for item in streams}
        found = next((item for name, item in named.items() if same_name(name, stream)), None)
        if found is None:
            raise ValueError(f"a stream {stream}; there are {', '.join(sorted(named)) or 'none'}")
        document = found
    if "json_schema" not in document and "properties" in document:
        # It says nothing of syncs: taken to overwrite, each would take the rows of the one before it away (P16).
        document = {"json_schema": document, "supported_sync_modes": ["full_refresh", "incremental"]}
    schema = document.get("json_schema")
    is_one = isinstance(schema, Mapping) and isinstance(schema.get("properties"), Mapping)
    if not is_one:
        raise ValueError("a JSON schema with properties, a stream of Airbyte's, or a catalog")
    return document


def descriptions_from_airbyte(json_schema: Mapping[str, Any]) -> dict[str, str]:
    """The columns' descriptions, on one line each, for the columns that have one."""
    described = {name: schema.get("description") for name, schema in json_schema.get("properties", {}).items()}
    return {name: " ".join(text.split()) for name, text in described.items() if text and text.strip()}


def _type_of(schema: Mapping[str, Any]) -> ColumnType:
    options = _options(schema)
    if len(options) > 1:
        return Struct((("type", Scalar("VARCHAR")), *((_kind(option), _single_type(option)) for option in options)))
    return _single_type(options[0]) if options else _JSON_TEXT


def _options(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The non-null alternatives of a property, one per kind, in the schema's order."""
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        found = [option for alternative in alternatives for option in _options(alternative)]
    else:
        types = schema.get("type")
        found = [{**schema, "type": name} for name in ([types] if isinstance(types, str) else types or [])]
    kinds: dict[str, Mapping[str, Any]] = {}
    for option in found:
        if option["type"] != "null":
            kinds.setdefault(_kind(option), option)
    return list(kinds.values())


def _kind(option: Mapping[str, Any]) -> str:
    """Airbyte's name for a kind of value: the field that holds it in a union's struct."""
    if option["type"] != "string" or option.get("format") not in _BY_FORMAT:
        return str(option["type"])
    if option["format"] == "date":
        return "date"
    base = "timestamp" if option["format"] == "date-time" else "time"
    without = str(option.get("airbyte_type", "")).endswith("without_timezone")
    return f"{base}_{'without' if without else 'with'}_timezone"


def _single_type(option: Mapping[str, Any]) -> ColumnType:
    match option["type"]:
        case "object" if option.get("properties"):
            return Struct(tuple((name, _type_of(schema)) for name, schema in option["properties"].items()))
        case "array" if isinstance(option.get("items"), Mapping) and option["items"]:
            return ListOf(_type_of(option["items"]))
        case "string":
            return Scalar(_BY_FORMAT.get(option.get("format", ""), "VARCHAR"))
        case name:
            return Scalar(_BY_TYPE[name]) if name in _BY_TYPE else _JSON_TEXT
