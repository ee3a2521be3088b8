-- Let DuckLake read footers: the same call and options as for the landing table.
CALL ducklake_add_data_files('scratch', ?, ?, schema => 'main', allow_missing => true,
                             ignore_extra_columns => true, hive_partitioning => false)
