{# A quoted SQL identifier. #}
{% macro lakeray_quote(identifier) -%}
  {{ return('"' ~ identifier | replace('"', '""') ~ '"') }}
{%- endmacro %}


{# One name or several, as a list of quoted SQL identifiers. #}
{% macro lakeray_quoted(names) -%}
  {%- set quoted = [] -%}
  {%- for name in lakeray_list(names) -%}
    {%- do quoted.append(lakeray_quote(name)) -%}
  {%- endfor -%}
  {{ return(quoted) }}
{%- endmacro %}


{# A SQL text literal. #}
{% macro lakeray_text(value) -%}
  {{ return("'" ~ value | replace("'", "''") ~ "'") }}
{%- endmacro %}


{# None, one name or several, as a list. #}
{% macro lakeray_list(names) -%}
  {{ return([] if names is none else [names] if names is string else names | list) }}
{%- endmacro %}


{#
  The condition that the key's columns of two relations are equal. In a part of a key a null equals a null; a key of one column has
  none, and DuckDB passes over more of a table for `=`. A null in a field equals a null for both.
#}
{% macro lakeray_pairs(columns, left, right) -%}
  {%- set equal = ' = ' if columns | length == 1 else ' is not distinct from ' -%}
  {%- set pairs = [] -%}
  {%- for column in columns -%}
    {%- do pairs.append(left ~ column ~ equal ~ right ~ column) -%}
  {%- endfor -%}
  {{ return(pairs | join(' and ')) }}
{%- endmacro %}
