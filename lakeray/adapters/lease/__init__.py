"""The right to be the committer: a locked file, or a lock in Postgres."""
