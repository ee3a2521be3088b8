{#
  One row per key, the newest, as a subquery with the alias `latest`.

    relation      a relation or a subquery in parentheses
    key           the key's columns, of any type. Keys are the same where all their columns are, nulls included; a row whose key is
                  null in all of them is left out and counted
    newest_first  the cursor column, or several of which the first that is not null counts, or none; see lakeray.age
    cursor_type   what a text cursor is compared as; see lakeray.cursor_type

  A window over whole rows costs two to five times what writing them does. So a run looks first, at the key alone, which keys
  occur more than once. Mostly none does, and the rows pass as they are. Else only those keys' rows are compared, by key and age
  columns, and the rows that lose are left out by their row number; a relation that has none, any other than lakeray.new_rows,
  has the rows of those keys alone in a window.
#}
{% macro latest(relation, key, newest_first=none, cursor_type=none) -%}
  {%- set keys = lakeray.quoted(key) -%}
  {%- if not lakeray.may_look() -%}
  (
      select *
      from {{ relation }} as delivered
      where {{ lakeray.has_key(keys) }}
      qualify {{ lakeray.rank(keys, lakeray.age(newest_first, '', none if cursor_type == 'auto' else cursor_type)) }} = 1
  ) as latest
  {%- else -%}
  {{ lakeray.newest_of(relation, keys, newest_first, cursor_type) }}
  {%- endif -%}
{%- endmacro %}


{% macro newest_of(relation, keys, newest_first, cursor_type) -%}
  {%- set cursor = lakeray.cursor_type(relation, newest_first, cursor_type) -%}
  {%- set found = lakeray.repeated_keys(relation, keys) -%}
  {%- do lakeray.remember_found(relation, keys, newest_first, cursor, found.without_key) -%}
  {%- set repeated = found.repeated -%}
  {%- set same_key = lakeray.pairs(keys, 'repeated.', 'delivered.') -%}
  {%- if repeated is none -%}
  (select * from {{ lakeray.with_origin(relation) }} as delivered where {{ lakeray.has_key(keys) }}) as latest
  {%- elif lakeray.is_marked(relation) -%}
  (
      select * exclude (_lakeray_row)
      from {{ lakeray.with_origin(relation, row=true) }} as delivered
      where {{ lakeray.has_key(keys) }}
          and _lakeray_row not in (select _lakeray_row from {{ lakeray.losers(relation, keys, newest_first, cursor.type, repeated) }})
  ) as latest
  {%- else -%}
  (
      select *
      from {{ relation }} as delivered
      where {{ lakeray.has_key(keys) }} and not exists (select 1 from {{ repeated }} as repeated where {{ same_key }})
      union all
      select *
      from {{ relation }} as delivered
      where exists (select 1 from {{ repeated }} as repeated where {{ same_key }})
      qualify {{ lakeray.rank(keys, lakeray.age(newest_first, '', cursor.type)) }} = 1
  ) as latest
  {%- endif -%}
{%- endmacro %}


{# Whether this is a command that builds tables. Others, such as compile and docs, get the same rows by a plain window. #}
{% macro may_look() -%}
  {{ return(execute and flags.WHICH in ('run', 'build', 'retry')) }}
{%- endmacro %}


{# A temporary table of the keys that occur more than once, none when there are none; and how many rows have no key. #}
{% macro repeated_keys(relation, keys) -%}
  {%- set name = 'temp.lakeray_repeated_' ~ local_md5(relation ~ keys) -%}
  {%- set no_key = "not (" ~ lakeray.has_key(keys) ~ ")" -%}
  {%- set listed = keys | join(', ') -%}
  {%- set keys_found = run_query(
      "create or replace temp table " ~ name.removeprefix('temp.') ~ " as select " ~ listed ~ ", count(*) as _lakeray_rows from " ~ relation
      ~ " as delivered group by " ~ listed ~ " having count(*) > 1 or " ~ no_key
  ).rows[0][0] | int -%}
  {%- set without_key = 0 if keys_found == 0 else run_query(
      "select coalesce(sum(_lakeray_rows), 0)::bigint from " ~ name ~ " where " ~ no_key
  ).rows[0][0] | int -%}
  {%- if without_key > 0 -%}
    {%- do run_query("delete from " ~ name ~ " where " ~ no_key) -%}
  {%- endif -%}
  {{ return({'repeated': name if keys_found > (1 if without_key else 0) else none, 'without_key': without_key}) }}
{%- endmacro %}


{#
  A temporary table of the row numbers of all rows of the repeated keys but the newest of each. The first age column decides, and
  the others are read only of rows that it leaves level: raw ids are long, and no two alike.
#}
{% macro losers(relation, keys, newest_first, cursor_type, repeated) -%}
  {%- set first = lakeray.age(newest_first, '', cursor_type)[:1] -%}
  {%- set name = 'lakeray_losers_' ~ local_md5(relation ~ keys ~ first) -%}
  {%- set placed = name ~ '_placed' -%}
  {%- set listed = keys | join(', ') -%}
  {%- do run_query(
      "create or replace temp table " ~ placed ~ " as select _lakeray_row, " ~ listed ~ ", " ~ lakeray.place('rank', keys, first)
      ~ " as _lakeray_place from " ~ lakeray.numbered(relation) ~ " as delivered where exists (select 1 from " ~ repeated
      ~ " as repeated where " ~ lakeray.pairs(keys, 'repeated.', 'delivered.') ~ ")"
  ) -%}
  {%- do run_query(
      "create or replace temp table " ~ name ~ " as select _lakeray_row from temp." ~ placed ~ " where _lakeray_place > 1"
  ) -%}
  {%- set best = "temp." ~ placed ~ " where _lakeray_place = 1" -%}
  {%- set level = run_query("select count(*) > (select count(*) from " ~ repeated ~ ") from " ~ best).rows[0][0] -%}
  {%- if level -%}
    {%- set ages = lakeray.age(newest_first, '', cursor_type, origin=true, number=true) + ['_lakeray_row'] -%}
    {%- do run_query(
        "insert into temp." ~ name ~ " select _lakeray_row from " ~ lakeray.with_origin(relation, row=true, number=true)
        ~ " as delivered where _lakeray_row in (select unnest(list(_lakeray_row)) from " ~ best
        ~ " group by " ~ listed ~ " having count(*) > 1) qualify " ~ lakeray.rank(keys, ages) ~ " > 1"
    ) -%}
  {%- endif -%}
  {{ return('temp.' ~ name) }}
{%- endmacro %}


{# Ranks the rows of a key, the newest first; and by another window function than row_number. #}
{% macro rank(keys, ages) -%}
  {{ lakeray.place('row_number', keys, ages) }}
{%- endmacro %}

{% macro place(by, keys, ages) -%}
  {{ by }}() over (partition by {{ keys | join(', ') }} order by {{ ages | join(' desc nulls last, ') }} desc nulls last)
{%- endmacro %}


{# Whether a row has a key: at least one of its columns has a value (ADR 0028). #}
{% macro has_key(keys) -%}
  ({{ keys | join(' is not null or ') }} is not null)
{%- endmacro %}
