"""What changes a model. ``fairopt.compress(model, recipe)`` is :func:`fairopt.compress.compress.compress`."""

from fairopt._callable import make_callable

make_callable(__name__, "fairopt.compress.compress", "compress")
