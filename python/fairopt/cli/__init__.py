"""The command line: ``fairopt audit | compress | report | list | doctor``."""

from fairopt.cli.app import app, main

__all__ = ["app", "main"]
