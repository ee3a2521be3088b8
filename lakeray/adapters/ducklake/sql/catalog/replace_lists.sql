-- Delete lists whose positions are all in newer ones, each with the snapshot that deleted it.
DELETE FROM ducklake_delete_file WHERE delete_file_id = ANY($1)
