{#
  The rows that a processed model has to merge, as a subquery (P12).

  Incremental run: exactly the rows registered in the DuckLake snapshots (transformed_through, registered], read through
  ducklake_table_insertions, which opens only those snapshots' files. First run and --full-refresh: the landing table as it is at
  the last of these snapshots, so that whatever is registered meanwhile waits for its own turn.

  The two marks come from the var lakeray_marks, {"shopify__orders": {"from": 12, "to": 15}}, both ends inclusive. A stream that
  is not in it, or a run without it, looks its marks up in the ledger. "by": "rowscan" in a mark reads the same rows by scanning
  the landing table: for snapshots that have expired, which ducklake_table_insertions cannot name. "paths" in a mark reads only
  the rows of these registered files: what does not fit into memory at once is merged file by file. "generation" in a mark asks
  for no new rows but for a replacement: see lakeray_generations.

  Airbyte's names before 1.0, _airbyte_ab_id and _airbyte_emitted_at, stand for _airbyte_raw_id and _airbyte_extracted_at.
#}
{% macro new_rows(source, stream) -%}
  {%- set landing = builtins.source(source, 'stg_' ~ source ~ '__' ~ stream) -%}
  {%- if not execute -%}
    (select * from {{ landing }})
  {%- elif lakeray.rebuilding() is not none -%}
    {%- do lakeray.take_origins(landing, source, stream, lakeray.last_snapshot(landing)) -%}
    {{ lakeray.rows_to_rebuild(landing, lakeray.rebuilding()) }}
  {%- elif not lakeray.is_incremental() -%}
    {%- do lakeray.refuse_loss(source, stream) -%}
    {%- set last = var('lakeray_marks', {}).get(source ~ '__' ~ stream, {'to': lakeray.last_snapshot(landing)}) -%}
    {%- do lakeray.take_origins(landing, source, stream, last['to']) -%}
    {%- set rows = lakeray.rows_until(landing, last) -%}
    {%- do lakeray.fetch(rows, source, stream, 0, last['to']) -%}
    {{ rows }}
  {%- elif lakeray.replacement() is not none -%}
    {%- do lakeray.take_origins(landing, source, stream, lakeray.last_snapshot(landing)) -%}
    {{ lakeray.rows_of_generations(landing, lakeray.replacement()) }}
  {%- else -%}
    {%- set marks = lakeray.marks(source, stream) -%}
    {%- do lakeray.take_origins(landing, source, stream, marks['to']) if marks is not none -%}
    {%- set rows = lakeray.rows_between(landing, marks) -%}
    {%- do lakeray.fetch(rows, source, stream, marks['from'], marks['to']) if marks is not none -%}
    {{ rows }}
  {%- endif -%}
{%- endmacro %}


{#
  Whether the model's table is there and new rows are merged into it. dbt's own macro says so only of models that are materialized
  as `incremental`; this one also of `lakeray_merge`.
#}
{% macro is_incremental() -%}
  {%- if not execute or model.config.materialized not in ('incremental', 'lakeray_merge') or should_full_refresh()
      or lakeray.rebuilding() is not none -%}
    {{ return(false) }}
  {%- endif -%}
  {%- set relation = adapter.get_relation(this.database, this.schema, this.identifier) -%}
  {{ return(relation is not none and relation.type == 'table') }}
{%- endmacro %}


{# The rows of a landing table that were registered in the marks' snapshots; no marks, no rows. #}
{% macro rows_between(landing, marks) -%}
  {%- if marks is none -%}
    {{ return('(select * from ' ~ landing ~ ' where false)') }}
  {%- endif -%}
  {%- set first, last = marks['from'] | int, marks['to'] | int -%}
  {%- if marks.get('by') == 'rowscan' -%}
    {{ return(lakeray.rows(
        landing, landing | string, ' where snapshot_id between ' ~ first ~ ' and ' ~ last ~ lakeray.of_paths(marks, 'and')
    )) }}
  {%- endif -%}
  {%- set named = [landing.database, landing.schema, landing.identifier] | map('string') | map('replace', "'", "''") | join("', '") -%}
  {{ return(lakeray.rows(
      landing, "ducklake_table_insertions('" ~ named ~ "', " ~ first ~ ", " ~ last ~ ")", lakeray.of_paths(marks, 'where')
  )) }}
{%- endmacro %}


{# All rows of a landing table up to the last of the marks' snapshots. #}
{% macro rows_until(landing, marks) -%}
  {%- set last = marks['to'] | int -%}
  {%- if marks.get('by') == 'rowscan' -%}
    {{ return(lakeray.rows(landing, landing | string, ' where snapshot_id <= ' ~ last ~ lakeray.of_paths(marks, 'and'))) }}
  {%- endif -%}
  {{ return(lakeray.rows(landing, landing | string, lakeray.of_paths(marks, 'where'), ' at (version => ' ~ last ~ ')')) }}
{%- endmacro %}


{#
  The rows of `relation`, as of `version`, under `condition`: with the mark of lakeray_origins and Airbyte's names of today. Columns
  that have the name of a virtual one are called otherwise inside (lakeray.unhidden).
#}
{% macro rows(landing, relation, condition, version='') -%}
  {%- set types = lakeray.types_of(relation ~ version) if lakeray.may_look() else {} -%}
  {%- set shown = lakeray.unhidden(types) -%}
  {{ return(
      '(select *' ~ lakeray.airbyte_names(types) ~ shown.rename ~ ' ' ~ lakeray.rows_mark(landing) ~ ' from ' ~ relation ~ shown.names
      ~ version ~ condition ~ ')'
  ) }}
{%- endmacro %}


{# Airbyte's columns of before 1.0 under the names of today, as what follows the star of a select. #}
{% macro airbyte_names(types) -%}
  {%- set old, today = [], [] -%}
  {%- if '_airbyte_ab_id' in types -%}
    {%- do old.append('_airbyte_ab_id') -%}
    {%- do today.append('coalesce(_airbyte_raw_id, _airbyte_ab_id) as _airbyte_raw_id') -%}
  {%- endif -%}
  {%- if '_airbyte_emitted_at' in types -%}
    {%- set emitted = lakeray.time('_airbyte_emitted_at', types['_airbyte_emitted_at']) -%}
    {%- do old.append('_airbyte_emitted_at') -%}
    {%- do today.append('coalesce(_airbyte_extracted_at, ' ~ emitted ~ ') as _airbyte_extracted_at') -%}
  {%- endif -%}
  {{ return(' exclude (' ~ old | join(', ') ~ ') replace (' ~ today | join(', ') ~ ')' if old else '') }}
{%- endmacro %}


{# A column as a time. A whole number is seconds, milli-, micro- or nanoseconds since 1970, whichever is the most plausible. #}
{% macro time(column, type) -%}
  {%- if type != 'BIGINT' -%}
    {{ return(column) }}
  {%- endif -%}
  {{ return(
      'make_timestamptz(case when ' ~ column ~ ' < 100000000000 then ' ~ column ~ ' * 1000000 when ' ~ column ~ ' < 100000000000000 then '
      ~ column ~ ' * 1000 when ' ~ column ~ ' < 100000000000000000 then ' ~ column ~ ' else ' ~ column ~ ' // 1000 end)'
  ) }}
{%- endmacro %}


{# The condition that a row is of one of the marks' files; nothing when they name none. #}
{% macro of_paths(marks, word) -%}
  {%- if marks is not none and marks.get('paths') %} {{ word }} filename in (
  {%- for path in marks['paths'] %}{{ lakeray.text(path) }}{{ ', ' if not loop.last }}{% endfor -%}
  ){%- endif -%}
{%- endmacro %}


{# The newest DuckLake snapshot there is. #}
{% macro last_snapshot(landing) -%}
  {{ return(run_query("select max(snapshot_id) from ducklake_snapshots(" ~ lakeray.text(landing.database) ~ ")").rows[0][0] | int) }}
{%- endmacro %}


{# The first and the last DuckLake snapshot to merge, both inclusive: {'from': 12, 'to': 15}; none when there is nothing new. #}
{% macro marks(source, stream) -%}
  {%- set given = var('lakeray_marks', {}) -%}
  {%- if source ~ '__' ~ stream in given -%}
    {{ return(given[source ~ '__' ~ stream]) }}
  {%- endif -%}
  {%- set found = run_query(
      "select min(snapshot_id), max(snapshot_id) from lakehouse.meta.ledger"
      ~ " where source = " ~ lakeray.text(source) ~ " and stream = " ~ lakeray.text(stream)
      ~ " and snapshot_id > coalesce((select max(transformed_snapshot) from lakehouse.meta.feeder_cursors"
      ~ " where source = " ~ lakeray.text(source) ~ " and stream = " ~ lakeray.text(stream) ~ "), 0)"
  ).rows[0] -%}
  {{ return(none if found[0] is none else {'from': found[0] | int, 'to': found[1] | int}) }}
{%- endmacro %}


{#
  Refuse a rebuild that would forget rows: once the retention has removed files from landing, the processed table is the only
  place where their rows still are. The var lakeray_allow_loss: true rebuilds from what landing holds now.
#}
{% macro refuse_loss(source, stream) -%}
  {%- set existing = adapter.get_relation(this.database, this.schema, this.identifier) -%}
  {%- if existing is not none and not var('lakeray_allow_loss', false) -%}
    {%- set removed = run_query(
        "select count(*) from lakehouse.meta.removals where not key_may_return"
        ~ " and source = " ~ lakeray.text(source) ~ " and stream = " ~ lakeray.text(stream)
    ).rows[0][0] | int -%}
    {%- if removed > 0 -%}
      {%- do exceptions.raise_compiler_error(
          "a full refresh of " ~ this.identifier ~ " would lose rows: the retention has removed " ~ removed ~ " files of "
          ~ source ~ "/" ~ stream ~ " from its landing table, and their rows are only in the processed table now."
          ~ " To rebuild it from what landing still holds, run again with --vars '{lakeray_allow_loss: true}'."
      ) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}
