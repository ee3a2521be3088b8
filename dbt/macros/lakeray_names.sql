{#
  The names that lakeray's macros had while they lay in this folder, for models that call them so. They go with the next release but
  one: write lakeray.latest(…) for lakeray_latest(…), and so on.
#}
{% macro lakeray_new_rows() -%}{{ return(lakeray.new_rows(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_latest() -%}{{ return(lakeray.latest(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_since() -%}{{ return(lakeray.since(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_changes() -%}{{ return(lakeray.changes(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_affected() -%}{{ return(lakeray.affected(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_among() -%}{{ return(lakeray.among(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_is_newer() -%}{{ return(lakeray.is_newer(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_marks() -%}{{ return(lakeray.marks(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_rows_between() -%}{{ return(lakeray.rows_between(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_fence() -%}{{ return(lakeray.fence(*varargs, **kwargs)) }}{%- endmacro %}
{% macro lakeray_set_threads() -%}{{ return(lakeray.set_threads(*varargs, **kwargs)) }}{%- endmacro %}
{% test lakeray_unique_key(model, columns) -%}{{ lakeray.test_unique_key(model, columns) }}{%- endtest %}
{% test lakeray_not_null(model, columns) -%}{{ lakeray.test_key_not_null(model, columns) }}{%- endtest %}
