"""Benchmarks that compare how near texts about different people lie to others, as hidden states."""
