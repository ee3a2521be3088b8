{# No two rows share the values of `columns`: the test of a key of several columns. #}
{% test lakeray_unique_key(model, columns) %}
select {% for column in columns %}{{ lakeray_quote(column) }}, {% endfor %}count(*) as occurrences
from {{ model }}
group by {% for column in columns %}{{ lakeray_quote(column) }}{{ ', ' if not loop.last }}{% endfor %}
having count(*) > 1
{% endtest %}
