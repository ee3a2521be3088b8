{#
  The fence (P10): a post-hook inside the model's transaction. With the var lakeray_token, the model's DuckLake snapshot also
  counts a commit of the lease with this token; without a lease of that token the model fails and nothing of it is committed.
  A lease that changes hands at the same time touches the same row, so one of the two commits conflicts and fails.
#}
{% macro fence() -%}
  {%- set token = var('lakeray_token', none) -%}
  {%- if execute and token is not none -%}
    {%- set held = run_query("select count(*) from lakehouse.meta.committer where token = " ~ (token | int)).rows[0][0] -%}
    {%- if held | int != 1 -%}
      {%- do exceptions.raise_compiler_error(
          "the lease with fencing token " ~ token ~ " is gone: another committer took over, nothing was committed"
      ) -%}
    {%- endif -%}
    update lakehouse.meta.committer set commits = commits + 1 where token = {{ token | int }}
  {%- endif -%}
{%- endmacro %}
