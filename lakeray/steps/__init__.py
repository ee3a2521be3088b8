"""The steps of a feed: pure decisions, time is an argument. They do not know each other; they meet in ``feed``."""
