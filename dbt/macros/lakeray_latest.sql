{#
  One row per key, the newest, as a subquery with the alias `latest`.

    relation      a relation or a subquery in parentheses
    key           the key's columns; rows with a null in them are left out, for a row without a key cannot be merged
    newest_first  the cursor column, or several of which the first that is not null counts, or none; see lakeray_age
#}
{% macro lakeray_latest(relation, key, newest_first=none) -%}
  (
      select *
      from {{ relation }} as delivered
      where {% for column in lakeray_list(key) %}{{ lakeray_quote(column) }} is not null{{ ' and ' if not loop.last }}{% endfor %}
      qualify row_number() over (
          partition by {% for column in lakeray_list(key) %}{{ lakeray_quote(column) }}{{ ', ' if not loop.last }}{% endfor %}
          order by {% for term in lakeray_age(newest_first) %}{{ term }} desc nulls last{{ ', ' if not loop.last }}{% endfor %}
      ) = 1
  ) as latest
{%- endmacro %}


{#
  Whether the row that comes in is newer than the row that is there: the merge_update_condition of a processed model (P12).
  An older or an equal record changes nothing, so a repeated run writes nothing; a null never beats a value.
#}
{% macro lakeray_is_newer(newest_first=none) -%}
  {%- set there = lakeray_age(newest_first, 'DBT_INTERNAL_DEST.') -%}
  (case
  {%- for new in lakeray_age(newest_first, 'DBT_INTERNAL_SOURCE.') %}
  {{ 'else' if loop.last else 'when ' ~ new ~ ' is distinct from ' ~ there[loop.index0] ~ ' then' }}
  {{- ' coalesce(' ~ new ~ ' > ' ~ there[loop.index0] ~ ', ' ~ new ~ ' is not null and ' ~ there[loop.index0] ~ ' is null)' }}
  {%- endfor %}
  end)
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
