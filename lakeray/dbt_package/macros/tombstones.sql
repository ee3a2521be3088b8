{#
  Hard deletes, for lakeray_merge with the configs deleted_column and hard_delete: a record whose deleted_column is not null takes
  its key's row out of the table. What stays of it is its tombstone, key and age columns alone, in the table {model}__tombstones,
  so that an older record which arrives later does not bring the row back. A newer record does.
#}

{# The table of tombstones of a processed table. #}
{% macro tombstones(target) -%}
  {{ return(target.incorporate(path={'identifier': target.identifier ~ '__tombstones'})) }}
{%- endmacro %}


{# Build the table and its tombstones. How many rows the table has. #}
{% macro build_living(target, sql) -%}
  {%- do lakeray.run('create or replace table ' ~ lakeray.tombstones(target) ~ ' as ' ~ lakeray.dead(sql)) -%}
  {{ return(lakeray.run('create or replace table ' ~ target ~ ' as ' ~ lakeray.living(sql))) }}
{%- endmacro %}


{# Merge tombstones, take out what they are newer than, and merge the living rows. How many rows were written. #}
{% macro merge_living(target, sql, cursor_type=none) -%}
  {%- set tombstones = lakeray.tombstones(target) -%}
  {%- set keys = lakeray.quoted(config.require('unique_key')) -%}
  {%- if load_cached_relation(tombstones) is none -%}
    {%- do lakeray.run('create table ' ~ tombstones ~ ' as ' ~ lakeray.dead('from ' ~ target)) -%}
    {%- do lakeray.run('delete from ' ~ target ~ ' where ' ~ lakeray.quote(config.require('deleted_column')) ~ ' is not null') -%}
  {%- endif -%}
  {%- set dead = lakeray.merge_rows(tombstones, lakeray.dead(sql), cursor_type) -%}
  {%- set origin = lakeray.has_origin(tombstones) and lakeray.has_origin('(' ~ sql ~ ')') -%}
  {%- if dead > 0 -%}
    {%- do lakeray.bury(target, tombstones, keys, 'temp.lakeray_incoming', cursor_type, origin) -%}
  {%- endif -%}
  {%- set newest_first = config.get('newest_first') -%}
  {%- set outlived = lakeray.pairs(keys, 'dead.', 'incoming.') ~ ' and not ' ~ lakeray.newer_of(
      lakeray.age(newest_first, 'incoming.', cursor_type, origin), lakeray.age(newest_first, 'dead.', cursor_type, origin)
  ) -%}
  {{ return(lakeray.merge_rows(
      target,
      'select * from (' ~ lakeray.living(sql) ~ ') as incoming where not exists (select 1 from ' ~ tombstones ~ ' as dead where '
      ~ outlived ~ ')',
      cursor_type
  )) }}
{%- endmacro %}


{# Delete the rows of the table, of the given keys, that have a newer tombstone. #}
{% macro bury(target, tombstones, keys, among, cursor_type=none, origin=false) -%}
  {%- set newest_first = config.get('newest_first') -%}
  {%- set origin = origin and lakeray.has_origin(target) -%}
  {%- do lakeray.run(
      "create or replace temp table lakeray_dead as select there._lakeray_row, " ~ lakeray.prefixed(keys, 'there.') ~ " from "
      ~ lakeray.there(target) ~ " join " ~ tombstones ~ " as dead on " ~ lakeray.pairs(keys, 'dead.', 'there.')
      ~ " where exists (select 1 from " ~ among ~ " as incoming where " ~ lakeray.pairs(keys, 'incoming.', 'there.') ~ ") and "
      ~ lakeray.newer_of(
          lakeray.age(newest_first, 'dead.', cursor_type, origin), lakeray.age(newest_first, 'there.', cursor_type, origin)
      )
  ) -%}
  {%- if lakeray.hides_rowid(target) -%}
    {%- do lakeray.run(
        "delete from " ~ target ~ " as there where exists (select 1 from temp.lakeray_dead as dead where "
        ~ lakeray.pairs(keys, 'dead.', 'there.') ~ ")"
    ) -%}
  {%- else -%}
    {%- do lakeray.run("delete from " ~ target ~ " where rowid in (select _lakeray_row from temp.lakeray_dead)") -%}
  {%- endif -%}
{%- endmacro %}


{# The living rows of a query, and the tombstones of the others. #}
{% macro living(sql) -%}
  {{ return('select * from (' ~ sql ~ ') as alive where ' ~ lakeray.quote(config.require('deleted_column')) ~ ' is null') }}
{%- endmacro %}

{% macro dead(sql) -%}
  {%- set named = lakeray.list(config.require('unique_key')) + lakeray.list(config.get('newest_first'))
      + ['_airbyte_extracted_at', '_airbyte_raw_id', config.require('deleted_column'), '_airbyte_generation_id',
          '_lakeray_origin'] -%}
  {%- set texts = [] -%}
  {%- for name in named -%}
    {%- do texts.append(lakeray.text(lakeray.folded(name))) -%}
  {%- endfor -%}
  {{ return(
      'select columns(lambda name: ' ~ lakeray.folded_sql('name') ~ ' in (' ~ texts | join(', ') ~ ')) from (' ~ sql ~ ') as dead where '
      ~ lakeray.quote(config.require('deleted_column')) ~ ' is not null'
  ) }}
{%- endmacro %}


{# Whether a relation has the column of origins. #}
{% macro has_origin(relation) -%}
  {{ return('_lakeray_origin' in lakeray.types_of(relation)) }}
{%- endmacro %}
