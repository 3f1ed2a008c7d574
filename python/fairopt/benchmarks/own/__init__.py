"""Benchmarks that a user brings along."""
