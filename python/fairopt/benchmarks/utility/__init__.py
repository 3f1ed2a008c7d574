"""Benchmarks of what a model can do: the controls beside every bias score."""
