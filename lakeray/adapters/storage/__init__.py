"""Object storage: the raw prefix, credentials, the server's clock."""
