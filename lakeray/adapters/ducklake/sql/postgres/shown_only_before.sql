-- shown_only_before.sql by Postgres itself.
SELECT EXISTS (SELECT FROM {catalog}.ducklake_data_file WHERE end_snapshot <= %s)
