"""Any name comes through the files that are made of it, read by what reads them: OmegaConf, YAML, Jinja (ADR 0034)."""

from __future__ import annotations

import json
from types import SimpleNamespace

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from lakeray.airbyte.json_schema import descriptions_from_airbyte
from lakeray.streams.generated import StreamSpec, models_yaml, processed_model, stream_config
from lakeray.values.column_types import Scalar
from lakeray.values.model import Column, Contract, StreamName

NAME = StreamName("shop", "orders")
ODD = ["Hi {{field:01A}}, age?", "{% x %}", "{# x", "{{{", "it's", 'a"b', "a\\b", "\\u0041", "1", "[1]", "null", "on"]
ODD += ["${a}", "\\${a}", "line\nbreak", "\r", "\x85", "\u2028", "\U0001f600", " x ", "- a: b", "a" * 900, "\x01" * 900]
texts = st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))


@settings(max_examples=60)
@given(texts, texts)
def test_any_text_comes_through_a_stream_config(name: str, about: str) -> None:
    schema = {"properties": {name: {"type": "integer", "description": about}}}
    document = {"json_schema": schema, "source_defined_primary_key": [[name]], "default_cursor_field": [name]}
    composed = OmegaConf.create(yaml.load(stream_config(NAME, document), Loader=get_yaml_loader()))
    read = OmegaConf.to_container(OmegaConf.merge(composed, {}), resolve=True)
    assert isinstance(read, dict) and read["fields"] == {name: "BIGINT"}
    assert read["primary_key"] == [name] and read["cursor_field"] == name
    assert read.get("descriptions", {}) == descriptions_from_airbyte(schema)


@settings(max_examples=60)
@given(texts)
def test_any_name_comes_through_dbts_files_and_nothing_of_it_is_evaluated(name: str) -> None:
    terms = Contract(columns=(Column(name=name, type=Scalar("BIGINT")),), primary_key=(name,))
    one = StreamSpec(name=NAME, contract=terms, cursor_field=name, descriptions={name: name})
    model = processed_model(one)
    found: list[object] = []
    macros = SimpleNamespace(
        new_rows=lambda *_: "", latest=lambda _, **words: found.extend((*words["key"], words["newest_first"]))
    )
    Environment().from_string(model).render(config=lambda **words: words["unique_key"], lakeray=macros, none=None)
    assert found == [name, name]
    described = yaml.safe_load(models_yaml("shop", [one]))["models"][0]
    column = described["columns"][-1]
    plain = Environment()
    plain.filters["as_text"] = lambda text: text
    assert plain.from_string(column["name"]).render() == name
    for about in (column["description"], described["description"]):
        assert plain.from_string(about).render().split() == about.split()
    for test in described.get("data_tests", []):
        (arguments,) = test.values()
        encoded = arguments["arguments"]["columns"]
        assert plain.from_string(encoded).render() == encoded and json.loads(encoded) == [name]
