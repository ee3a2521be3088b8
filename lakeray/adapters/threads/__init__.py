"""Feeders, validation and the committer in this process. The same file names as in ``ray``."""
