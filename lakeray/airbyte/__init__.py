"""What Airbyte writes: its metadata columns, and the columns of a discovered schema. Pure."""
