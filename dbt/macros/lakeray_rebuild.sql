{#
  `lakeray rebuild`: a processed table is made anew from its own rows and those of landing, in one transaction; readers see the old
  table or the new one (ADR 0025). The retention has removed older rows from landing, so its own rows always count.

  The var lakeray_rebuild, {"int_shopify__orders": {"to": 15, "there": {…}, "landing": {…}, "note": […]}}:
    to       rows of landing up to this DuckLake snapshot are read again; none when nothing orders them anew
    there    by column of the table, its value in the type that it gets, as SQL; landing, the same of the landing table
    note     what meta.merged_by is to say: source, stream, key and newest first

    1. the keys that occur more than once among the table's rows, its tombstones and the model's rows
    2. of these keys, all rows but the newest lose; of two that are level the table's stays. Keys and ages alone are compared.
    3. the table is made of what is left
#}
{% macro lakeray_rebuild(target, sql) -%}
  {%- set plan = lakeray_rebuilding() -%}
  {%- set keys = lakeray_quoted(config.require('unique_key')) -%}
  {%- set there = lakeray_recast(target, plan['there'], none) -%}
  {%- set tombstones = lakeray_tombstones(target) if config.get('hard_delete') and load_cached_relation(lakeray_tombstones(target)) else none -%}
  {%- set dead = lakeray_recast(tombstones, plan['there'], none) if tombstones is not none else none -%}
  {%- do lakeray_rank_rebuilt(keys, lakeray_age(config.get('newest_first')), there, dead, sql) -%}
  {%- set kept = "select * exclude (lakeray_row) from " ~ there ~ " as there where " ~ lakeray_has_key(keys)
      ~ " and lakeray_row not in (select lakeray_row from temp.lakeray_outdone where lakeray_from = 2)" -%}
  {%- set new = "select * from (" ~ sql ~ ") as incoming where not exists (select 1 from temp.lakeray_outdone as outdone where "
      ~ "outdone.lakeray_from = 0 and " ~ lakeray_pairs(keys, 'outdone.', 'incoming.') ~ ")" -%}
  {%- if config.get('hard_delete') -%}
    {%- set buried = "select * exclude (lakeray_row) from " ~ dead ~ " as dead where " ~ lakeray_has_key(keys)
        ~ " and lakeray_row not in (select lakeray_row from temp.lakeray_outdone where lakeray_from = 1)" if dead is not none else none -%}
    {%- do lakeray_run(
        'create or replace table ' ~ lakeray_tombstones(target) ~ ' as ' ~ ((buried ~ ' union all by name ') if buried is not none else '')
        ~ lakeray_dead(new)
    ) -%}
    {%- set new = lakeray_living(new) -%}
  {%- endif -%}
  {%- set rows = lakeray_run('create or replace table ' ~ target ~ ' as ' ~ kept ~ ' union all by name ' ~ new) -%}
  {%- do lakeray_note_rebuilt(plan['note']) -%}
  {{ return(rows) }}
{%- endmacro %}


{# What the running model is to be rebuilt by; none when it is not. #}
{% macro lakeray_rebuilding() -%}
  {{ return(var('lakeray_rebuild', {}).get(this.identifier) if execute else none) }}
{%- endmacro %}


{# The landing rows that a rebuild reads again, as a subquery; none of them where nothing orders rows anew. #}
{% macro lakeray_rows_to_rebuild(landing, plan) -%}
  {%- set until = "snapshot_id <= " ~ plan['to'] | int if plan['to'] is not none else "false" -%}
  {{ return(lakeray_recast(landing, plan['landing'], until)) }}
{%- endmacro %}


{# The rows of a relation, some columns in other types; with their numbers, or those that a condition names without. #}
{% macro lakeray_recast(relation, casts, condition) -%}
  {%- set changed = [] -%}
  {%- set named = lakeray_column_names(relation) -%}
  {%- for name, value in casts.items() -%}
    {%- do changed.append(value ~ ' as ' ~ lakeray_quote(name)) if name in named -%}
  {%- endfor -%}
  {%- set star = '*' ~ (' replace (' ~ changed | join(', ') ~ ')' if changed else '') -%}
  {{ return('(select ' ~ star ~ (', rowid as lakeray_row from ' ~ relation if condition is none else ' from ' ~ relation ~ ' where ' ~ condition) ~ ')') }}
{%- endmacro %}


{# The names of a relation's columns. #}
{% macro lakeray_column_names(relation) -%}
  {%- set names = [] -%}
  {%- for row in run_query("select column_name from (describe " ~ relation ~ ")").rows -%}
    {%- do names.append(row[0]) -%}
  {%- endfor -%}
  {{ return(names) }}
{%- endmacro %}


{#
  Steps 1 and 2: temp.lakeray_outdone, the rows that a newer one of their key outdoes: where they are from, 2 the table, 1 its
  tombstones, 0 the model's rows; their row number, none for the model's; and their key.
#}
{% macro lakeray_rank_rebuilt(keys, ages, there, dead, sql) -%}
  {%- set listed = keys | join(', ') -%}
  {%- set aged = [] -%}
  {%- set named = [] -%}
  {%- for age in ages -%}
    {%- do aged.append(age ~ ' as lakeray_age_' ~ loop.index) -%}
    {%- do named.append('lakeray_age_' ~ loop.index ~ ' desc nulls last') -%}
  {%- endfor -%}
  {%- set has_key = ' where ' ~ lakeray_has_key(keys) -%}
  {%- set sources = [
      "select 2 as lakeray_from, lakeray_row, " ~ listed ~ ", " ~ aged | join(', ') ~ " from " ~ there ~ " as there" ~ has_key,
      "select 0 as lakeray_from, null as lakeray_row, " ~ listed ~ ", " ~ aged | join(', ') ~ " from (" ~ sql ~ ") as incoming" ~ has_key,
  ] -%}
  {%- do sources.append(
      "select 1 as lakeray_from, lakeray_row, " ~ listed ~ ", " ~ aged | join(', ') ~ " from " ~ dead ~ " as dead" ~ has_key
  ) if dead is not none -%}
  {%- set all_of_them = "(" ~ sources | join(' union all ') ~ ")" -%}
  {%- do lakeray_run(
      "create or replace temp table lakeray_repeated as select " ~ listed ~ " from " ~ all_of_them ~ " as every group by " ~ listed
      ~ " having count(*) > 1"
  ) -%}
  {%- do lakeray_run(
      "create or replace temp table lakeray_outdone as select lakeray_from, lakeray_row, " ~ listed ~ " from " ~ all_of_them
      ~ " as every where exists (select 1 from temp.lakeray_repeated as repeated where " ~ lakeray_pairs(keys, 'repeated.', 'every.')
      ~ ") qualify row_number() over (partition by " ~ listed ~ " order by " ~ named | join(', ')
      ~ ", lakeray_from desc, lakeray_row desc) > 1"
  ) -%}
{%- endmacro %}


{# In the same transaction: what the table is merged by from now on, and that the enriched models have not seen it. #}
{% macro lakeray_note_rebuilt(note) -%}
  {%- set of_stream = " where source = " ~ lakeray_text(note[0]) ~ " and stream = " ~ lakeray_text(note[1]) -%}
  {%- do lakeray_run("delete from lakehouse.meta.merged_by" ~ of_stream) -%}
  {%- do lakeray_run(
      "insert into lakehouse.meta.merged_by values (" ~ lakeray_text(note[0]) ~ ", " ~ lakeray_text(note[1]) ~ ", "
      ~ lakeray_text(note[2]) ~ ", " ~ lakeray_text(note[3]) ~ ", now())"
  ) -%}
  {%- do lakeray_run("delete from lakehouse.meta.enriched_marks where model = '*'") -%}
{%- endmacro %}
