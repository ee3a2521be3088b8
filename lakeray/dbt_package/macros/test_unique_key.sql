{#
  No two rows share the values of `columns`: the test of a key of several columns, or of one that dbt's own test cannot name. They are
  a list, or its JSON: dbt evaluates Jinja in a test's arguments, and JSON can say names so that there is none to see.
#}
{% test unique_key(model, columns) %}
{%- set keys = lakeray.quoted(fromjson(columns) if columns is string else columns) %}
select {{ keys | join(', ') }}, count(*) as occurrences
from {{ model }} as tested
group by {{ keys | join(', ') }}
having count(*) > 1
{% endtest %}


{# None of `columns`, a list or its JSON, is null. #}
{% test key_not_null(model, columns) %}
{%- set keys = lakeray.quoted(fromjson(columns) if columns is string else columns) %}
select {{ keys | join(', ') }}
from {{ model }} as tested
where {{ keys | join(' is null or ') }} is null
{% endtest %}
