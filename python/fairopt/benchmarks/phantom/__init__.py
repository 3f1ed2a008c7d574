"""Benchmarks of the phantom, whose associations are known: they test the audit itself."""
