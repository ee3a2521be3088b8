{#
  The one total order of a stream's records (P12): the cursor, `_airbyte_extracted_at`, the LastModified of its object, the key of
  its object in natural order, its number in the object, `_airbyte_raw_id`. The greatest is the newest, and a missing value the
  oldest. Nothing of it depends on when a file was registered, or with which others: every merge takes it from here.
#}

{#
  The expressions that a record is judged by, most important first.

    newest_first  the cursor column, or several of which the first that is not null counts, or none
    prefix        of every column: 'there.'
    cursor_type   the type that a text cursor is compared as: see lakeray.cursor_type; none compares it as it is
    origin        whether the rows have the column _lakeray_origin: LastModified and key of the object
    number        whether they have the column _lakeray_number, too. A processed row need not: of the rows of one object that have
                  its key it is the newest, and it meets that same row alone when the object is merged again
#}
{% macro age(newest_first=none, prefix='', cursor_type=none, origin=false, number=false) -%}
  {%- set terms = [] -%}
  {%- set cursor = lakeray.cursor(newest_first, prefix) -%}
  {%- if cursor is not none -%}
    {%- do terms.append(cursor if cursor_type is none else 'try_cast(' ~ cursor ~ ' as ' ~ cursor_type ~ ')') -%}
  {%- endif -%}
  {%- do terms.append(prefix ~ '_airbyte_extracted_at') -%}
  {%- if origin -%}
    {%- do terms.extend([lakeray.natural(prefix ~ '_lakeray_origin'), prefix ~ '_lakeray_origin']) -%}
  {%- endif -%}
  {%- do terms.append(prefix ~ '_lakeray_number') if number -%}
  {{ return(terms + [prefix ~ '_airbyte_raw_id']) }}
{%- endmacro %}


{# The cursor as the source delivers it; none when the stream has none. #}
{% macro cursor(newest_first, prefix='') -%}
  {%- set columns = [] -%}
  {%- for column in lakeray.quoted(newest_first) -%}
    {%- do columns.append(prefix ~ column) -%}
  {%- endfor -%}
  {{ return('coalesce(' ~ columns | join(', ') ~ ')' if columns | length > 1 else columns | first if columns else none) }}
{%- endmacro %}


{# A text that sorts as `text` does when runs of digits compare as numbers; `natural_order` makes the same one in Python. #}
{% macro natural(text) -%}
  {{ return(
      "regexp_replace(regexp_replace(" ~ text ~ ", '([0-9]+)', repeat('0', 64) || '\\1', 'g'), '[0-9]*([0-9]{64})', '\\1', 'g')"
  ) }}
{%- endmacro %}


{# Whether the first list of expressions is newer than the second; false when all are equal. #}
{% macro newer_of(new, there) -%}
  (case
  {%- for term in new %}
  when {{ term }} is distinct from {{ there[loop.index0] }} then coalesce(
  {{- term }} > {{ there[loop.index0] }}, {{ there[loop.index0] }} is null)
  {%- endfor %}
  else false end)
{%- endmacro %}


{#
  Whether the row that comes in is newer than the row that is there: the merge_update_condition of a model that is materialized as
  dbt's own incremental (P12). An older or an equal record changes nothing, so a repeated run writes nothing; a null never beats
  a value. With origin=true the model and its table have the column _lakeray_origin, as one that selects * from lakeray.latest has:
  without it records that are equal by cursor and extraction time are told apart by their raw ids alone.
#}
{% macro is_newer(newest_first=none, cursor_type=none, origin=false) -%}
  {{ lakeray.newer_of(
      lakeray.age(newest_first, 'DBT_INTERNAL_SOURCE.', cursor_type, origin),
      lakeray.age(newest_first, 'DBT_INTERNAL_DEST.', cursor_type, origin)
  ) }}
{%- endmacro %}


{#
  The type that a cursor is compared as. `wanted` is that type; or none, for a cursor that is no text; or 'auto': the type that all
  values of a text cursor parse as, times before numbers before text. It is found once, of the rows that are there and those that
  come, and kept in meta.cursor_types: it stays, also when the table is built anew. A value that does not parse as the kept type
  counts as no cursor, and is counted (lakeray_warnings).
#}
{% macro cursor_type(relation, newest_first, wanted) -%}
  {%- set found = {'type': none if wanted == 'auto' else wanted, 'is_new': false, 'breaks': 0} -%}
  {%- if newest_first is none or wanted is none -%}
    {{ return(found) }}
  {%- endif -%}
  {%- if wanted == 'auto' -%}
    {%- set kept = run_query(
        "select cursor_type from lakehouse.meta.cursor_types where model = " ~ lakeray.text(this.identifier)
        ~ " and column_name = " ~ lakeray.text(lakeray.list(newest_first) | first)
    ).rows -%}
    {%- do found.update({'type': kept[0][0]} if kept else lakeray.inferred_type(relation, newest_first)) -%}
  {%- endif -%}
  {%- if found.type is not none and found.type != 'VARCHAR' and not found.is_new -%}
    {%- set broken = run_query("select count(*) from " ~ relation ~ " as delivered where " ~ lakeray.is_broken(newest_first, found.type)) -%}
    {%- do found.update({'breaks': broken.rows[0][0] | int}) -%}
  {%- endif -%}
  {{ return(found) }}
{%- endmacro %}


{# The condition that a row's cursor does not parse. #}
{% macro is_broken(newest_first, cursor_type) -%}
  {%- set cursor = lakeray.cursor(newest_first) -%}
  {{ return(cursor ~ ' is not null and try_cast(' ~ cursor ~ ' as ' ~ cursor_type ~ ') is null') }}
{%- endmacro %}


{# What all values parse as, of the rows that come and the table's; no type while there is no value. #}
{% macro inferred_type(relation, newest_first) -%}
  {%- set cursor = lakeray.cursor(newest_first) -%}
  {%- set values = "select " ~ cursor ~ " as value from " ~ relation ~ " as delivered" -%}
  {%- set existing = none if should_full_refresh() else adapter.get_relation(this.database, this.schema, this.identifier) -%}
  {%- if existing is not none -%}
    {%- set values = values ~ " union all select " ~ cursor ~ " from " ~ existing -%}
  {%- endif -%}
  {%- set counts = run_query(
      "select count(value), count(try_cast(value as timestamp with time zone)), count(try_cast(value as decimal(38, 9))) from ("
      ~ values ~ ") as seen"
  ).rows[0] -%}
  {%- set type = 'TIMESTAMP WITH TIME ZONE' if counts[0] == counts[1] else 'DECIMAL(38, 9)' if counts[0] == counts[2] else 'VARCHAR' -%}
  {{ return({'type': type if counts[0] | int > 0 else none, 'is_new': counts[0] | int > 0}) }}
{%- endmacro %}
