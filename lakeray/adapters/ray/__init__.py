"""Feeders, validation and the committer on Ray. The same file names as in ``threads``."""
