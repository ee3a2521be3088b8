{# A quoted SQL identifier. #}
{% macro lakeray_quote(identifier) -%}
  {{ return('"' ~ identifier | replace('"', '""') ~ '"') }}
{%- endmacro %}


{# A SQL text literal. #}
{% macro lakeray_text(value) -%}
  {{ return("'" ~ value | replace("'", "''") ~ "'") }}
{%- endmacro %}


{# None, one name or several, as a list. #}
{% macro lakeray_list(names) -%}
  {{ return([] if names is none else [names] if names is string else names | list) }}
{%- endmacro %}
