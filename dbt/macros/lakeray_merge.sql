{#
  The materialization of the processed models: new rows replace older ones of their key, in one transaction that reads whole rows
  once and writes only what has changed (P12, ADR 0014). A MERGE would carry every column of every new row through its join, and
  read every column of the rows that it replaces.

    1. the new rows' keys and first age column, to a temporary table
    2. which rows of the table have these keys, and whether the new ones are newer: a scan of the key and that column alone,
       of the files whose range of keys the new keys touch
    3. rows that are as old by that column are compared by the other age columns; those alone
    4. rows that have a newer one are deleted by row number
    5. new rows are inserted, but for those that are no newer than what is there

  Config: unique_key, the key's columns; newest_first, as in lakeray_latest; deleted_column and hard_delete, see
  lakeray_tombstones. The model's SQL is read twice or three times, mostly
  a few columns of it: it must give the same rows each time, one per key, with Airbyte's columns _airbyte_extracted_at and
  _airbyte_raw_id. New columns and struct fields are added to the table.
#}
{% materialization lakeray_merge, adapter='duckdb' -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- do lakeray_set_threads() -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- if existing is none or existing.type != 'table' or should_full_refresh() -%}
    {%- set rows = lakeray_build(target, existing, sql) -%}
  {%- elif lakeray_replacement() is not none -%}
    {%- set rows = lakeray_replace_older(target, sql, lakeray_replacement()) -%}
  {%- else -%}
    {%- set merge = lakeray_merge_living if config.get('hard_delete') else lakeray_merge_rows -%}
    {%- set rows = merge(target, sql) -%}
  {%- endif -%}
  {% call noop_statement('main', 'OK ' ~ rows, 'OK', rows) %}{{ sql }}{% endcall %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do adapter.commit() -%}
  {%- do lakeray_forget_fetched() -%}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target]}) }}
{%- endmaterialization %}


{# DuckDB's threads for this run, as the var lakeray_threads says: each of them needs memory for the columns that it writes. #}
{% macro lakeray_set_threads() -%}
  {%- if execute and var('lakeray_threads', none) is not none -%}
    {%- do run_query('set threads = ' ~ (var('lakeray_threads') | int)) -%}
  {%- endif -%}
{%- endmacro %}


{# Build the whole table; the one that is there stays until the commit. How many rows it has. #}
{% macro lakeray_build(target, existing, sql) -%}
  {%- if existing is not none and existing.type != 'table' -%}
    {%- do adapter.drop_relation(existing) -%}
  {%- endif -%}
  {%- if config.get('hard_delete') -%}
    {{ return(lakeray_build_living(target, sql)) }}
  {%- endif -%}
  {{ return(lakeray_run('create or replace table ' ~ target ~ ' as ' ~ sql)) }}
{%- endmacro %}


{# Steps 1 to 5. How many rows were written. #}
{% macro lakeray_merge_rows(target, sql) -%}
  {%- set keys = lakeray_quoted(config.require('unique_key')) -%}
  {%- set newest_first = config.get('newest_first') -%}
  {%- set columns = lakeray_sync_columns(target, sql) -%}
  {%- if lakeray_take_incoming(sql, keys, lakeray_age(newest_first)[0]) == 0 -%}
    {{ return(0) }}
  {%- endif -%}
  {%- set met = lakeray_meet(target, keys, lakeray_age(newest_first, 'there.')[0]) -%}
  {%- if met.level -%}
    {%- do lakeray_settle_level(target, sql, keys, newest_first) -%}
  {%- endif -%}
  {%- if met.newer or met.level -%}
    {%- do lakeray_delete_older(target, keys) -%}
  {%- endif -%}
  {%- set stale = "not exists (select 1 from temp.lakeray_met as met where not met.newer and "
      ~ lakeray_pairs(keys, 'met.', 'incoming.') ~ ")" -%}
  {{ return(lakeray_run(
      "insert into " ~ target ~ " (" ~ columns | join(', ') ~ ") select " ~ columns | join(', ') ~ " from (" ~ sql ~ ") as incoming"
      ~ (" where " ~ stale if met.all != met.newer else "")
  )) }}
{%- endmacro %}


{# Step 1: temp.lakeray_incoming, and the variables lakeray_first_1, lakeray_last_1, … with each key column's range. #}
{% macro lakeray_take_incoming(sql, keys, age) -%}
  {%- set rows = lakeray_run(
      "create or replace temp table lakeray_incoming as select " ~ keys | join(', ') ~ ", " ~ age ~ " as lakeray_age from ("
      ~ sql ~ ") as incoming"
  ) -%}
  {%- do lakeray_remember_ranges(keys, 'temp.lakeray_incoming') -%}
  {{ return(rows) }}
{%- endmacro %}


{#
  Step 2: temp.lakeray_met, the rows of the table that have a key of the incoming ones: their row numbers, keys, and whether the
  incoming row is newer, null when it is level. How many they are, how many have a newer one, how many are level.
#}
{% macro lakeray_meet(target, keys, age) -%}
  {%- do lakeray_run(
      "create or replace temp table lakeray_met as select there.rowid as lakeray_row, " ~ lakeray_prefixed(keys, 'there.')
      ~ ", case when incoming.lakeray_age is distinct from " ~ age ~ " then coalesce(incoming.lakeray_age > " ~ age ~ ", " ~ age
      ~ " is null) end as newer from " ~ target ~ " as there join temp.lakeray_incoming as incoming on "
      ~ lakeray_pairs(keys, 'there.', 'incoming.') ~ " where " ~ lakeray_in_ranges(keys, 'there.')
  ) -%}
  {%- set counts = run_query(
      "select count(*), count(*) filter (newer), count(*) filter (newer is null) from temp.lakeray_met"
  ).rows[0] -%}
  {{ return({'all': counts[0] | int, 'newer': counts[1] | int, 'level': counts[2] | int}) }}
{%- endmacro %}


{# Step 3: of rows that are level by the first age column, whether the incoming one is newer by the others. #}
{% macro lakeray_settle_level(target, sql, keys, newest_first) -%}
  {%- set level = "(select lakeray_row, " ~ keys | join(', ') ~ " from temp.lakeray_met where newer is null)" -%}
  {%- do lakeray_run(
      "create or replace temp table lakeray_level as select level.lakeray_row from " ~ level ~ " as level join " ~ target
      ~ " as there on there.rowid = level.lakeray_row join (" ~ sql ~ ") as incoming on "
      ~ lakeray_pairs(keys, 'incoming.', 'level.') ~ " where " ~ lakeray_newer_of(lakeray_age(newest_first, 'incoming.')[1:], lakeray_age(newest_first, 'there.')[1:])
  ) -%}
  {%- do lakeray_run(
      "update temp.lakeray_met set newer = lakeray_row in (select lakeray_row from temp.lakeray_level) where newer is null"
  ) -%}
{%- endmacro %}


{#
  Step 4. The range of the keys chooses the files to open. Where their rows lie all over the table it chooses nothing, and reading
  every key to compare it with the range costs more than looking the row numbers up.
#}
{% macro lakeray_delete_older(target, keys) -%}
  {%- set newer = "(select lakeray_row from temp.lakeray_met where newer)" -%}
  {%- set spread = run_query("select max(lakeray_row) - min(lakeray_row) > max(lakeray_row) // 2 from " ~ newer ~ " as newer").rows -%}
  {%- do lakeray_remember_ranges(keys, '(from temp.lakeray_met where newer)') if not spread[0][0] -%}
  {%- do lakeray_run(
      "delete from " ~ target ~ " where " ~ (lakeray_in_ranges(keys, '') ~ " and " if not spread[0][0] else "") ~ "rowid in " ~ newer
  ) -%}
{%- endmacro %}


{# Add to the table what the model has and it lacks. The model's columns, quoted. #}
{% macro lakeray_sync_columns(target, sql) -%}
  {%- set there = {} -%}
  {%- for row in run_query("select column_name, column_type from (describe " ~ target ~ ")").rows -%}
    {%- do there.update({row[0]: row[1]}) -%}
  {%- endfor -%}
  {%- set columns = [] -%}
  {%- for row in run_query("select column_name, column_type from (describe (" ~ sql ~ "))").rows -%}
    {%- set name, type = row[0], row[1] -%}
    {%- do columns.append(lakeray_quote(name)) -%}
    {%- if name not in there -%}
      {%- do lakeray_run("alter table " ~ target ~ " add column " ~ lakeray_quote(name) ~ " " ~ type) -%}
    {%- elif there[name] != type -%}
      {%- do lakeray_widen_column(target, name, type) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(columns) }}
{%- endmacro %}


{# Key ranges are variables and not literals: of their column's own type, and known when the files to open are chosen. #}
{% macro lakeray_remember_ranges(keys, relation) -%}
  {%- for key in keys -%}
    {%- set ranged = "(" ~ key ~ ") from " ~ relation ~ " as ranged)" -%}
    {%- do lakeray_run("set variable lakeray_first_" ~ loop.index ~ " = (select min" ~ ranged) -%}
    {%- do lakeray_run("set variable lakeray_last_" ~ loop.index ~ " = (select max" ~ ranged) -%}
  {%- endfor -%}
{%- endmacro %}

{% macro lakeray_in_ranges(keys, prefix) -%}
  {%- set terms = [] -%}
  {%- for key in keys -%}
    {%- do terms.append(
        prefix ~ key ~ " between getvariable('lakeray_first_" ~ loop.index ~ "') and getvariable('lakeray_last_" ~ loop.index ~ "')"
    ) -%}
  {%- endfor -%}
  {{ return(terms | join(' and ')) }}
{%- endmacro %}


{# Run a statement inside the model's transaction. How many rows it wrote; 0 for one that writes none. #}
{% macro lakeray_run(statement_sql) -%}
  {%- call statement('lakeray', fetch_result=True) -%}{{ statement_sql }}{%- endcall -%}
  {%- set table = load_result('lakeray').table -%}
  {{ return(table.rows[0][0] | int if table.rows | length == 1 and table.column_names[0] == 'Count' else 0) }}
{%- endmacro %}


{% macro lakeray_prefixed(columns, prefix) -%}
  {{ return(prefix ~ columns | join(', ' ~ prefix)) }}
{%- endmacro %}
