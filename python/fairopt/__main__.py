"""``python -m fairopt`` is ``fairopt``."""

from fairopt.cli import main

main()
