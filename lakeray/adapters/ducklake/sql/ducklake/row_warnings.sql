-- What merges had to say of rows: by processed table, kind and registered file.
SELECT model, kind, registered_path, row_count FROM lakehouse.meta.row_warnings ORDER BY model, kind, registered_path
