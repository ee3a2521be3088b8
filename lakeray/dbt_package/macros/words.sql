{# A quoted SQL identifier. #}
{% macro quote(identifier) -%}
  {{ return('"' ~ identifier | replace('"', '""') ~ '"') }}
{%- endmacro %}


{# One name or several, as a list of quoted SQL identifiers. #}
{% macro quoted(names) -%}
  {%- set quoted = [] -%}
  {%- for name in lakeray.list(names) -%}
    {%- do quoted.append(lakeray.quote(name)) -%}
  {%- endfor -%}
  {{ return(quoted) }}
{%- endmacro %}


{# A SQL text literal. #}
{% macro text(value) -%}
  {{ return("'" ~ value | replace("'", "''") ~ "'") }}
{%- endmacro %}


{# The text that is the same for names that DuckDB takes for one: only A to Z have a case to it. Jinja's `lower` knows more letters. #}
{% macro folded(name) -%}
  {%- set cases = {} -%}
  {%- for code in range(65, 91) -%}
    {%- do cases.update({code: code + 32}) -%}
  {%- endfor -%}
  {{ return(name.translate(cases)) }}
{%- endmacro %}


{# The same of an SQL expression. #}
{% macro folded_sql(expression) -%}
  {%- set letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' -%}
  {{ return('translate(' ~ expression ~ ", '" ~ letters ~ "', '" ~ lakeray.folded(letters) ~ "')") }}
{%- endmacro %}


{# None, one name or several, as a list. #}
{% macro list(names) -%}
  {{ return([] if names is none else [names] if names is string else names | list) }}
{%- endmacro %}


{#
  The condition that the columns of two relations are equal; a null equals a null, in the column and in its fields. For `=` DuckDB would
  put the ends of the values into a question to the catalog, and texts with a NUL end that question in the middle.
#}
{% macro pairs(columns, left, right) -%}
  {%- set pairs = [] -%}
  {%- for column in columns -%}
    {%- do pairs.append(left ~ column ~ ' is not distinct from ' ~ right ~ column) -%}
  {%- endfor -%}
  {{ return(pairs | join(' and ')) }}
{%- endmacro %}
