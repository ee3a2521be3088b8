-- How many files of a stream were ever taken in, and the newest DuckLake snapshot that registered one.
SELECT count(*), max(snapshot_id) FROM lakehouse.meta.ledger WHERE source = ? AND stream = ?
