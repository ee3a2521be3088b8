-- shown_no_more.sql by Postgres itself, by an index.
SELECT data_file_id, path FROM {catalog}.ducklake_data_file
WHERE end_snapshot <= %(kept_from)s AND NOT path_is_relative
