"""Airbyte's types, and the texts that follow from a stream config: exact, quoted, the same every time."""

from __future__ import annotations

from typing import Any

import pytest

from lakeray.airbyte.columns import AIRBYTE_COLUMNS, with_airbyte_columns
from lakeray.airbyte.json_schema import descriptions_from_airbyte, fields_from_airbyte, stream_document
from lakeray.streams.generated import (
    StreamSpec,
    generated_files,
    is_generated,
    landing_ddl,
    models_yaml,
    processed_model,
    sources_yaml,
    stream_config,
)
from lakeray.values.column_types import Scalar, parse_type
from lakeray.values.model import Column, Contract, StreamName

NAME = StreamName("shop", "orders")


def contract(*names: str, key: tuple[str, ...] = ("id",), times: tuple[str, ...] = ()) -> Contract:
    columns = [Column(name=name, type=Scalar("BIGINT")) for name in names]
    columns += [Column(name=name, type=Scalar("TIMESTAMP WITH TIME ZONE")) for name in times]
    return Contract(columns=tuple(columns), primary_key=key)


def type_of(schema: dict[str, Any]) -> str:
    return fields_from_airbyte({"properties": {"it": schema}})["it"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "VARCHAR"),
        ({"type": ["null", "boolean"]}, "BOOLEAN"),
        ({"type": "integer"}, "BIGINT"),
        ({"type": ["number", "null"]}, "DOUBLE"),
        ({"type": "string", "format": "date"}, "DATE"),
        ({"type": "string", "format": "date-time"}, "TIMESTAMP WITH TIME ZONE"),
        (
            {"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
            "TIMESTAMP WITH TIME ZONE",
        ),
        ({"type": "string", "format": "time"}, "TIME"),
        ({"type": "string", "format": "email"}, "VARCHAR"),
        ({"type": ["null", "object"]}, "VARCHAR"),
        ({"type": "object", "properties": {}}, "VARCHAR"),
        ({"type": "object", "properties": {"a-b": {"type": "integer"}}}, 'STRUCT("a-b" BIGINT)'),
        ({"type": "array"}, "VARCHAR"),
        ({"type": "array", "items": {}}, "VARCHAR"),
        ({"type": "array", "items": {"type": ["null", "string"]}}, "VARCHAR[]"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, "DOUBLE[][]"),
        ({"type": "array", "items": {"type": "object"}}, "VARCHAR[]"),
        ({}, "VARCHAR"),
        ({"type": "null"}, "VARCHAR"),
        ({"type": "curious"}, "VARCHAR"),
    ],
)
def test_a_property_has_the_type_that_airbyte_writes(schema: dict[str, Any], expected: str) -> None:
    assert type_of(schema) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (
            {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}, {"type": "null"}]},
            'STRUCT("type" VARCHAR, "timestamp_with_timezone" TIMESTAMP WITH TIME ZONE, "string" VARCHAR)',
        ),
        (
            {"oneOf": [{"type": "null"}, {"type": "number"}, {"type": "string"}]},
            'STRUCT("type" VARCHAR, "number" DOUBLE, "string" VARCHAR)',
        ),
        ({"type": ["integer", "boolean"]}, 'STRUCT("type" VARCHAR, "integer" BIGINT, "boolean" BOOLEAN)'),
        (
            {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "array"}]},
            'STRUCT("type" VARCHAR, "object" STRUCT("a" VARCHAR), "array" VARCHAR)',
        ),
        ({"anyOf": [{"type": ["null", "string"]}, {"type": "string"}]}, "VARCHAR"),
        ({"oneOf": [{"type": "null"}, {"type": "integer"}]}, "BIGINT"),
    ],
)
def test_a_union_of_several_kinds_is_a_struct_with_a_field_per_kind(schema: dict[str, Any], expected: str) -> None:
    assert type_of(schema) == expected


def test_every_type_is_read_back_as_itself() -> None:
    text = type_of({"type": "object", "properties": {'we"ird': {"type": "array", "items": {"type": "string"}}}})
    assert str(parse_type(text)) == text == 'STRUCT("we""ird" VARCHAR[])'


def test_descriptions_are_one_line_and_only_where_there_is_one() -> None:
    schema = {"properties": {"a": {"description": "two\n  lines"}, "b": {}, "c": {"description": " "}}}
    assert descriptions_from_airbyte(schema) == {"a": "two lines"}


DOCUMENT = {
    "supported_sync_modes": ["full_refresh", "incremental"],
    "default_cursor_field": ["updated_at"],
    "source_defined_primary_key": [["id"]],
    "json_schema": {
        "properties": {
            "id": {"type": "integer"},
            "on": {"type": "boolean", "description": "It's ${odd}: yes"},
            "a: b": {"type": "object", "properties": {"x": {"type": "string"}}},
        }
    },
}


def test_a_stream_config_is_exact() -> None:
    assert stream_config(NAME, DOCUMENT) == (
        "# @package streams.shop__orders\n"
        "source: shop\n"
        "stream: orders\n"
        "primary_key: [id]\n"
        "cursor_field: updated_at\n"
        "sync_mode: incremental\n"
        "destination_sync_mode: append\n"
        'contract: {on_new_column: add, on_type_change: quarantine, on_missing_column: "null"}\n'
        "batch: {}\n"
        "fields:\n"
        "  id: BIGINT\n"
        "  'on': BOOLEAN\n"
        "  'a: b': 'STRUCT(\"x\" VARCHAR)'\n"
        "descriptions:\n"
        "  'on': 'It''s \\${odd}: yes'\n"
    )


def test_a_stream_without_incremental_syncs_is_overwritten() -> None:
    text = stream_config(NAME, {"json_schema": {"properties": {"id": {"type": "string"}}}})
    assert "primary_key: []\ncursor_field: null\n" in text
    assert "sync_mode: full_refresh\ndestination_sync_mode: overwrite\n" in text


def test_a_nested_key_is_refused_with_its_path() -> None:
    with pytest.raises(ValueError, match=r"nested path attributes\.id"):
        stream_config(NAME, {**DOCUMENT, "source_defined_primary_key": [["attributes", "id"]]})


def test_airbytes_columns_come_first_and_once() -> None:
    own = Column(name="_AIRBYTE_RAW_ID", type=Scalar("UUID"))
    names = [column.name for column in with_airbyte_columns([own, Column(name="id", type=Scalar("BIGINT"))])]
    assert names == ["_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id", "_AIRBYTE_RAW_ID", "id"]


def test_the_landing_ddl_quotes_every_identifier_and_names_its_origin() -> None:
    ddl = landing_ddl(NAME, contract("id", "order", 'we"ird'))
    assert ddl.startswith("-- Generated from conf/stream/shop/orders.yaml by `python -m lakeray generate`")
    assert 'CREATE TABLE IF NOT EXISTS lakehouse.staging."stg_shop__orders" (\n    "_airbyte_raw_id" VARCHAR,\n' in ddl
    assert ddl.endswith('    "id" BIGINT,\n    "order" BIGINT,\n    "we""ird" BIGINT\n);\n')


def test_the_ddl_is_the_same_whether_the_contract_names_airbytes_columns_or_not() -> None:
    own = contract("id")
    with_all = Contract(columns=AIRBYTE_COLUMNS + own.columns, primary_key=("id",))
    assert landing_ddl(NAME, with_all) == landing_ddl(NAME, own)


def spec(described: Contract, cursor_field: str | None, **more: Any) -> StreamSpec:
    return StreamSpec(name=NAME, contract=described, cursor_field=cursor_field, **more)


def test_a_processed_model_has_its_key_cursor_and_tag() -> None:
    text = processed_model(spec(contract("id", "line", key=("id", "line")), "updated_at"))
    assert "unique_key=['id', 'line']" in text and "key=['id', 'line']" in text
    assert text.count("newest_first='updated_at'") == 2 and "delete" not in text
    assert "tags=['shop__orders']" in text and "lakeray.new_rows('shop', 'orders')" in text
    assert "newest_first=none" in processed_model(spec(contract("id"), None))


def test_a_deletion_counts_as_newer_by_its_own_time_where_the_stream_has_one() -> None:
    two = contract("id", times=("updated_at", "deleted_at"))
    text = processed_model(spec(two, "updated_at", deleted_column="deleted_at"))
    assert "newest_first=['updated_at', 'deleted_at']" in text and "deleted_column='deleted_at'" in text
    assert "newest_first='updated_at'" in processed_model(spec(two, "updated_at"))
    other = contract("id", "updated_at", times=("deleted_at",))
    assert "newest_first='updated_at'" in processed_model(spec(other, "updated_at", deleted_column="deleted_at"))
    assert "hard_delete=true" in processed_model(spec(two, "updated_at", deleted_column="deleted_at", hard_delete=True))


@pytest.mark.parametrize(
    ("own", "told", "compared"),
    [
        ("VARCHAR", None, "'auto'"),
        ("VARCHAR", "bigint", "'BIGINT'"),
        ("VARCHAR", "VARCHAR", None),
        ("BIGINT", None, None),
        ("BIGINT", "BIGINT", None),
        ("TIMESTAMP WITH TIME ZONE", None, None),
    ],
)
def test_a_text_cursor_is_compared_as_something_else(own: str, told: str | None, compared: str | None) -> None:
    columns = (Column(name="id", type=Scalar("BIGINT")), Column(name="lsn", type=parse_type(own)))
    terms = Contract(columns=columns, primary_key=("id",))
    text = processed_model(StreamSpec(name=NAME, contract=terms, cursor_field="lsn", cursor_type=told))
    assert text.count(f"cursor_type={compared},") == (2 if compared else 0) == text.count("cursor_type")


def test_a_single_key_is_tested_on_its_column_and_a_composite_one_on_the_model() -> None:
    single = models_yaml("shop", [StreamSpec(name=NAME, contract=contract("id"))])
    about = '        description: "The field id of shop/orders, as the source delivers it."\n'
    assert f"      - name: id\n{about}        data_tests: [unique, not_null]\n" in single
    composite = models_yaml("shop", [StreamSpec(name=NAME, contract=contract("id", "line", key=("id", "line")))])
    assert "- lakeray.unique_key:\n          arguments: {columns: [id, line]}" in composite
    assert "not_null" not in composite and "data_tests: [unique" not in composite


def test_descriptions_reach_the_models_yaml_without_their_jinja() -> None:
    described = {"id": 'the "key" {{ var }}'}
    text = models_yaml("shop", [StreamSpec(name=NAME, contract=contract("id"), descriptions=described)])
    assert 'description: "the \\"key\\" { { var }}"' in text


def test_a_name_in_another_case_is_the_field_that_it_names() -> None:
    columns = (Column(name="Id", type=Scalar("BIGINT")), Column(name="LSN", type=Scalar("VARCHAR")))
    one = StreamSpec(name=NAME, contract=Contract(columns=columns, primary_key=("ID",)), cursor_field="lsn")
    assert "cursor_type='auto'" in processed_model(one)
    assert "- name: Id\n" in models_yaml("shop", [one]) and "data_tests: [unique, not_null]" in models_yaml(
        "shop", [one]
    )
    same = StreamSpec(name=NAME, contract=one.contract, cursor_field="lsn", deleted_column="LSN")
    assert "newest_first='lsn'" in processed_model(same)


def test_the_sources_are_the_landing_tables() -> None:
    text = sources_yaml("shop", [StreamSpec(name=NAME, contract=contract("id"))])
    assert "schema: staging" in text and "- name: stg_shop__orders" in text


def test_the_generated_files_do_not_depend_on_the_order_of_the_streams() -> None:
    names = (StreamName("b", "two"), NAME, StreamName("b", "one"))
    specs = [StreamSpec(name=name, contract=contract("id")) for name in names]
    files = generated_files(specs)
    assert list(files.items()) == list(generated_files(reversed(specs)).items())
    assert list(files) == sorted(files)
    assert len(files) == 3 * 2 + 2 * 2
    assert all(is_generated(text) and text.endswith("\n") for text in files.values())
    assert "dbt/models/processed/b/_b__models.yml" in files


def test_a_file_without_its_first_line_belongs_to_the_user() -> None:
    text = landing_ddl(NAME, contract("id"))
    assert not is_generated(text.partition("\n")[2])


_SCHEMA = {"properties": {"id": {"type": "integer"}}}
_STREAM = {"name": "Orders", "json_schema": _SCHEMA, "source_defined_primary_key": [["id"]]}


@pytest.mark.parametrize(
    "document",
    [
        _SCHEMA,
        _STREAM,
        {"streams": [{"name": "others"}, _STREAM]},
        {"type": "CATALOG", "catalog": {"streams": [_STREAM]}},
        {"streams": [{"stream": _STREAM, "sync_mode": "incremental"}]},
    ],
)
def test_a_schema_is_found_in_whatever_holds_it(document: dict[str, Any]) -> None:
    assert fields_from_airbyte(stream_document(document, stream="orders")["json_schema"]) == {"id": "BIGINT"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [({"streams": [_STREAM]}, "there are Orders"), ({}, "a JSON schema"), ({"json_schema": 1}, "a JSON schema")],
)
def test_what_holds_no_schema_is_told(document: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        stream_document(document, stream="lines")
