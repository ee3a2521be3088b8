{# A model's `schema` is the schema's name, as written; dbt would put the target's name before it. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
