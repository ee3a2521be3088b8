"""The one writer of the lake: the committer and what it does."""
