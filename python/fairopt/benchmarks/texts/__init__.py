"""Benchmarks that let a model write and measure what it wrote."""
