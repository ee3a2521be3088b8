-- pending_transform.sql by Postgres itself.
SELECT min(begin_snapshot), max(begin_snapshot) FROM {ledger}
WHERE end_snapshot IS NULL AND source = convert_to(%s, 'UTF8') AND stream = convert_to(%s, 'UTF8') AND begin_snapshot > %s
