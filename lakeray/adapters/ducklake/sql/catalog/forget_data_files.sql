-- Files that leave the catalog, as if they had never been registered: no expiry can schedule them for deletion then.
DELETE FROM ducklake_data_file WHERE data_file_id IN (SELECT unnest($1))
