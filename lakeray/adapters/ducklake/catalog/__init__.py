"""DuckLake's catalog written directly: rows of one transaction of its database."""
