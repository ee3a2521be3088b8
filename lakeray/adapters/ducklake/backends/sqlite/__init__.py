"""A catalog in a SQLite file: the embedded lake."""
