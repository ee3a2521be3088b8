"""DuckLake's own maintenance, as another program runs it on a lake that is attached as ``lakehouse``."""

from __future__ import annotations

OPERATIONS = {
    "expire_snapshots": ["CALL ducklake_expire_snapshots('lakehouse', older_than => now())"],
    "cleanup_old_files": ["CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)"],
    "delete_orphaned_files": ["CALL ducklake_delete_orphaned_files('lakehouse', cleanup_all => true)"],
    "merge_adjacent_files": ["CALL ducklake_merge_adjacent_files('lakehouse')"],
    "merge landing by name": [
        "CALL ducklake_merge_adjacent_files('lakehouse', 'stg_klaviyo__metrics', schema => 'staging')"
    ],
    "rewrite_data_files": [
        "SET preserve_insertion_order = false",
        "CALL ducklake_rewrite_data_files('lakehouse', delete_threshold => 0)",
    ],
    "flush_inlined_data": ["CALL ducklake_flush_inlined_data('lakehouse')"],
    "flush the ledger by name": [
        "CALL ducklake_flush_inlined_data('lakehouse', schema_name => 'meta', table_name => 'ledger')"
    ],
    "CHECKPOINT": ["SET preserve_insertion_order = false", "CHECKPOINT lakehouse"],
}
"""Statements by what they do. Row groups in schema main are bounded in bytes, which DuckDB does in no order alone."""
EVERYTHING = [statement for statements in OPERATIONS.values() for statement in statements]
