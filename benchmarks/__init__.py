"""Benchmarks: plain scripts, each against what a user would pick instead, measured in the same run. See README.md."""
