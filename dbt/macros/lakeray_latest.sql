{#
  One row per key, the newest, as a subquery with the alias `latest`.

    relation      a relation or a subquery in parentheses
    key           the key's columns; rows with a null in them are left out, for a row without a key cannot be merged
    newest_first  the cursor column, or several of which the first that is not null counts, or none; see lakeray_age

  A window over whole rows costs two to five times what writing them does. So a run looks first, at the key alone, which keys
  occur more than once. Mostly none does, and the rows pass as they are. Else only those keys' rows are compared, by key and age
  columns, and the rows that lose are left out by their row number; a relation that has none, any other than lakeray_new_rows,
  has the rows of those keys alone in a window.
#}
{% macro lakeray_latest(relation, key, newest_first=none) -%}
  {%- set keys = lakeray_quoted(key) -%}
  {%- set ages = lakeray_age(newest_first) -%}
  {%- set repeated = lakeray_repeated_keys(relation, keys) if lakeray_may_look() else none -%}
  {%- set same_key = lakeray_pairs(keys, 'repeated.', 'delivered.') -%}
  {%- if not lakeray_may_look() -%}
  (
      select *
      from {{ relation }} as delivered
      where {{ lakeray_has_key(keys) }}
      qualify {{ lakeray_rank(keys, ages) }} = 1
  ) as latest
  {%- elif repeated is none -%}
  (select * from {{ relation }} as delivered where {{ lakeray_has_key(keys) }}) as latest
  {%- elif lakeray_rows_mark() in relation | string -%}
  (
      select * exclude (lakeray_row)
      from {{ lakeray_numbered(relation) }} as delivered
      where {{ lakeray_has_key(keys) }}
          and lakeray_row not in (select lakeray_row from {{ lakeray_losers(relation, keys, ages, repeated) }})
  ) as latest
  {%- else -%}
  (
      select *
      from {{ relation }} as delivered
      where {{ lakeray_has_key(keys) }} and not exists (select 1 from {{ repeated }} as repeated where {{ same_key }})
      union all
      select *
      from {{ relation }} as delivered
      where exists (select 1 from {{ repeated }} as repeated where {{ same_key }})
      qualify {{ lakeray_rank(keys, ages) }} = 1
  ) as latest
  {%- endif -%}
{%- endmacro %}


{# Whether this is a command that builds tables. Others, such as compile and docs, get the same rows by a plain window. #}
{% macro lakeray_may_look() -%}
  {{ return(execute and flags.WHICH in ('run', 'build', 'retry')) }}
{%- endmacro %}


{# A temporary table of the keys that occur more than once; none when there are none. #}
{% macro lakeray_repeated_keys(relation, keys) -%}
  {%- set name = 'temp.lakeray_repeated_' ~ local_md5(relation ~ keys) -%}
  {%- set listed = keys | join(', ') -%}
  {%- set found = run_query(
      "create or replace temp table " ~ name.removeprefix('temp.') ~ " as select " ~ listed ~ " from " ~ relation ~ " as delivered"
      ~ " where " ~ lakeray_has_key(keys) ~ " group by " ~ listed ~ " having count(*) > 1"
  ) -%}
  {{ return(name if found.rows[0][0] | int > 0 else none) }}
{%- endmacro %}


{#
  A temporary table of the row numbers of all rows of the repeated keys but the newest of each. The first age column decides, and
  the others are read only of rows that it leaves level: raw ids are long, and no two alike.
#}
{% macro lakeray_losers(relation, keys, ages, repeated) -%}
  {%- set name = 'lakeray_losers_' ~ local_md5(relation ~ keys ~ ages) -%}
  {%- set placed = name ~ '_placed' -%}
  {%- set delivered = lakeray_numbered(relation) ~ " as delivered where " -%}
  {%- set listed = keys | join(', ') -%}
  {%- do run_query(
      "create or replace temp table " ~ placed ~ " as select lakeray_row, " ~ listed ~ ", " ~ lakeray_place('rank', keys, ages[:1])
      ~ " as place from " ~ delivered ~ "exists (select 1 from " ~ repeated ~ " as repeated where "
      ~ lakeray_pairs(keys, 'repeated.', 'delivered.') ~ ")"
  ) -%}
  {%- do run_query(
      "create or replace temp table " ~ name ~ " as select lakeray_row from temp." ~ placed ~ " where place > 1"
  ) -%}
  {%- set first = "temp." ~ placed ~ " where place = 1" -%}
  {%- set level = run_query("select count(*) > (select count(*) from " ~ repeated ~ ") from " ~ first).rows[0][0] -%}
  {%- if level -%}
    {%- do run_query(
        "insert into temp." ~ name ~ " select lakeray_row from " ~ delivered ~ "lakeray_row in (select unnest(list(lakeray_row)) from "
        ~ first ~ " group by " ~ listed ~ " having count(*) > 1) qualify " ~ lakeray_rank(keys, ages + ['lakeray_row']) ~ " > 1"
    ) -%}
  {%- endif -%}
  {{ return('temp.' ~ name) }}
{%- endmacro %}


{# How lakeray_new_rows begins; and the same rows with the column lakeray_row, a number that no other of them has. #}
{% macro lakeray_rows_mark() -%}
  {{ return('(select /* lakeray_new_rows */ *') }}
{%- endmacro %}

{% macro lakeray_numbered(relation) -%}
  {{ return(relation | string | replace(lakeray_rows_mark(), '(select *, rowid as lakeray_row')) }}
{%- endmacro %}


{# Ranks the rows of a key, the newest first; and by another window function than row_number. #}
{% macro lakeray_rank(keys, ages) -%}
  {{ lakeray_place('row_number', keys, ages) }}
{%- endmacro %}

{% macro lakeray_place(by, keys, ages) -%}
  {{ by }}() over (partition by {{ keys | join(', ') }} order by {{ ages | join(' desc nulls last, ') }} desc nulls last)
{%- endmacro %}


{% macro lakeray_has_key(keys) -%}
  {{ keys | join(' is not null and ') }} is not null
{%- endmacro %}


{#
  Whether the row that comes in is newer than the row that is there: the merge_update_condition of a model that is materialized as
  dbt's own incremental (P12). An older or an equal record changes nothing, so a repeated run writes nothing; a null never beats
  a value.
#}
{% macro lakeray_is_newer(newest_first=none) -%}
  {{ lakeray_newer_of(lakeray_age(newest_first, 'DBT_INTERNAL_SOURCE.'), lakeray_age(newest_first, 'DBT_INTERNAL_DEST.')) }}
{%- endmacro %}


{# Whether the first list of expressions is newer than the second; false when all are equal. #}
{% macro lakeray_newer_of(new, there) -%}
  (case
  {%- for term in new %}
  when {{ term }} is distinct from {{ there[loop.index0] }} then coalesce(
  {{- term }} > {{ there[loop.index0] }}, {{ there[loop.index0] }} is null)
  {%- endfor %}
  else false end)
{%- endmacro %}


{#
  What a record's age is judged by, most important first: the source's cursor, when the connector read it, and its raw id so
  that the order is total. One order in one place: the result of a merge does not depend on how files were cut into batches.
#}
{% macro lakeray_age(newest_first=none, prefix='') -%}
  {%- set terms = [] -%}
  {%- for column in lakeray_list(newest_first) -%}
    {%- do terms.append(prefix ~ lakeray_quote(column)) -%}
  {%- endfor -%}
  {%- set cursor = ['coalesce(' ~ terms | join(', ') ~ ')'] if terms | length > 1 else terms -%}
  {{ return(cursor + [prefix ~ lakeray_quote('_airbyte_extracted_at'), prefix ~ lakeray_quote('_airbyte_raw_id')]) }}
{%- endmacro %}
