{#
  What a merge has to say of the rows that came: rows without a key, which are left out; values of a text cursor that do not parse,
  which count as none; and the type that such a cursor is compared as from now on. lakeray.latest finds it, and the materialization
  lakeray_merge keeps it in the transaction of the merge, per file, so that a file that is merged again counts once.
#}

{# Remember what was found of the model's rows, for its materialization. #}
{% macro remember_found(relation, keys, newest_first, cursor, without_key) -%}
  {%- set found = {
      'model': this.identifier, 'cursor': lakeray.list(newest_first) | first | default(none, true), 'cursor_type': cursor.type,
      'is_new_type': cursor.is_new, 'without_key': without_key, 'cursor_breaks': cursor.breaks,
  } -%}
  {%- do run_query("set variable lakeray_found = " ~ lakeray.text(tojson(found))) -%}
  {%- if without_key or cursor.breaks -%}
    {%- set is_marked = lakeray.is_marked(relation) -%}
    {%- do run_query(
        "create or replace temp table lakeray_warnings as select " ~ ("_lakeray_path" if is_marked else "''") ~ " as registered_path, "
        ~ "count(*) filter (not " ~ lakeray.has_key(keys) ~ ") as without_key, count(*) filter ("
        ~ (lakeray.is_broken(newest_first, cursor.type) if cursor.breaks else "false") ~ ") as cursor_breaks from "
        ~ (lakeray.with(relation, ["filename as _lakeray_path"]) if is_marked else relation) ~ " as delivered group by 1"
    ) -%}
  {%- endif -%}
{%- endmacro %}


{# What lakeray.latest found of this model's rows; nothing when the model does not call it. #}
{% macro found() -%}
  {%- set text = run_query("select getvariable('lakeray_found')").rows[0][0] -%}
  {%- set found = fromjson(text) if text is not none else {} -%}
  {{ return(found if found.model == this.identifier else {}) }}
{%- endmacro %}


{# Keep it, in the model's transaction. What is to be told of it, as the code of dbt's adapter response. #}
{% macro note_found(found) -%}
  {%- set model = lakeray.text(this.identifier) -%}
  {%- if found.is_new_type -%}
    {%- do lakeray.run("delete from lakehouse.meta.cursor_types where model = " ~ model) -%}
    {%- do lakeray.run(
        "insert into lakehouse.meta.cursor_types values (" ~ model ~ ", " ~ lakeray.text(found.cursor) ~ ", "
        ~ lakeray.text(found.cursor_type) ~ ", now())"
    ) -%}
  {%- endif -%}
  {%- if found.without_key or found.cursor_breaks -%}
    {%- do lakeray.run(
        "delete from lakehouse.meta.row_warnings where model = " ~ model
        ~ " and registered_path in (select registered_path from temp.lakeray_warnings)"
    ) -%}
    {%- for kind in ('without_key', 'cursor_breaks') if found[kind] -%}
      {%- do lakeray.run(
          "insert into lakehouse.meta.row_warnings select " ~ model ~ ", '" ~ kind ~ "', registered_path, " ~ kind
          ~ ", now() from temp.lakeray_warnings where " ~ kind ~ " > 0"
      ) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(tojson(found) if found.is_new_type or found.without_key or found.cursor_breaks else 'OK') }}
{%- endmacro %}
