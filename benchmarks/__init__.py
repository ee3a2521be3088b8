"""Measured, not assumed. Each suite runs alone (``python -m benchmarks.noop``) or with all (``make bench``).

A suite compares within one run, as ratios where it can, and writes ``results/{suite}.json`` with the machine, the
versions and the commit.
"""
