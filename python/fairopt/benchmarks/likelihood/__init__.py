"""Benchmarks that compare how likely a model finds texts about different people."""
