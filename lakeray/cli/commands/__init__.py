"""One module per command: what it reads, what it asks of the feed's parts, what it prints."""
