{#
  `lakeray rebuild`: a processed table is made anew from its own rows and those of landing, in one transaction; readers see the old
  table or the new one (ADR 0025). The retention has removed older rows from landing, so its own rows always count.

  The var lakeray_rebuild, {"int_shopify__orders": {"to": 15, "there": {…}, "landing": {…}, "note": […]}}:
    to       rows of landing up to this DuckLake snapshot are read again; none when nothing orders them anew
    there    by column of the table, its value in the type that it gets, as SQL; landing, the same of the landing table
    note     what meta.merged_by is to say: source, stream, key and newest first
    cursor_type  what meta.cursor_types is to say: column and type; no type when it is the column's own, and nothing at all when
             what is kept of a text stays

    1. the keys that occur more than once among the table's rows, its tombstones and the model's rows
    2. of these keys, all rows but the newest lose (lakeray.age); of two that are level the table's stays. Keys and ages alone are
       compared.
    3. the table is made of what is left
#}
{% macro rebuild(target, sql, cursor_type=none) -%}
  {%- set plan = lakeray.rebuilding() -%}
  {%- set keys = lakeray.quoted(config.require('unique_key')) -%}
  {%- set origin = lakeray.has_origin('(' ~ sql ~ ')') -%}
  {%- set there = lakeray.own_rows(target, plan['there'], origin) -%}
  {%- set dead = lakeray.own_tombstones(target, plan['there'], origin) -%}
  {%- do lakeray.rank_rebuilt(keys, lakeray.age(config.get('newest_first'), '', cursor_type, origin), there, dead, sql) -%}
  {%- set kept = lakeray.not_outdone(there, keys, 2) -%}
  {%- set new = "select * from (" ~ sql ~ ") as incoming where not exists (select 1 from temp.lakeray_outdone as outdone where "
      ~ "outdone._lakeray_from = 0 and " ~ lakeray.pairs(keys, 'outdone.', 'incoming.') ~ ")" -%}
  {%- if config.get('hard_delete') -%}
    {%- set buried = lakeray.not_outdone(dead, keys, 1) ~ ' union all by name ' if dead is not none else '' -%}
    {%- do lakeray.run('create or replace table ' ~ lakeray.tombstones(target) ~ ' as ' ~ buried ~ lakeray.dead(new)) -%}
    {%- set new = lakeray.living(new) -%}
  {%- endif -%}
  {%- set rows = lakeray.run('create or replace table ' ~ target ~ ' as ' ~ kept ~ ' union all by name ' ~ new) -%}
  {%- do lakeray.note_rebuilt(plan['note']) -%}
  {%- do lakeray.note_cursor_type(plan['cursor_type']) -%}
  {{ return(rows) }}
{%- endmacro %}


{# What the running model is to be rebuilt by; none when it is not. #}
{% macro rebuilding() -%}
  {{ return(var('lakeray_rebuild', {}).get(this.identifier) if execute else none) }}
{%- endmacro %}


{# The landing rows that a rebuild reads again, as lakeray.new_rows gives new rows; none of them where nothing orders rows anew. #}
{% macro rows_to_rebuild(landing, plan) -%}
  {%- set until = ' where snapshot_id <= ' ~ plan['to'] | int if plan['to'] is not none else ' where false' -%}
  {%- set rows = lakeray.rows(landing, landing | string, until) -%}
  {{ return(lakeray.recast(rows, plan['landing']) if lakeray.may_look() else rows) }}
{%- endmacro %}


{# The rows of a relation, some columns in other types. #}
{% macro recast(relation, casts, more='') -%}
  {%- set changed = [] -%}
  {%- set named = lakeray.types_of(relation ~ ' as named') -%}
  {%- for name, value in casts.items() if name in named -%}
    {%- do changed.append(value ~ ' as ' ~ lakeray.quote(name)) -%}
  {%- endfor -%}
  {{ return('(select *' ~ (' replace (' ~ changed | join(', ') ~ ')' if changed else '') ~ more ~ ' from ' ~ relation ~ ' as recast)') }}
{%- endmacro %}


{#
  The rows of the processed table, or of its tombstones, with their numbers, as the model's rows are: columns of the new key and of
  the order that it lacks are null.
#}
{% macro own_rows(table, casts, origin) -%}
  {%- set numbered = '(select * from ' ~ lakeray.there(table) ~ ')' -%}
  {%- set lacking = lakeray.lacking(table) -%}
  {%- set more = [] -%}
  {%- for name in lacking -%}
    {%- do more.append(', null as ' ~ lakeray.quote(name)) -%}
  {%- endfor -%}
  {%- do more.append(', null::varchar as _lakeray_origin') if origin and not lakeray.has_origin(table) -%}
  {{ return(lakeray.recast(numbered, casts, more | join)) }}
{%- endmacro %}


{# Columns of the model's key and cursor that a table does not have. #}
{% macro lacking(table) -%}
  {%- set seen, lacking = [], [] -%}
  {%- for name in lakeray.types_of(table) -%}
    {%- do seen.append(lakeray.folded(name)) -%}
  {%- endfor -%}
  {%- for name in lakeray.list(config.require('unique_key')) + lakeray.list(config.get('newest_first')) -%}
    {%- if lakeray.folded(name) not in seen -%}
      {%- do seen.append(lakeray.folded(name)) -%}
      {%- do lacking.append(name) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(lacking) }}
{%- endmacro %}


{#
  The tombstones; none where there are none, or where they lack a column of the new key or cursor: nobody can say then what they
  are newer than, and the rebuild was refused, or allowed to lose them.
#}
{% macro own_tombstones(target, casts, origin) -%}
  {%- set tombstones = lakeray.tombstones(target) -%}
  {%- if not config.get('hard_delete') or load_cached_relation(tombstones) is none or lakeray.lacking(tombstones) -%}
    {{ return(none) }}
  {%- endif -%}
  {{ return(lakeray.own_rows(tombstones, casts, origin)) }}
{%- endmacro %}


{# Of rows with their numbers those that stay. #}
{% macro not_outdone(rows, keys, from) -%}
  {{ return(
      "select * exclude (_lakeray_row) from " ~ rows ~ " as own where " ~ lakeray.has_key(keys)
      ~ " and _lakeray_row not in (select _lakeray_row from temp.lakeray_outdone where _lakeray_from = " ~ from ~ ")"
  ) }}
{%- endmacro %}


{#
  Steps 1 and 2: temp.lakeray_outdone, the rows that a newer one of their key outdoes: where they are from, 2 the table, 1 its
  tombstones, 0 the model's rows; their row number, none for the model's; and their key.
#}
{% macro rank_rebuilt(keys, ages, there, dead, sql) -%}
  {%- set listed = keys | join(', ') -%}
  {%- set aged, named = [], [] -%}
  {%- for age in ages -%}
    {%- do aged.append(age ~ ' as _lakeray_age_' ~ loop.index) -%}
    {%- do named.append('_lakeray_age_' ~ loop.index) -%}
  {%- endfor -%}
  {%- set columns = listed ~ ", " ~ aged | join(', ') -%}
  {%- set has_key = ' where ' ~ lakeray.has_key(keys) -%}
  {%- set sources = [
      "select 2 as _lakeray_from, _lakeray_row, " ~ columns ~ " from " ~ there ~ " as there" ~ has_key,
      "select 0 as _lakeray_from, null as _lakeray_row, " ~ columns ~ " from (" ~ sql ~ ") as incoming" ~ has_key,
  ] -%}
  {%- do sources.append("select 1 as _lakeray_from, _lakeray_row, " ~ columns ~ " from " ~ dead ~ " as dead" ~ has_key) if dead is not none -%}
  {%- set all_of_them = "(" ~ sources | join(' union all ') ~ ")" -%}
  {%- do lakeray.run(
      "create or replace temp table lakeray_repeated as select " ~ listed ~ " from " ~ all_of_them ~ " as every group by " ~ listed
      ~ " having count(*) > 1"
  ) -%}
  {%- do lakeray.run(
      "create or replace temp table lakeray_outdone as select _lakeray_from, _lakeray_row, " ~ listed ~ " from " ~ all_of_them
      ~ " as every where exists (select 1 from temp.lakeray_repeated as repeated where " ~ lakeray.pairs(keys, 'repeated.', 'every.')
      ~ ") qualify " ~ lakeray.rank(keys, named + ['_lakeray_from', '_lakeray_row']) ~ " > 1"
  ) -%}
{%- endmacro %}


{# In the same transaction: what the table is merged by from now on, and that the enriched models have not seen it. #}
{% macro note_rebuilt(note) -%}
  {%- set of_stream = " where source = " ~ lakeray.text(note[0]) ~ " and stream = " ~ lakeray.text(note[1]) -%}
  {%- do lakeray.run("delete from lakehouse.meta.merged_by" ~ of_stream) -%}
  {%- do lakeray.run(
      "insert into lakehouse.meta.merged_by values (" ~ lakeray.text(note[0]) ~ ", " ~ lakeray.text(note[1]) ~ ", "
      ~ lakeray.text(note[2]) ~ ", " ~ lakeray.text(note[3]) ~ ", now())"
  ) -%}
  {%- do lakeray.enrich_again(note[0] ~ '/' ~ note[1]) -%}
{%- endmacro %}


{# The same of what its cursor is compared as. #}
{% macro note_cursor_type(note) -%}
  {%- if note is not none -%}
    {%- set model = lakeray.text(this.identifier) -%}
    {%- do lakeray.run("delete from lakehouse.meta.cursor_types where model = " ~ model) -%}
    {%- if note[1] is not none -%}
      {%- do lakeray.run(
          "insert into lakehouse.meta.cursor_types values (" ~ model ~ ", " ~ lakeray.text(note[0]) ~ ", " ~ lakeray.text(note[1])
          ~ ", now())"
      ) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
