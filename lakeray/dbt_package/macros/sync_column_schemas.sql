{#
  dbt's append_new_columns adds columns, and a MERGE then drops the struct fields that the target lacks, without a word. So this
  also widens columns whose type has changed to what holds both types: a new field of a struct, at any depth and in lists, or a
  wider number. Fields that only the target has stay. A change that is no widening fails the model.
#}
{% macro duckdb__sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) -%}
  {%- do default__sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) -%}
  {%- if on_schema_change == 'append_new_columns' -%}
    {%- for change in schema_changes_dict['new_target_types'] -%}
      {%- do lakeray.widen_column(target_relation, change['column_name'], change['new_type']) -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}


{# Give a column the type that holds both its own type and `new_type`. #}
{% macro widen_column(relation, column, new_type) -%}
  {%- set there = [] -%}
  {%- for found in adapter.get_columns_in_relation(relation) if lakeray.folded(found.name) == lakeray.folded(column) -%}
    {%- do there.append(found.data_type) -%}
  {%- endfor -%}
  {%- set both = run_query(
      "select typeof(cast(null as " ~ there[0] ~ ")), typeof(coalesce(cast(null as " ~ there[0] ~ "), cast(null as "
      ~ new_type ~ ")))"
  ).rows[0] -%}
  {%- if both[0] != both[1] -%}
    {%- do run_query("alter table " ~ relation ~ " alter column " ~ lakeray.quote(column) ~ " set data type " ~ both[1]) -%}
  {%- endif -%}
{%- endmacro %}
