{#
  The materialization of enriched models: the rows of the keys that changed in the inputs are replaced, the others stay (ADR 0020).
  What an output row is made of may come from any row of any input, so the model says which keys an input's change touches:

    {%- set inputs = [ref('int_shop__orders'), ref('int_shop__refunds')] -%}
    {%- set since = lakeray.since(inputs) -%}
    {%- set affected = lakeray.affected(since,
        'select id from ' ~ lakeray.changes(inputs[0], since) ~ ' union all select order_id from ' ~ lakeray.changes(inputs[1], since)
    ) -%}
    select … from {{ inputs[0] }} as orders where {{ lakeray.among(affected, 'orders.id') }}

  Config: unique_key, the key's column, never null. The whole table is built where that is not sound or not worth it: for the first
  time, with --full-refresh, when the model's text has changed, when an input was made anew, altered or compacted, when snapshots since
  the last build have expired, when half of the keys or more are affected; and each time, when the model does not ask. Each build notes
  in meta.enriched_marks what it has read, in its own transaction. lakeray names models whose text, config or macros have changed in the
  var lakeray_edited: they are built whole.
#}
{% materialization lakeray_enriched, adapter='duckdb' -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='table') -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- if lakeray.affected_table() in sql -%}
    {%- set rows = lakeray.replace_affected(target, sql) -%}
  {%- else -%}
    {%- set rows = lakeray.build(target, existing, sql) -%}
  {%- endif -%}
  {%- do lakeray.note_seen() -%}
  {% call noop_statement('main', 'OK ' ~ rows, 'OK', rows) %}{{ sql }}{% endcall %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do adapter.commit() -%}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target]}) }}
{%- endmaterialization %}


{#
  The DuckLake snapshots that the model's table has not seen yet, {'from': 13, 'to': 15}, both inclusive; none when the whole table
  is to be built. Call it before anything else: rows that are committed while the model runs are then seen by this build or the next.
#}
{% macro since(inputs) -%}
  {%- if not lakeray.may_look() -%}
    {{ return(none) }}
  {%- endif -%}
  {%- set now = run_query("from ducklake_current_snapshot(" ~ lakeray.text(this.database) ~ ")").rows[0][0] | int -%}
  {%- set seen = {'model': this.identifier, 'snapshot': now, 'code': local_md5(model.raw_code), 'tables': lakeray.table_ids(inputs)} -%}
  {%- do run_query("set variable lakeray_seen = " ~ lakeray.text(tojson(seen))) -%}
  {%- set existing = adapter.get_relation(this.database, this.schema, this.identifier) -%}
  {%- set before = lakeray.last_seen() -%}
  {%- if existing is none or existing.type != 'table' or should_full_refresh() or before is none
      or this.identifier in var('lakeray_edited', []) or before.code != seen.code or before.tables != seen.tables
      or not lakeray.only_rows_changed(before.snapshot + 1, now, seen.tables.values() | list) -%}
    {{ return(none) }}
  {%- endif -%}
  {{ return({'from': before.snapshot + 1, 'to': now}) }}
{%- endmacro %}


{# The rows that were inserted into a relation, and those deleted from it, in these snapshots; an update is one of each. #}
{% macro changes(relation, since) -%}
  {%- if since is none or since['from'] > since['to'] -%}
    {{ return('(select * from ' ~ relation ~ ' where false)') }}
  {%- endif -%}
  {%- set bounds = [lakeray.text(relation.database), lakeray.text(relation.schema), lakeray.text(relation.identifier),
      since['from'] | int, since['to'] | int] | join(', ') -%}
  {{ return(
      '(select * from ducklake_table_insertions(' ~ bounds ~ ') union all by name select * from ducklake_table_deletions(' ~ bounds ~ '))'
  ) }}
{%- endmacro %}


{#
  A temporary table of the keys that `keys` gives, a query of one column, and its range in the variables lakeray_first_affected and
  lakeray_last_affected. None when `since` is none, and when the whole table is sooner built.
#}
{% macro affected(since, keys) -%}
  {%- if since is none -%}
    {{ return(none) }}
  {%- endif -%}
  {%- set name = lakeray.affected_table() -%}
  {%- do run_query(
      "create or replace temp table " ~ name.removeprefix('temp.') ~ " as select distinct affected.key from (" ~ keys
      ~ ") as affected(key) where affected.key is not null"
  ) -%}
  {%- do run_query("set variable lakeray_first_affected = (select min(key) from " ~ name ~ ")") -%}
  {%- do run_query("set variable lakeray_last_affected = (select max(key) from " ~ name ~ ")") -%}
  {%- set many = run_query("select 2 * (select count(*) from " ~ name ~ ") > (select count(*) from " ~ this ~ ")").rows[0][0] -%}
  {{ return(none if many else name) }}
{%- endmacro %}


{# The condition that a column is one of the affected keys; true for all when the whole table is built. The range prunes files. #}
{% macro among(affected, column) -%}
  {%- if affected is none -%}
    true
  {%- else -%}
    {{ column }} between getvariable('lakeray_first_affected') and getvariable('lakeray_last_affected')
        and {{ column }} in (select key from {{ affected }})
  {%- endif -%}
{%- endmacro %}


{# The model's table of affected keys. Its name in the compiled SQL says that the SQL gives their rows alone. #}
{% macro affected_table() -%}
  {{ return('temp.lakeray_affected_' ~ local_md5(this | string)) }}
{%- endmacro %}


{# Delete the rows of the affected keys and insert what they are now. How many were inserted. #}
{% macro replace_affected(target, sql) -%}
  {%- if config.get('unique_key') is none -%}
    {%- do exceptions.raise_compiler_error(
        "lakeray_enriched replaces rows by their key: the config unique_key must name the key's column of " ~ this.identifier
    ) -%}
  {%- endif -%}
  {%- set key = lakeray.quote(config.get('unique_key')) -%}
  {%- if run_query("select count(*) from " ~ lakeray.affected_table()).rows[0][0] | int == 0 -%}
    {{ return(0) }}
  {%- endif -%}
  {%- do lakeray.run("delete from " ~ target ~ " where " ~ lakeray.among(lakeray.affected_table(), key)) -%}
  {{ return(lakeray.run("insert into " ~ target ~ " by name " ~ sql)) }}
{%- endmacro %}


{# Whether of these snapshots every one is still there, and none did more to these tables than insert and delete rows. #}
{% macro only_rows_changed(first, last, table_ids) -%}
  {%- if first > last -%}
    {{ return(true) }}
  {%- endif -%}
  {%- set ids = "['" ~ table_ids | join("', '") ~ "']" -%}
  {%- set harmless = "('tables_inserted_into', 'tables_deleted_from')" -%}
  {{ return(run_query(
      "select count(*) = " ~ (last - first + 1) ~ " and not coalesce(bool_or(len(list_filter(map_entries(changes), lambda change: "
      ~ "change.key not in " ~ harmless ~ " and list_has_any(change.value, " ~ ids ~ "))) > 0), false) from ducklake_snapshots("
      ~ lakeray.text(this.database) ~ ") where snapshot_id between " ~ first ~ " and " ~ last
  ).rows[0][0]) }}
{%- endmacro %}


{# DuckLake's ids of tables, by name: another id is another table, though the name is the same. #}
{% macro table_ids(relations) -%}
  {%- set found = {} -%}
  {%- for relation in relations -%}
    {%- set rows = run_query(
        "select t.table_id from __ducklake_metadata_" ~ this.database ~ ".ducklake_table as t join __ducklake_metadata_" ~ this.database
        ~ ".ducklake_schema as s using (schema_id) where t.end_snapshot is null and s.end_snapshot is null and s.schema_name = "
        ~ lakeray.text(relation.schema) ~ " and t.table_name = " ~ lakeray.text(relation.identifier)
    ).rows -%}
    {%- do found.update({relation.identifier: rows[0][0] | int if rows | length == 1 else none}) -%}
  {%- endfor -%}
  {{ return(found) }}
{%- endmacro %}


{# What the last build of this model had seen; none when there was none. #}
{% macro last_seen() -%}
  {%- set rows = run_query("select built_from from lakehouse.meta.enriched_marks where model = " ~ lakeray.text(this.identifier)).rows -%}
  {{ return(fromjson(rows[0][0]) if rows | length == 1 else none) }}
{%- endmacro %}


{# Note what this build has seen; nothing when the model did not ask by lakeray.since. #}
{% macro note_seen() -%}
  {%- set seen = run_query("select getvariable('lakeray_seen')").rows[0][0] -%}
  {%- do lakeray.run("delete from lakehouse.meta.enriched_marks where model = " ~ lakeray.text(this.identifier)) -%}
  {%- if seen is not none and fromjson(seen).model == this.identifier -%}
    {%- do lakeray.run(
        "insert into lakehouse.meta.enriched_marks values (" ~ lakeray.text(this.identifier) ~ ", " ~ lakeray.text(seen) ~ ", now())"
    ) -%}
  {%- endif -%}
{%- endmacro %}
