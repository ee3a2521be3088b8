{#
  The origin of a row: LastModified and key of its object, as one text. A landing row has the path of its file (DuckLake's virtual
  column `filename`), and a temporary table tells the origin of each path. A processed row keeps it as _lakeray_origin: a text that
  the rows of a file share, so it takes next to nothing in Parquet (ADR 0028). Columns that begin with _lakeray_ are lakeray's own.
#}

{#
  The mark in the SQL of lakeray.new_rows: it is where columns of lakeray's own are put, and names the table of origins. It has the id
  of this run of dbt in it, so that nobody's column can be called so.
#}
{% macro rows_mark(landing) -%}
  {{ return('/* lakeray_new_rows ' ~ invocation_id ~ ' ' ~ local_md5(landing | string) ~ ' */') }}
{%- endmacro %}

{% macro rows_pattern() -%}
  {{ return('/[*] lakeray_new_rows ' ~ invocation_id ~ ' (\\w+) [*]/') }}
{%- endmacro %}


{# Whether a relation gives rows of lakeray.new_rows with all their columns, so that lakeray's own come through. #}
{% macro is_marked(relation) -%}
  {%- set text = relation | string -%}
  {%- if not modules.re.search(lakeray.rows_pattern(), text) -%}
    {{ return(false) }}
  {%- endif -%}
  {{ return(text.lstrip().startswith('(select *') or run_query(
      "select count(*) from (describe select * from " ~ lakeray.numbered(text) ~ ") where column_name = '_lakeray_row'"
  ).rows[0][0] | int == 1) }}
{%- endmacro %}


{# The same rows with more columns: `columns` is a list of expressions. #}
{% macro with(relation, columns) -%}
  {{ return(modules.re.sub(lakeray.rows_pattern(), ', ' ~ columns | join(', ') | replace('\\', '\\\\'), relation | string)) }}
{%- endmacro %}


{#
  The same rows with their origin, and perhaps with _lakeray_row, a number that no other of them has, and _lakeray_number. A join of
  the paths: looked up by a subquery they cost several times as much.
#}
{% macro with_origin(relation, row=false, number=false) -%}
  {%- set text = relation | string -%}
  {%- if not lakeray.is_marked(text) -%}
    {{ return(text) }}
  {%- endif -%}
  {%- set columns = ['filename as _lakeray_path'] -%}
  {%- do columns.append('rowid as _lakeray_row') if row -%}
  {%- do columns.append('file_row_number as _lakeray_number') if number -%}
  {%- set id = modules.re.search(lakeray.rows_pattern(), text).group(1) -%}
  {{ return(
      '(select came.* exclude (_lakeray_path), ' ~ lakeray.origin_column() ~ ' from ' ~ lakeray.with(text, columns) ~ ' as came'
      ~ lakeray.origin_join(id) ~ ')'
  ) }}
{%- endmacro %}

{% macro numbered(relation) -%}
  {{ return(lakeray.with(relation, ['rowid as _lakeray_row'])) }}
{%- endmacro %}


{# How the origin is joined, by the id of its table; and a model's SQL without it, where it is not needed. #}
{% macro origin_column() -%}
  {{ return('origins.origin as _lakeray_origin') }}
{%- endmacro %}

{% macro origin_join(id) -%}
  {{ return(' left join temp.lakeray_origins_' ~ id ~ ' as origins on origins.path = came._lakeray_path') }}
{%- endmacro %}

{% macro without_origin(sql) -%}
  {%- set join = modules.re.escape(lakeray.origin_join('ID')) | replace('ID', '\\w+') -%}
  {{ return(modules.re.sub(join, '', sql) | replace(lakeray.origin_column(), 'null::varchar as _lakeray_origin')) }}
{%- endmacro %}


{#
  DuckLake's virtual columns are asked by name, and a table's own column of that name hides them. So where a table has one, it gets
  another name inside the query, and its own back: {'names': ' as landed("id", "_lakeray_2")', 'rename': ' rename ("_lakeray_2" as
  "filename")', 'hides': ['filename']}, all empty where it has none. `names` follows the table, `rename` the star.
#}
{% macro unhidden(types) -%}
  {%- set names, renames, hides = [], [], [] -%}
  {%- for name in types -%}
    {%- set folded = lakeray.folded(name) -%}
    {%- if folded in ('rowid', 'filename', 'file_row_number', 'file_index', 'snapshot_id') -%}
      {%- set other = lakeray.quote('_lakeray_' ~ loop.index) -%}
      {%- do names.append(other) -%}
      {%- do renames.append(other ~ ' as ' ~ lakeray.quote(name)) -%}
      {%- do hides.append(folded) -%}
    {%- else -%}
      {%- do names.append(lakeray.quote(name)) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- if not hides -%}
    {{ return({'names': '', 'rename': '', 'hides': []}) }}
  {%- endif -%}
  {{ return({
      'names': ' as landed(' ~ names | join(', ') ~ ')', 'rename': ' rename (' ~ renames | join(', ') ~ ')', 'hides': hides,
  }) }}
{%- endmacro %}


{# The columns of a relation and their types, in their order. #}
{% macro types_of(relation) -%}
  {%- set types = {} -%}
  {%- for row in run_query("select column_name, column_type from (describe select * from " ~ relation ~ ")").rows -%}
    {%- do types.update({row[0]: row[1]}) -%}
  {%- endfor -%}
  {{ return(types) }}
{%- endmacro %}


{#
  Make the table of origins of a landing table's files: of the var lakeray_origins, {"shopify__orders": "[{\"path\": …, \"origin\":
  …}]"}, which a committer gives of files that it has just registered; or of what it wrote with each commit. A file that was taken
  in before origins were kept has its key alone.
#}
{% macro take_origins(landing, source, stream, last) -%}
  {%- if not lakeray.may_look() -%}
    {{ return('') }}
  {%- endif -%}
  {%- set make = "create or replace temp table lakeray_origins_" ~ local_md5(landing | string) ~ " as " -%}
  {%- set given = var('lakeray_origins', {}).get(source ~ '__' ~ stream) -%}
  {%- if given -%}
    {%- do run_query(
        make ~ "select path, max(origin) as origin from (select unnest(from_json(" ~ lakeray.text(given)
        ~ ", '[{\"path\": \"VARCHAR\", \"origin\": \"VARCHAR\"}]'), recursive := true)) as given group by path"
    ) -%}
  {%- else -%}
    {%- set own = " where source = " ~ lakeray.text(source) ~ " and stream = " ~ lakeray.text(stream) -%}
    {%- set known = "select registered_path, '0000-00-00T00:00:00.000000Z ' || file_key as origin, -1 as taken from lakehouse.meta.ledger" ~ own -%}
    {%- if adapter.get_relation('lakehouse', 'meta', 'origins') is not none -%}
      {%- set known = known ~ " union all select registered_path, origin, snapshot_id from lakehouse.meta.origins" ~ own
          ~ " and snapshot_id <= " ~ (last | int) -%}
    {%- endif -%}
    {%- do run_query(make ~ "select registered_path as path, arg_max(origin, taken) as origin from (" ~ known ~ ") as known group by registered_path") -%}
  {%- endif -%}
{%- endmacro %}
