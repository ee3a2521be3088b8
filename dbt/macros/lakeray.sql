{# dbt looks for these two in the project itself; what they do is the package's. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ return(lakeray.generate_schema_name(custom_schema_name, node)) }}
{%- endmacro %}

{% macro is_incremental() -%}
  {{ return(lakeray.is_incremental()) }}
{%- endmacro %}
