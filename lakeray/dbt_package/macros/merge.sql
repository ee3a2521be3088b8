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

  Config: unique_key, the key's columns; newest_first and cursor_type, as in lakeray.latest; deleted_column and hard_delete, see
  lakeray.tombstones. The model's SQL is read twice or three times, mostly a few columns of it: it must give the same rows each
  time, one per key, with Airbyte's columns _airbyte_extracted_at and _airbyte_raw_id. With _lakeray_origin, as select * has it, the
  order of records is total (lakeray.age). New columns and struct fields are added to the table.
#}
{% materialization lakeray_merge, adapter='duckdb' -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- do lakeray.set_threads() -%}
  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- set found = lakeray.found() -%}
  {%- if existing is none or existing.type != 'table' or should_full_refresh() -%}
    {%- set rows = lakeray.build(target, existing, sql) -%}
  {%- elif lakeray.replacement() is not none -%}
    {%- set rows = lakeray.replace_older(target, sql, lakeray.replacement(), lakeray.compared_as(found)) -%}
  {%- elif lakeray.rebuilding() is not none -%}
    {%- set rows = lakeray.rebuild(target, sql, lakeray.compared_as(found)) -%}
  {%- else -%}
    {%- set merge = lakeray.merge_living if config.get('hard_delete') else lakeray.merge_rows -%}
    {%- set rows = merge(target, sql, lakeray.compared_as(found)) -%}
    {%- do lakeray.merged_anew() -%}
  {%- endif -%}
  {%- set told = lakeray.note_found(found) -%}
  {% call noop_statement('main', 'OK ' ~ rows, told, rows) %}{{ sql }}{% endcall %}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {%- do adapter.commit() -%}
  {%- do lakeray.forget_fetched() -%}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target]}) }}
{%- endmaterialization %}


{# What a text cursor is compared as, by the config cursor_type: 'auto' is what lakeray.latest found. #}
{% macro compared_as(found) -%}
  {%- set wanted = config.get('cursor_type') -%}
  {{ return(found.get('cursor_type') if wanted == 'auto' else wanted) }}
{%- endmacro %}


{# DuckDB's threads for this run, as the var lakeray_threads says: each of them needs memory for the columns that it writes. #}
{% macro set_threads() -%}
  {%- if execute and var('lakeray_threads', none) is not none -%}
    {%- do run_query('set threads = ' ~ (var('lakeray_threads') | int)) -%}
  {%- endif -%}
{%- endmacro %}


{# Build the whole table; the one that is there stays until the commit. How many rows it has. #}
{% macro build(target, existing, sql) -%}
  {%- if existing is not none and existing.type != 'table' -%}
    {%- do adapter.drop_relation(existing) -%}
  {%- endif -%}
  {%- if config.get('hard_delete') -%}
    {{ return(lakeray.build_living(target, sql)) }}
  {%- endif -%}
  {{ return(lakeray.run('create or replace table ' ~ target ~ ' as ' ~ sql)) }}
{%- endmacro %}


{# Steps 1 to 5. How many rows were written. #}
{% macro merge_rows(target, sql, cursor_type=none) -%}
  {%- set keys = lakeray.quoted(config.require('unique_key')) -%}
  {%- set newest_first = config.get('newest_first') -%}
  {%- set columns = lakeray.sync_columns(target, sql) -%}
  {%- set narrow = lakeray.without_origin(sql) -%}
  {%- if lakeray.take_incoming(narrow, keys, lakeray.age(newest_first, '', cursor_type)[0]) == 0 -%}
    {{ return(0) }}
  {%- endif -%}
  {%- set met = lakeray.meet(target, keys, lakeray.age(newest_first, 'there.', cursor_type)[0]) -%}
  {%- if met.level -%}
    {%- do lakeray.settle_level(
        target, sql, keys, newest_first, cursor_type, '"_lakeray_origin"' in columns, lakeray.registered_anew()
    ) -%}
  {%- endif -%}
  {%- if met.newer or met.level -%}
    {%- do lakeray.delete_older(target, keys) -%}
  {%- endif -%}
  {%- set stale = "not exists (select 1 from temp.lakeray_met as met where not met._lakeray_newer and "
      ~ lakeray.pairs(keys, 'met.', 'incoming.') ~ ")" -%}
  {{ return(lakeray.run(
      "insert into " ~ target ~ " (" ~ columns | join(', ') ~ ") select " ~ columns | join(', ') ~ " from (" ~ sql ~ ") as incoming"
      ~ (" where " ~ stale if met.all != met.newer else "")
  )) }}
{%- endmacro %}


{# Step 1: temp.lakeray_incoming. How many rows it has. #}
{% macro take_incoming(sql, keys, age) -%}
  {{ return(lakeray.run(
      "create or replace temp table lakeray_incoming as select " ~ keys | join(', ') ~ ", " ~ age ~ " as _lakeray_age from ("
      ~ sql ~ ") as incoming"
  )) }}
{%- endmacro %}


{#
  Step 2: temp.lakeray_met, the rows of the table that have a key of the incoming ones: their row numbers, keys, and whether the
  incoming row is newer, null when it is level. How many they are, how many have a newer one, how many are level.
#}
{% macro meet(target, keys, age) -%}
  {%- set ranges = lakeray.remember_ranges(keys, 'temp.lakeray_incoming') -%}
  {%- do lakeray.run(
      "create or replace temp table lakeray_met as select there._lakeray_row, " ~ lakeray.prefixed(keys, 'there.')
      ~ ", case when incoming._lakeray_age is distinct from " ~ age ~ " then coalesce(incoming._lakeray_age > " ~ age ~ ", " ~ age
      ~ " is null) end as _lakeray_newer from " ~ lakeray.there(target) ~ " join temp.lakeray_incoming as incoming on "
      ~ lakeray.pairs(keys, 'there.', 'incoming.') ~ " where " ~ lakeray.in_ranges(ranges, 'there.')
  ) -%}
  {%- set counts = run_query(
      "select count(*), count(*) filter (_lakeray_newer), count(*) filter (_lakeray_newer is null) from temp.lakeray_met"
  ).rows[0] -%}
  {{ return({'all': counts[0] | int, 'newer': counts[1] | int, 'level': counts[2] | int}) }}
{%- endmacro %}


{#
  Step 3: of rows that are level by the first age column, whether the incoming one is newer by the others. Of files that are
  registered anew one that is level by all of them is: it is the same record, with values that were left out before.
#}
{% macro settle_level(target, sql, keys, newest_first, cursor_type, origin, anew) -%}
  {%- set level = "(select _lakeray_row, " ~ keys | join(', ') ~ " from temp.lakeray_met where _lakeray_newer is null)" -%}
  {%- set incoming = lakeray.age(newest_first, 'incoming.', cursor_type, origin)[1:] -%}
  {%- set there = lakeray.age(newest_first, 'there.', cursor_type, origin)[1:] -%}
  {%- set newer = 'not ' ~ lakeray.newer_of(there, incoming) if anew else lakeray.newer_of(incoming, there) -%}
  {%- do lakeray.run(
      "create or replace temp table lakeray_level as select level._lakeray_row from " ~ level ~ " as level join "
      ~ lakeray.there(target) ~ " on there._lakeray_row = level._lakeray_row join (" ~ sql ~ ") as incoming on "
      ~ lakeray.pairs(keys, 'incoming.', 'level.') ~ " where " ~ newer
  ) -%}
  {%- do lakeray.run(
      "update temp.lakeray_met set _lakeray_newer = _lakeray_row in (select _lakeray_row from temp.lakeray_level)"
      ~ " where _lakeray_newer is null"
  ) -%}
{%- endmacro %}


{# Whether rows wait to be merged whose files were registered anew, for fields that were left out of them before. #}
{% macro registered_anew() -%}
  {{ return(run_query("select count(*) from lakehouse.meta.registered_anew where " ~ lakeray.of_this_model()).rows[0][0] | int > 0) }}
{%- endmacro %}


{# In the transaction that merges them: they wait no longer. #}
{% macro merged_anew() -%}
  {%- set marks = var('lakeray_marks', {}).get(this.identifier.removeprefix('int_')) -%}
  {%- if marks is not none and lakeray.registered_anew() -%}
    {%- do lakeray.run(
        "delete from lakehouse.meta.registered_anew where " ~ lakeray.of_this_model() ~ " and file_key in (select file_key from "
        ~ "lakehouse.meta.ledger where " ~ lakeray.of_this_model() ~ " and snapshot_id between " ~ marks['from'] | int ~ " and "
        ~ marks['to'] | int ~ (lakeray.of_paths(marks, 'and') | replace('filename', 'registered_path')) ~ ")"
    ) -%}
  {%- endif -%}
{%- endmacro %}

{% macro of_this_model() -%}
  {{ return("'int_' || source || '__' || stream = " ~ lakeray.text(this.identifier)) }}
{%- endmacro %}


{#
  Step 4. The range of the keys chooses the files to open. Where their rows lie all over the table it chooses nothing, and reading
  every key to compare it with the range costs more than looking the row numbers up.
#}
{% macro delete_older(target, keys) -%}
  {%- if lakeray.hides_rowid(target) -%}
    {%- do lakeray.run(
        "delete from " ~ target ~ " as there where exists (select 1 from temp.lakeray_met as met where met._lakeray_newer and "
        ~ lakeray.pairs(keys, 'met.', 'there.') ~ ")"
    ) -%}
  {%- else -%}
    {%- set newer = "(select _lakeray_row from temp.lakeray_met where _lakeray_newer)" -%}
    {%- set spread = run_query("select max(_lakeray_row) - min(_lakeray_row) > max(_lakeray_row) // 2 from " ~ newer ~ " as newer").rows -%}
    {%- set condition = "true" if spread[0][0] else lakeray.in_ranges(
        lakeray.remember_ranges(keys, '(from temp.lakeray_met where _lakeray_newer)'), ''
    ) -%}
    {%- do lakeray.run("delete from " ~ target ~ " where " ~ condition ~ " and rowid in " ~ newer) -%}
  {%- endif -%}
{%- endmacro %}


{# The table as `there`, with the number of each row; whether a column of its own is called rowid: its rows are then deleted by key. #}
{% macro there(target) -%}
  {%- set shown = lakeray.unhidden(lakeray.types_of(target)) -%}
  {{ return('(select *' ~ shown.rename ~ ', rowid as _lakeray_row from ' ~ target ~ shown.names ~ ') as there') }}
{%- endmacro %}

{% macro hides_rowid(target) -%}
  {{ return('rowid' in lakeray.unhidden(lakeray.types_of(target)).hides) }}
{%- endmacro %}


{# Add to the table what the model has and it lacks. The model's columns, quoted. #}
{% macro sync_columns(target, sql) -%}
  {%- set there = {} -%}
  {%- for row in run_query("select column_name, column_type from (describe " ~ target ~ ")").rows -%}
    {%- do there.update({lakeray.folded(row[0]): row[1]}) -%}
  {%- endfor -%}
  {%- set columns = [] -%}
  {%- for row in run_query("select column_name, column_type from (describe (" ~ sql ~ "))").rows -%}
    {%- set name, type, stands = row[0], row[1], there.get(lakeray.folded(row[0])) -%}
    {%- do columns.append(lakeray.quote(name)) -%}
    {%- if stands is none -%}
      {%- do lakeray.run("alter table " ~ target ~ " add column " ~ lakeray.quote(name) ~ " " ~ type) -%}
    {%- elif stands != type -%}
      {%- do lakeray.widen_column(target, name, type) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(columns) }}
{%- endmacro %}


{#
  The range of each key column's values, in the variables lakeray_first_1, lakeray_last_1, …: of the column's own type, and known
  when the files to open are chosen. The columns that have one: their number, and whether there are nulls beside it. A struct, a
  list or a map has no range; nor has what DuckLake cannot write into a question to its catalog: texts with a NUL, or long ones;
  and not-a-numbers, which are no part of a file's statistics.
#}
{% macro remember_ranges(keys, relation) -%}
  {%- set types = run_query("select column_type from (describe select " ~ keys | join(', ') ~ " from " ~ relation ~ " as ranged)").rows -%}
  {%- set ranges, flags = [], [] -%}
  {%- for key in keys -%}
    {%- set type = types[loop.index0][0] -%}
    {%- set has_order = modules.re.match('(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|FLOAT|DOUBLE|DATE|TIMESTAMP.*|UUID|VARCHAR)$', type) -%}
    {%- if has_order -%}
      {%- set ends = ['min(' ~ key ~ ')', 'max(' ~ key ~ ')'] -%}
      {%- do lakeray.run("set variable lakeray_first_" ~ loop.index ~ " = (select " ~ ends[0] ~ " from " ~ relation ~ " as ranged)") -%}
      {%- do lakeray.run("set variable lakeray_last_" ~ loop.index ~ " = (select " ~ ends[1] ~ " from " ~ relation ~ " as ranged)") -%}
    {%- endif -%}
    {%- set is_plain = "strlen(min({0})) + strlen(max({0})) < 1000 and not contains(min({0}) || max({0}), chr(0))" if type == 'VARCHAR'
        else "not bool_or(isnan({0}))" if type in ('FLOAT', 'DOUBLE') else "count({0}) > 0" -%}
    {%- do flags.append("coalesce(" ~ (is_plain.replace('{0}', key) if has_order else "false") ~ ", false), count(*) > count(" ~ key ~ ")") -%}
  {%- endfor -%}
  {%- set found = run_query("select " ~ flags | join(', ') ~ " from " ~ relation ~ " as ranged").rows[0] -%}
  {%- for key in keys -%}
    {%- set number, has_null = loop.index, found[2 * loop.index0 + 1] -%}
    {%- do ranges.append({'key': key, 'number': number, 'has_null': has_null}) if found[2 * loop.index0] -%}
  {%- endfor -%}
  {{ return(ranges) }}
{%- endmacro %}

{% macro in_ranges(ranges, prefix) -%}
  {%- set terms = ['true'] -%}
  {%- for range in ranges -%}
    {%- set column = prefix ~ range.key -%}
    {%- set inside = column ~ " between getvariable('lakeray_first_" ~ range.number ~ "') and getvariable('lakeray_last_" ~ range.number ~ "')" -%}
    {%- do terms.append("(" ~ inside ~ " or " ~ column ~ " is null)" if range.has_null else inside) -%}
  {%- endfor -%}
  {{ return(terms | join(' and ')) }}
{%- endmacro %}


{# Run a statement inside the model's transaction. How many rows it wrote; 0 for one that writes none. #}
{% macro run(statement_sql) -%}
  {%- call statement('lakeray', fetch_result=True) -%}{{ statement_sql }}{%- endcall -%}
  {%- set table = load_result('lakeray').table -%}
  {{ return(table.rows[0][0] | int if table.rows | length == 1 and table.column_names[0] == 'Count' else 0) }}
{%- endmacro %}


{% macro prefixed(columns, prefix) -%}
  {{ return(prefix ~ columns | join(', ' ~ prefix)) }}
{%- endmacro %}
