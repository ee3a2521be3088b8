"""Real lakes for tests: the program as a process or in this one, its files, and its tables read beside it."""
