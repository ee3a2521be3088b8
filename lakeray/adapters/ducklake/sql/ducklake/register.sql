-- Register files: metadata only. Hive values in the path must not override columns of the file.
CALL ducklake_add_data_files('lakehouse', ?, ?, schema => 'staging', allow_missing => true,
                             ignore_extra_columns => true, hive_partitioning => false)
