"""From an Airbyte schema to a stream config, and from a stream config to its landing DDL and dbt files: pure texts.

The stream config is the source of truth of a stream. Everything in `generated_files` follows from it and is committed;
``python -m lakeray generate`` writes the files, or says which have drifted. Same streams, same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from lakeray.airbyte.columns import with_airbyte_columns
from lakeray.airbyte.json_schema import descriptions_from_airbyte, fields_from_airbyte
from lakeray.values.column_types import parse_type, quoted
from lakeray.values.model import Column, Contract, StreamName
from lakeray.values.names import folded, same_name

COMMAND = "python -m lakeray generate"
"""The command that writes the generated files; every one of them names it in its first line."""

_PLAIN_YAML = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_YAML_KEY = 1_000
"""Characters of a YAML key that does not say that it is one; the limit is 1,024 with what is around it."""
_INTERPOLATION = re.compile(r"(\\*)\$\{")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
_AIRBYTE_DESCRIPTIONS = {
    "_airbyte_raw_id": "Airbyte's id of this emission of the record; another one each time the record is sent.",
    "_airbyte_extracted_at": "When the connector read the record.",
    "_airbyte_meta": "The sync's id and the values that Airbyte could not keep (field, change, reason).",
    "_airbyte_generation_id": "Which refresh of the stream the record belongs to.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """What the generated files of one stream are made of."""

    name: StreamName
    contract: Contract
    cursor_field: str | None = None
    """The column that says which of two records with one key is newer; None: only the extraction time does."""
    cursor_type: str | None = None
    """What a text cursor is compared as; None: what all its values parse as."""
    deleted_column: str | None = None
    """The column that is not null in a record of a deletion."""
    hard_delete: bool = False
    """A deletion takes the row out of the processed table; else the row stays, told by the column."""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    """Column name to one line of prose, where the source has one."""


# ---- Airbyte schema to stream config -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedStream:
    """What the config of a new stream says."""

    name: StreamName
    primary_key: Sequence[str]
    cursor_field: str | None = None
    deleted_column: str | None = None
    path: str | None = None
    incremental: bool = True
    fields: Mapping[str, str] = field(default_factory=dict)
    """Column name to DuckDB type."""
    descriptions: Mapping[str, str] = field(default_factory=dict)


def stream_config(name: StreamName, schema_document: Mapping[str, Any]) -> str:
    """The text of ``conf/stream/{source}/{stream}.yaml`` for a discovered stream, with the default policies."""
    return config_text(proposed_by_schema(name, schema_document))


def proposed_by_schema(name: StreamName, schema_document: Mapping[str, Any]) -> ProposedStream:
    """What a discovered stream says of itself.

    Raises:
        ValueError: its key or its cursor is nested.
    """
    cursor = _top_level([schema_document.get("default_cursor_field") or []])
    return ProposedStream(
        name=name,
        primary_key=_top_level(schema_document.get("source_defined_primary_key") or []),
        cursor_field=cursor[0] if cursor else None,
        incremental="incremental" in schema_document.get("supported_sync_modes", ()),
        fields=fields_from_airbyte(schema_document["json_schema"]),
        descriptions=descriptions_from_airbyte(schema_document["json_schema"]),
    )


def config_text(proposed: ProposedStream) -> str:
    """The text of ``conf/stream/{source}/{stream}.yaml``, with the default policies."""
    name, cursor, deleted = proposed.name, proposed.cursor_field, proposed.deleted_column
    lines = [
        f"# @package streams.{name.slug}",
        f"source: {_yaml(name.source)}",
        f"stream: {_yaml(name.stream)}",
        *([f"path: {_yaml_text(proposed.path)}"] if proposed.path else []),
        f"primary_key: [{', '.join(_yaml(column) for column in proposed.primary_key)}]",
        f"cursor_field: {_yaml(cursor) if cursor else 'null'}",
        *([f"deleted_column: {_yaml(deleted)}"] if deleted else []),
        f"sync_mode: {'incremental' if proposed.incremental else 'full_refresh'}",
        f"destination_sync_mode: {'append' if proposed.incremental else 'overwrite'}",
        'contract: {on_new_column: add, on_type_change: quarantine, on_missing_column: "null"}',
        "batch: {}",
        "fields:",
    ]
    lines += [f"  {_yaml_key(column)}: {_yaml(kind)}" for column, kind in proposed.fields.items()]
    lines += ["descriptions:"] if proposed.descriptions else []
    lines += [f"  {_yaml_key(column)}: {_yaml(text)}" for column, text in proposed.descriptions.items()]
    return "\n".join(lines) + "\n"


def _top_level(paths: Sequence[Sequence[str]]) -> list[str]:
    """Airbyte's paths as column names; a nested path has no column of its own and is refused."""
    nested = [path for path in paths if len(path) > 1]
    if nested:
        raise ValueError(f"expected top-level columns in a key or cursor, found the nested path {'.'.join(nested[0])}")
    return [path[0] for path in paths if path]


# ---- stream config to landing DDL and dbt files --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the files of a source say of a stream whose config is refused: it stays, for its model needs it."""

    name: StreamName
    tables: tuple[str, ...]
    """Lines of ``sources_path``; none when the stream is not in it."""
    models: tuple[str, ...]
    """Lines of ``models_path``."""


def sources_path(source: str) -> str:
    """Where the landing tables of a source are described, from the project's root."""
    return f"dbt/models/processed/{source}/_{source}__sources.yml"


def models_path(source: str) -> str:
    """Where the processed models of a source are described, from the project's root."""
    return f"dbt/models/processed/{source}/_{source}__models.yml"


def kept_part(name: StreamName, *, sources: str, models: str) -> Kept:
    """The stream's part of its source's files, as they are now; nothing of what is not in them.

    Args:
        sources: the text of ``sources_path``; empty when there is none.
        models: the text of ``models_path``; empty when there is none.
    """
    return Kept(
        name=name,
        tables=_section(sources, "      - name: ", _yaml(name.landing_table)),
        models=_section(models, "  - name: ", _yaml(name.processed_table)),
    )


def _section(text: str, begins: str, name: str) -> tuple[str, ...]:
    found: list[str] = []
    for line in text.split("\n"):
        if line.startswith(begins):
            if found:
                break
            if line == begins + name:
                found.append(line)
        elif found and line:
            found.append(line)
    return tuple(found)


def generated_files(streams: Iterable[StreamSpec], *, kept: Iterable[Kept] = ()) -> dict[str, str]:
    """Every file that follows from the stream configs: path relative to the project's root, to text; sorted by path.

    Args:
        kept: parts of the files of sources that stay as they are.
    """
    ordered = sorted(streams, key=lambda spec: spec.name)
    parts = sorted(kept, key=lambda part: part.name)
    files: dict[str, str] = {}
    for spec in ordered:
        source, name = spec.name.source, spec.name
        files[f"dbt/landing/{source}/{name.landing_table}.sql"] = landing_ddl(name, spec.contract)
        files[f"dbt/models/processed/{source}/{name.processed_table}.sql"] = processed_model(spec)
    for source, group in groupby(ordered, key=lambda spec: spec.name.source):
        specs = tuple(group)
        stay = [part for part in parts if part.name.source == source]
        files[sources_path(source)] = sources_yaml(source, specs, kept=stay)
        files[models_path(source)] = models_yaml(source, specs, kept=stay)
    return dict(sorted(files.items()))


def is_generated(text: str) -> bool:
    """Whether a file still says that it is generated. One whose first line was removed belongs to the user."""
    return COMMAND in text.partition("\n")[0]


def landing_ddl(name: StreamName, contract: Contract) -> str:
    """The statement that creates the landing table; ``reconcile`` runs it and adds the columns an older table lacks."""
    columns = ",\n".join(
        f"    {quoted(column.name)} {column.type}" for column in with_airbyte_columns(contract.columns)
    )
    table = f"lakehouse.staging.{quoted(name.landing_table)}"
    return f"{_header('--', _config_path(name))}CREATE TABLE IF NOT EXISTS {table} (\n{columns}\n);\n"


def processed_model(spec: StreamSpec) -> str:
    """The dbt model that merges a stream's new rows into its processed table."""
    name, contract = spec.name, spec.contract
    key = ", ".join(_jinja(column) for column in contract.primary_key)
    cursor = _newest_first(spec)
    kind = _cursor_type(spec)
    compared = f"    cursor_type={_jinja(kind)},\n" if kind else ""
    deletes = f"    deleted_column={_jinja(spec.deleted_column)},\n" if spec.deleted_column else ""
    deletes += "    hard_delete=true,\n" if spec.hard_delete else ""
    return f"""{_header("--", _config_path(name))}\
-- One row per key, the newest. To change the model, remove the line above: the file is yours then.
{{{{ config(
    tags=[{_jinja(name.slug)}],
    unique_key=[{key}],
    newest_first={cursor},
{compared}{deletes}) }}}}

select *
from {{{{ lakeray.latest(
    lakeray.new_rows({_jinja(name.source)}, {_jinja(name.stream)}),
    key=[{key}],
    newest_first={cursor},
{compared}) }}}}
"""


def _cursor_type(spec: StreamSpec) -> str | None:
    """What the cursor is compared as, when that is not its own type."""
    types = {folded(column.name): column.type for column in spec.contract.columns}
    own = types.get(folded(spec.cursor_field or ""))
    if spec.cursor_type is None:
        return "auto" if own == parse_type("VARCHAR") else None
    wanted = parse_type(spec.cursor_type)
    return None if own == wanted else str(wanted)


def _newest_first(spec: StreamSpec) -> str:
    """The cursor as the macros take it. A deletion may come without a cursor value: its own time stands in for it."""
    types = {folded(column.name): column.type for column in spec.contract.columns}
    cursor, deleted = spec.cursor_field, spec.deleted_column
    if cursor is None:
        return "none"
    if deleted is None or same_name(deleted, cursor):
        return _jinja(cursor)
    if types.get(folded(deleted)) == types.get(folded(cursor)):
        return f"[{_jinja(cursor)}, {_jinja(deleted)}]"
    return _jinja(cursor)


def sources_yaml(source: str, specs: Sequence[StreamSpec], *, kept: Sequence[Kept] = ()) -> str:
    """``_{source}__sources.yml``: the landing tables of a source, as dbt sources."""
    about = f"Landing tables of {source}: the records as Airbyte delivered them, repeats included."
    lines = [
        _header("#", f"conf/stream/{source}/*.yaml").rstrip("\n"),
        "version: 2",
        "sources:",
        f"  - name: {_yaml(source)}",
        f"    description: {_text(about)}",
        "    database: lakehouse",
        "    schema: staging",
        "    tables:",
    ]
    return "\n".join([*lines, *_by_stream(specs, _table_lines, {part.name: part.tables for part in kept})]) + "\n"


def _table_lines(spec: StreamSpec) -> list[str]:
    about = f"Every delivered record of {spec.name}, until the retention removes its file."
    return [f"      - name: {_yaml(spec.name.landing_table)}", f"        description: {_text(about)}"]


def models_yaml(source: str, specs: Sequence[StreamSpec], *, kept: Sequence[Kept] = ()) -> str:
    """``_{source}__models.yml``: what the processed models of a source hold, and the tests of their keys."""
    lines = [_header("#", f"conf/stream/{source}/*.yaml").rstrip("\n"), "version: 2", "models:"]
    return "\n".join([*lines, *_by_stream(specs, _model_lines, {part.name: part.models for part in kept})]) + "\n"


def _by_stream(
    specs: Sequence[StreamSpec],
    lines_of: Callable[[StreamSpec], Sequence[str]],
    kept: Mapping[StreamName, Sequence[str]],
) -> list[str]:
    parts = {**kept, **{spec.name: lines_of(spec) for spec in specs}}
    return [line for name in sorted(parts) for line in parts[name]]


def _model_lines(spec: StreamSpec) -> list[str]:
    key = spec.contract.primary_key
    newest = "by extraction time" if spec.cursor_field is None else f"by {spec.cursor_field}, then by extraction time"
    about = f"The newest record of each {' and '.join(key) or 'row'} of {spec.name}, {newest}."
    lines = [f"  - name: {_yaml(spec.name.processed_table)}", f"    description: {_text(about)}"]
    if len(key) > 1 or not _has_dbts_tests(key):
        lines += ["    data_tests:", *_test_lines("lakeray.unique_key", key)]
    if len(key) == 1 and not _has_dbts_tests(key):
        lines += _test_lines("lakeray.key_not_null", key)
    lines.append("    columns:")
    for column in with_airbyte_columns(spec.contract.columns):
        lines += _column_lines(column, spec)
    return lines


def _has_dbts_tests(key: Sequence[str]) -> bool:
    """Whether dbt's own tests can ask a key: it does not quote what is in a name."""
    return len(key) == 1 and _PLAIN_YAML.fullmatch(key[0]) is not None


def _test_lines(test: str, columns: Sequence[str]) -> list[str]:
    plain = all(_PLAIN_YAML.fullmatch(column) for column in columns)
    named = (
        f"[{', '.join(map(_yaml, columns))}]"
        if plain
        else _yaml_text(_unrendered(json.dumps(columns, ensure_ascii=False)))
    )
    return [f"      - {test}:", f"          arguments: {{columns: {named}}}"]


def _column_lines(column: Column, spec: StreamSpec) -> list[str]:
    about = (
        spec.descriptions.get(column.name)
        or _AIRBYTE_DESCRIPTIONS.get(column.name)
        or f"The field {column.name} of {spec.name}, as the source delivers it."
    )
    tests: list[str] = []
    if _has_dbts_tests(spec.contract.primary_key) and same_name(column.name, spec.contract.primary_key[0]):
        tests = ["unique", "not_null"]
    lines = [f"      - name: {_dbt_name(column.name)}"]
    if not _PLAIN_YAML.fullmatch(column.name):
        lines.append("        quote: true")
    lines.append(f"        description: {_text(about)}")
    if tests:
        lines.append(f"        data_tests: [{', '.join(tests)}]")
    return lines


# ---- words ---------------------------------------------------------------------------------------------------------


def _header(comment: str, origin: str) -> str:
    return f"{comment} Generated from {origin} by `{COMMAND}`; do not edit.\n"


def _config_path(name: StreamName) -> str:
    return f"conf/stream/{name.source}/{name.stream}.yaml"


def _yaml(text: str) -> str:
    """``text`` as a YAML scalar that reads back as this string, also under OmegaConf's interpolation."""
    if _PLAIN_YAML.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    text = _INTERPOLATION.sub(lambda found: 2 * found[1] + "\\${", text)
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else _yaml_text(text)


def _yaml_key(text: str) -> str:
    """``text`` as a key of the stream config: nothing is interpolated in it, and a long one says that it is a key."""
    plain = _PLAIN_YAML.fullmatch(text) is not None and text.lower() not in _YAML_WORDS
    key = text if plain else "'" + text.replace("'", "''") + "'" if text.isprintable() else _yaml_text(text)
    return key if len(key) <= _LONGEST_YAML_KEY else f"? {key}\n  "


def _yaml_text(text: str) -> str:
    """``text`` as a YAML scalar in double quotes, whatever is in it."""
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else _escaped(c) for c in shown)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _dbt_name(name: str) -> str:
    """A column's name as a YAML scalar for dbt, which renders Jinja in it and reads what looks like a number as one."""
    if _PLAIN_YAML.fullmatch(name):
        return _yaml(name)
    return _yaml_text("{{ " + _jinja(name) + " | as_text }}")


def _text(text: str) -> str:
    """Prose as a YAML scalar for dbt, which would render Jinja in it."""
    return _yaml_text(re.sub(r"\{(?=[{%#])", "{ ", text))


def _unrendered(encoded: str) -> str:
    """JSON or a literal without a brace, so that Jinja sees nothing to evaluate, however often it looks."""
    return encoded.replace("{", "\\u007b").replace("}", "\\u007d")


def _jinja(text: str) -> str:
    """``text`` as a Jinja string literal: the one place where what comes from outside is put into Jinja."""
    shown = text.replace("\\", "\\\\").replace("'", "\\'")
    return _unrendered("'" + "".join(c if c.isprintable() else _escaped(c) for c in shown) + "'")
