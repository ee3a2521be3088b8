"""dbt in the committer's own process."""
