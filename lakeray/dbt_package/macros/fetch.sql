{#
  Read many small files from object storage once, many at a time, so that what the model then reads of them costs no request.

  DuckDB waits for each request: at 30 ms a round trip, 1,000 small files are 60 s of waiting shared by as many threads as it has,
  at each of the model's two to four passes. So a batch whose files are small is read by many threads first, with DuckDB's cache
  of file contents switched on for this one model; everything after that runs with the threads that DuckDB had. The bytes count
  against DuckDB's memory limit, and are dropped when memory is short. The cache is off otherwise: it keeps the bytes of a path,
  whatever the object there is by now (P14). Within one model that is what is wanted: the same rows at each pass.
#}

{#
  rows         the rows as a subquery, from lakeray.new_rows
  first, last  the snapshots that they were registered in, both inclusive
#}
{% macro fetch(rows, source, stream, first, last) -%}
  {%- do lakeray.forget_fetched() -%}
  {%- if lakeray.may_look() -%}
    {%- set plan = run_query(
        "select current_setting('threads'), least(files, " ~ lakeray.fetch_limits().files ~ ", "
        ~ lakeray.fetch_limits().bytes ~ " // greatest(1, size_bytes // files)) from (select sum(file_count)::bigint as files, "
        ~ "sum(size_bytes)::bigint as size_bytes from lakehouse.meta.batches where source = " ~ lakeray.text(source)
        ~ " and stream = " ~ lakeray.text(stream) ~ " and snapshot_id between " ~ first | int ~ " and " ~ last | int
        ~ ") as batch where size_bytes <= parse_formatted_bytes(current_setting('memory_limit')) // 4"
        ~ " and exists (select 1 from ducklake_settings('lakehouse') where data_path like '%://%')"
    ).rows -%}
    {%- if plan | length == 1 and plan[0][1] | int > plan[0][0] | int -%}
      {%- do run_query("set enable_external_file_cache = true") -%}
      {%- do run_query("set threads = " ~ plan[0][1] | int) -%}
      {%- do run_query("select bit_xor(hash(fetched)) from " ~ rows ~ " as fetched") -%}
      {%- do run_query("set threads = " ~ plan[0][0] | int) -%}
    {%- endif -%}
  {%- endif -%}
{%- endmacro %}


{# Switch the cache off, and so give back what it holds. #}
{% macro forget_fetched() -%}
  {%- do run_query("set enable_external_file_cache = false") -%}
{%- endmacro %}


{#
  Files at a time, at most: as many hide a round trip of 30 ms behind the reading itself. And bytes at a time: a thread holds what
  it reads of a file, unpacked, so of larger files fewer are read together.
#}
{% macro fetch_limits() -%}
  {{ return({'files': 32, 'bytes': 64 * 1024 * 1024}) }}
{%- endmacro %}
