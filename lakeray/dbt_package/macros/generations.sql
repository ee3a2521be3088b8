{#
  Replacement (P16): rows of generations older than one leave a processed table, for a newer generation of the stream is whole. The
  committer says which one in the var lakeray_marks, {"shopify__orders": {"generation": 3, "part": [0, 1], …}}; a run without it
  replaces nothing. Of the keys of the older rows the newest record of the generations that stay is merged again, in the same
  transaction: it may have lost to the older row by its cursor. "part": [k, n] does so for the k-th of n shares of these keys.
#}

{# The marks of a replacement that is asked of this model; none when none is. #}
{% macro replacement() -%}
  {%- for tag in model.tags -%}
    {%- set marks = var('lakeray_marks', {}).get(tag, {}) -%}
    {%- if marks.get('generation') is not none -%}
      {{ return(marks) }}
    {%- endif -%}
  {%- endfor -%}
  {{ return(none) }}
{%- endmacro %}


{#
  The records of the generations that stay, of the keys that have an older row now, as lakeray.new_rows gives new rows. No file
  of an older generation is opened: the catalog knows the generations of each, and these objects are gone.
#}
{% macro rows_of_generations(landing, marks) -%}
  {%- set keys = lakeray.quoted(config.require('unique_key')) -%}
  {%- do lakeray.remember_stale(this, keys, marks) -%}
  {#- A model of one's own may call the key otherwise; lakeray.replace_older takes what is asked for from all rows then. -#}
  {%- set is_generated = 'python -m lakeray generate' in model.raw_code -%}
  {%- set rows = lakeray.rows(landing, landing | string, ' where "_airbyte_generation_id" >= ' ~ marks['generation'] | int) -%}
  {{ return(
      '(select * from ' ~ rows ~ ' as staying where exists (' ~ lakeray.stale_key(keys, 'staying.') ~ '))' if is_generated else rows
  ) }}
{%- endmacro %}


{# temp.lakeray_stale: the keys of the older rows, and of the older tombstones. #}
{% macro remember_stale(target, keys, marks) -%}
  {%- set found = [] -%}
  {%- for table in lakeray.replaced_tables(target) -%}
    {%- do found.append("select " ~ keys | join(', ') ~ " from " ~ table ~ " where " ~ lakeray.is_older(keys, marks)) -%}
  {%- endfor -%}
  {%- do run_query(
      "create or replace temp table lakeray_stale as "
      ~ (found | join(' union ') if found else "select " ~ keys | join(', ') ~ " from " ~ target ~ " where false")
  ) -%}
{%- endmacro %}


{# The query that finds a key among them. #}
{% macro stale_key(keys, prefix) -%}
  {{ return("select 1 from temp.lakeray_stale as stale where " ~ lakeray.pairs(keys, 'stale.', prefix)) }}
{%- endmacro %}


{# Take the older rows out, and merge what stays of their keys. How many rows the table has lost. #}
{% macro replace_older(target, sql, marks, cursor_type=none) -%}
  {%- if run_query("select count(*) from temp.lakeray_stale").rows[0][0] | int == 0 -%}
    {{ return(0) }}
  {%- endif -%}
  {%- set keys = lakeray.quoted(config.require('unique_key')) -%}
  {%- set deleted = [] -%}
  {%- for table in lakeray.replaced_tables(target) -%}
    {%- do deleted.append(lakeray.run("delete from " ~ table ~ " where " ~ lakeray.is_older(keys, marks))) -%}
  {%- endfor -%}
  {%- set merge = lakeray.merge_living if config.get('hard_delete') else lakeray.merge_rows -%}
  {%- set merged = merge(
      target, "select * from (" ~ sql ~ ") as left_over where exists (" ~ lakeray.stale_key(keys, 'left_over.') ~ ")",
      cursor_type
  ) -%}
  {%- do lakeray.enrich_again(marks['stream']) -%}
  {{ return([deleted[0] - merged, 0] | max) }}
{%- endmacro %}


{#
  The processed table, and with it the table of its tombstones, as far as they have the column. A model of one's own that leaves
  the column out keeps its rows, and says so.
#}
{% macro replaced_tables(target) -%}
  {%- set found = [] -%}
  {%- for table in [target] + ([lakeray.tombstones(target)] if config.get('hard_delete') else []) -%}
    {%- set there = run_query(
        "select count(*) filter (column_name = '_airbyte_generation_id'), count(*) from duckdb_columns() where database_name = "
        ~ lakeray.text(table.database) ~ " and schema_name = " ~ lakeray.text(table.schema) ~ " and table_name = "
        ~ lakeray.text(table.identifier)
    ).rows[0] -%}
    {%- if there[0] | int -%}
      {%- do found.append(table) -%}
    {%- elif there[1] | int and loop.first -%}
      {%- do exceptions.warn(
          this.identifier ~ " has no column _airbyte_generation_id: rows of generations that were replaced stay in it"
      ) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(found) }}
{%- endmacro %}


{# The condition that a row is of an older generation, and of the share of keys that is meant. #}
{% macro is_older(keys, marks) -%}
  {%- set part, parts = marks['part'] -%}
  {{ return(
      '("_airbyte_generation_id" < ' ~ marks['generation'] | int ~ ' or "_airbyte_generation_id" is null)'
      ~ (' and hash(' ~ keys | join(', ') ~ ') % ' ~ parts | int ~ ' = ' ~ part | int if parts | int > 1 else '')
  ) }}
{%- endmacro %}


{# Have the enriched models built again: no mark has moved, and the committer asks by marks whether anything has changed. #}
{% macro enrich_again(stream) -%}
  {%- set rows = run_query("select built_from from lakehouse.meta.enriched_marks where model = '*'").rows -%}
  {%- if rows | length == 1 -%}
    {%- set built = fromjson(rows[0][0]) -%}
    {%- do built.pop(stream, none) -%}
    {%- do lakeray.run(
        "update lakehouse.meta.enriched_marks set built_from = " ~ lakeray.text(tojson(built, sort_keys=true)) ~ " where model = '*'"
    ) -%}
  {%- endif -%}
{%- endmacro %}
