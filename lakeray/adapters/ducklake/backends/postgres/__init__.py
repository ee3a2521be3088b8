"""A catalog in Postgres."""
