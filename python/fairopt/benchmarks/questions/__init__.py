"""Benchmarks that ask a model to choose, decide or recall."""
