"""Values: what travels between rooms. The standard library alone."""
