-- A replaced delete list, to be deleted when nobody reads it any more.
INSERT INTO ducklake_files_scheduled_for_deletion (data_file_id, path, path_is_relative, schedule_start)
VALUES ($1, $2, $3, $4)
